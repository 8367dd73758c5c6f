//! What a server of the protocol is, as plainly as it can be said: streams that copy.

use std::collections::BTreeMap;

/// Who appended, as an idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) producer: usize,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// An append.
#[derive(Debug, Clone)]
pub(crate) struct Append {
    pub(crate) json: bool,
    /// None for a close alone.
    pub(crate) messages: Option<Vec<Vec<u8>>>,
    pub(crate) mark: Option<Mark>,
    pub(crate) seq: Option<String>,
    pub(crate) close: bool,
}

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// It was done already, or there is nothing to do.
    Done,
    /// A newer epoch of its producer is known.
    Fenced,
    Refused,
}

/// A stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    pub(crate) json: bool,
    pub(crate) messages: Vec<Vec<u8>>,
    /// Offsets that were given out, and how many messages are before each.
    pub(crate) offsets: Vec<(String, usize)>,
    pub(crate) closed: bool,
    pub(crate) closer: Option<Mark>,
    pub(crate) producers: BTreeMap<usize, Mark>,
    pub(crate) seq: Option<String>,
    pub(crate) ends_ms: Option<u64>,
    /// The stream that it was forked from.
    pub(crate) parent: Option<String>,
    /// Deleted or expired, and kept for its forks.
    pub(crate) gone: bool,
}

impl Stream {
    /// What a read from behind so many messages gives.
    pub(crate) fn body(&self, from: usize) -> Vec<u8> {
        let messages = self.messages.get(from..).unwrap_or_default();
        match self.json {
            true => [b"[", &*messages.join(&b","[..]), b"]"].concat(),
            false => messages.concat(),
        }
    }

    /// The offset of the tail.
    pub(crate) fn tail(&self) -> &str {
        self.offsets.last().map_or("", |(offset, _)| offset)
    }

    /// Judges an append in the order of section 5.2, and applies it if it is accepted.
    pub(crate) fn append(&mut self, append: &Append) -> Verdict {
        let known = append
            .mark
            .and_then(|mark| self.producers.get(&mark.producer));
        let fresh = match (append.mark, known) {
            (Some(mark), Some(known)) if mark.epoch < known.epoch => return Verdict::Fenced,
            (Some(mark), Some(known)) if mark.epoch == known.epoch => {
                mark.seq.checked_sub(known.seq)
            }
            (Some(mark), _) => mark.seq.checked_add(1),
            (None, _) => Some(1),
        };
        if self.closed {
            let repeated = append.mark.is_some() && append.mark == self.closer;
            let alone = append.close && append.messages.is_none();
            return match repeated || alone {
                true => Verdict::Done,
                false => Verdict::Refused,
            };
        }
        match fresh {
            None | Some(0) => return Verdict::Done,
            Some(1) => {}
            Some(_) => return Verdict::Refused,
        }
        let other_type = append.messages.is_some() && append.json != self.json;
        if other_type || (append.seq.is_some() && append.seq <= self.seq) {
            return Verdict::Refused;
        }
        self.messages
            .extend(append.messages.iter().flatten().cloned());
        if let Some(mark) = append.mark {
            self.producers.insert(mark.producer, mark);
        }
        if append.seq.is_some() {
            self.seq.clone_from(&append.seq);
        }
        if append.close {
            (self.closed, self.closer) = (true, append.mark);
        }
        Verdict::Accepted
    }
}

/// All streams, by name.
#[derive(Debug, Default)]
pub(crate) struct Model(BTreeMap<String, Stream>);

impl Model {
    /// 200, 404, or 410 for what only its forks keep.
    pub(crate) fn status(&self, name: &str) -> u16 {
        match self.0.get(name) {
            None => 404,
            Some(stream) if stream.gone => 410,
            Some(_) => 200,
        }
    }

    /// A stream that is there.
    pub(crate) fn get(&self, name: &str) -> Option<&Stream> {
        self.0.get(name).filter(|stream| !stream.gone)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Stream> {
        self.0.get_mut(name).filter(|stream| !stream.gone)
    }

    pub(crate) fn insert(&mut self, name: &str, stream: Stream) {
        self.0.insert(name.to_owned(), stream);
    }

    /// Deletes a stream, and the sources that go with their last fork.
    pub(crate) fn end(&mut self, name: &str) {
        let mut forks = self.0.values();
        if forks.any(|stream| stream.parent.as_deref() == Some(name)) {
            if let Some(stream) = self.0.get_mut(name) {
                stream.gone = true;
            }
            return;
        }
        let parent = self.0.remove(name).and_then(|stream| stream.parent);
        if let Some(parent) = parent
            && self.0.get(&parent).is_some_and(|parent| parent.gone)
        {
            self.end(&parent);
        }
    }

    /// Ends what is over at this time.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let over =
            |stream: &Stream| !stream.gone && stream.ends_ms.is_some_and(|end| end <= now_ms);
        while let Some((name, _)) = self.0.iter().find(|(_, stream)| over(stream)) {
            let name = name.clone();
            self.end(&name);
        }
    }
}
