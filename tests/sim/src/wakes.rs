//! What workers of a subscription saw, and whether the promises allow it.

use crate::check::Violation;
use std::collections::BTreeSet;

/// What a worker was told of its ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckTold {
    Done,
    Fenced,
    /// Nothing, or that nobody knows.
    Unknown,
}

/// All that was seen of one subscription.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// Paths, offsets, and what came of it; as long as nothing did, it may be done.
    acks: Vec<(String, String, AckTold)>,
    /// Cursors as claims told them, and how many acks had been sent by then.
    cursors: Vec<(String, String, usize)>,
    /// Generations in the wake stream, in the end.
    pub(crate) generations: Vec<u64>,
    /// Streams that are there in the end, their tails, and their cursors.
    pub(crate) ends: Vec<(String, String, Option<String>)>,
}

impl Wakes {
    /// A claim told a cursor.
    pub(crate) fn cursor(&mut self, path: &str, offset: &str) {
        let seen = (path.to_owned(), offset.to_owned(), self.acks.len());
        self.cursors.push(seen);
    }

    /// Acks are about to be sent; says where they are noted.
    pub(crate) fn acks(&mut self, acked: &[(String, String)]) -> std::ops::Range<usize> {
        let first = self.acks.len();
        for (path, offset) in acked {
            let sent = (path.clone(), offset.clone(), AckTold::Unknown);
            self.acks.push(sent);
        }
        first..self.acks.len()
    }

    /// What came of them.
    pub(crate) fn told(&mut self, acks: std::ops::Range<usize>, told: AckTold) {
        for (_, _, outcome) in self.acks.get_mut(acks).into_iter().flatten() {
            *outcome = told;
        }
    }

    /// Holds what was seen to the promises.
    pub(crate) fn check(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut found = |rule, what| violations.push(Violation { rule, what });
        let mut told = BTreeSet::new();
        for generation in &self.generations {
            if !told.insert(generation) {
                let what = format!("generation {generation} is told twice");
                found("a wake is told once", what);
            }
        }
        for (path, tail, cursor) in &self.ends {
            if cursor.as_ref() != Some(tail) {
                let what = format!("{path} ends at {tail}, and is acked at {cursor:?}");
                found("no wake is lost", what);
            }
        }
        for (path, offset, sent) in &self.cursors {
            let same = |ack: &&(String, String, AckTold)| ack.0 == *path && ack.1 == *offset;
            let acks: Vec<_> = self.acks.iter().take(*sent).filter(same).collect();
            let fenced = acks.iter().all(|ack| ack.2 == AckTold::Fenced);
            // Where a cursor began is no ack's.
            let first = self.cursors.iter().find(|seen| seen.0 == *path);
            let began = first.is_some_and(|(_, first, _)| first == offset);
            if !acks.is_empty() && fenced && !began {
                let what = format!("{path} is acked at {offset}, which was fenced");
                found("a fenced ack moves no cursor", what);
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(path: &str, offset: &str) -> [(String, String); 1] {
        [(path.to_owned(), offset.to_owned())]
    }

    fn rules(wakes: &Wakes) -> Vec<&'static str> {
        wakes.check().iter().map(|found| found.rule).collect()
    }

    #[test]
    fn what_was_acked_once_and_told_once_is_good() {
        let mut wakes = Wakes::default();
        wakes.cursor("s", "1");
        let sent = wakes.acks(&ack("s", "2"));
        wakes.told(sent, AckTold::Done);
        wakes.cursor("s", "2");
        wakes.generations = vec![1, 2];
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), Some("2".to_owned()))];
        assert_eq!(rules(&wakes), Vec::<&str>::new());
    }

    #[test]
    fn what_is_lost_doubled_or_fenced_is_found() {
        let mut wakes = Wakes::default();
        wakes.cursor("s", "1");
        let sent = wakes.acks(&ack("s", "2"));
        wakes.told(sent, AckTold::Fenced);
        wakes.cursor("s", "2");
        wakes.generations = vec![1, 1];
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), Some("1".to_owned()))];
        let expected = [
            "a wake is told once",
            "no wake is lost",
            "a fenced ack moves no cursor",
        ];
        assert_eq!(rules(&wakes), expected);
        wakes.ends = vec![("s".to_owned(), "2".to_owned(), None)];
        assert!(rules(&wakes).contains(&"no wake is lost"));
    }
}
