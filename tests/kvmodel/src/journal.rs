//! Changes that are visible and not yet durable.

/// State of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It survives a power failure.
    Durable,
    /// It may still be lost.
    NotYet,
    /// It was lost.
    Lost,
}

/// Changes that are not durable, with the entries that they replaced. The host's file store: all
/// changes since the last sync are lost together.
#[derive(Debug, Clone)]
pub(crate) struct Journal<E> {
    /// For each change its number, its key and the entry before.
    newer: Vec<(u64, String, Option<E>)>,
    /// Lost changes: numbers above the first and up to the second.
    lost: Vec<(u64, u64)>,
}

/// Changes that were lost together.
#[derive(Debug)]
pub(crate) struct Loss<E> {
    /// Number of the first one.
    pub(crate) first: u64,
    /// Keys with the entries that were replaced, the latest first.
    pub(crate) before: Vec<(String, Option<E>)>,
}

impl<E> Journal<E> {
    pub(crate) const fn new() -> Self {
        Self {
            newer: Vec::new(),
            lost: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, change: u64, key: &str, before: Option<E>) {
        self.newer.push((change, key.to_owned(), before));
    }

    pub(crate) const fn has_newer(&self) -> bool {
        !self.newer.is_empty()
    }

    pub(crate) const fn losses(&self) -> usize {
        self.lost.len()
    }

    pub(crate) fn settled(&self, change: u64) -> Settled {
        let lost = |(above, to): &(u64, u64)| (above + 1..=*to).contains(&change);
        if self.lost.iter().any(lost) {
            return Settled::Lost;
        }
        match self.newer.first() {
            Some((first, ..)) if *first <= change => Settled::NotYet,
            _ => Settled::Durable,
        }
    }

    /// Loses all changes above `first` and up to `latest`, durable or not.
    pub(crate) fn forget(&mut self, first: u64, latest: u64) {
        self.newer.clear();
        self.lost.push((first, latest));
    }

    /// Makes all changes durable.
    pub(crate) fn sync(&mut self) {
        self.newer.clear();
    }

    /// Loses all changes up to `latest` that are not durable; none if all are.
    pub(crate) fn lose(&mut self, latest: u64) -> Option<Loss<E>> {
        let first = self.newer.first()?.0;
        self.lost.push((first - 1, latest));
        let before = self.newer.drain(..).rev();
        let before = before.map(|(_, key, entry)| (key, entry)).collect();
        Some(Loss { first, before })
    }
}
