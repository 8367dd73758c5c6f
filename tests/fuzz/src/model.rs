//! A plain model of a server of the protocol, in which streams copy their contents.

use crate::content::{Content, Kind};
use std::collections::BTreeMap;

/// The offset of the start of every stream.
pub(crate) const START: &str = "0000000000000000_0000000000000000";

/// The default of the variable `lease_skew_ms`.
const LEASE_SKEW_MS: u64 = 1_000;

/// The producer fields of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) producer: usize,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// An append, a close or a heartbeat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Append {
    pub(crate) kind: Kind,
    /// `None` for a close or a heartbeat without content.
    pub(crate) content: Option<Content>,
    pub(crate) mark: Option<Mark>,
    pub(crate) seq: Option<String>,
    pub(crate) close: bool,
    pub(crate) reason: Option<&'static str>,
    /// The length of the lease from now on, in seconds; 0 ends the lease.
    pub(crate) lease: Option<u64>,
    /// The tail that a conditional append expects.
    pub(crate) expected: Option<String>,
}

/// The lease of a stream's writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) secs: u64,
    /// Time of the last renewal.
    pub(crate) renewed_ms: u64,
}

impl Lease {
    /// When the lease ends unless it is renewed.
    pub(crate) const fn ends_ms(self) -> u64 {
        self.renewed_ms + self.secs * 1000
    }
}

/// Outcome of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// The append was already done, or has no effect.
    Done,
    /// The producer has a newer epoch.
    Fenced,
    /// The tail is not the expected one.
    Mismatch,
    Refused,
}

/// When a stream expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum End {
    #[default]
    Never,
    /// At this time, in milliseconds.
    At(u64),
    /// After this many seconds without a read or a write.
    Idle(u64),
}

/// A stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    /// Number that differs from that of other streams of the name.
    pub(crate) life: u64,
    pub(crate) kind: Kind,
    pub(crate) content: Content,
    /// Offsets in answers, each with the number of units before it.
    pub(crate) offsets: BTreeMap<String, usize>,
    pub(crate) closed: bool,
    pub(crate) closer: Option<Mark>,
    /// Why the stream was closed.
    pub(crate) reason: Option<&'static str>,
    pub(crate) lease: Option<Lease>,
    pub(crate) producers: BTreeMap<usize, Mark>,
    pub(crate) seq: Option<String>,
    pub(crate) end: End,
    /// Time of the last move of the [`End::Idle`] window.
    pub(crate) touched_ms: u64,
    /// The source of a fork.
    pub(crate) parent: Option<String>,
    /// Deleted or expired, but kept for its forks.
    pub(crate) gone: bool,
}

impl Stream {
    /// The offset of the tail.
    pub(crate) fn tail(&self) -> &str {
        let last = self.offsets.last_key_value();
        last.map_or(START, |(offset, _)| offset)
    }

    /// Records an offset with the number of units before it. Each place has one offset, and text
    /// order is stream order.
    pub(crate) fn learn(&mut self, offset: &str, count: usize) {
        let before = self.offsets.range(..offset.to_owned()).next_back();
        assert!(
            before.is_none_or(|(_, units)| *units < count),
            "{offset} has {count} units before it, and {before:?} is less"
        );
        let after = self.offsets.range(offset.to_owned()..).next();
        assert!(
            after.is_none_or(
                |(other, units)| (other == offset) == (*units == count) && *units >= count
            ),
            "{offset} has {count} units before it, and {after:?} is not"
        );
        self.offsets.insert(offset.to_owned(), count);
    }

    /// Judges an append in the order of section 5.2, and applies an accepted one.
    pub(crate) fn append(&mut self, append: &Append, now_ms: u64) -> Verdict {
        if append.content.is_none() && !append.close {
            return self.heartbeat(append, now_ms);
        }
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
            let alone = append.close && append.content.is_none() && append.mark.is_none();
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
        if append.content.is_some() && append.kind != self.kind {
            return Verdict::Refused;
        }
        if !self.is_expected(append) {
            return Verdict::Mismatch;
        }
        if append.seq.is_some() && append.seq <= self.seq {
            return Verdict::Refused;
        }
        if let Some(content) = &append.content {
            self.content.extend(content);
        }
        if let Some(mark) = append.mark {
            self.producers.insert(mark.producer, mark);
        }
        if append.seq.is_some() {
            self.seq.clone_from(&append.seq);
        }
        self.renew(append, now_ms);
        if append.close {
            self.close(append.mark, append.reason);
        }
        self.touched_ms = now_ms;
        Verdict::Accepted
    }

    /// Judges a heartbeat, which is no append of its producer.
    fn heartbeat(&mut self, heartbeat: &Append, now_ms: u64) -> Verdict {
        let mark = heartbeat.mark;
        let known = mark.and_then(|mark| self.producers.get(&mark.producer));
        match (mark, known) {
            (Some(mark), Some(known)) if mark.epoch < known.epoch => return Verdict::Fenced,
            (Some(mark), Some(known)) if mark.epoch > known.epoch => return Verdict::Refused,
            _ => {}
        }
        if self.closed {
            return Verdict::Refused;
        }
        if !self.is_expected(heartbeat) {
            return Verdict::Mismatch;
        }
        self.renew(heartbeat, now_ms);
        self.touched_ms = now_ms;
        Verdict::Accepted
    }

    fn is_expected(&self, append: &Append) -> bool {
        append
            .expected
            .as_deref()
            .is_none_or(|tail| tail == self.tail())
    }

    /// Sets the lease to the requested length, or renews it.
    fn renew(&mut self, append: &Append, now_ms: u64) {
        let secs = append.lease.or_else(|| {
            let lease = self.lease.filter(|_| append.content.is_some());
            lease.map(|lease| lease.secs)
        });
        match secs {
            None => {}
            Some(0) => self.lease = None,
            Some(secs) => {
                let renewed_ms = now_ms;
                self.lease = Some(Lease { secs, renewed_ms });
            }
        }
    }

    fn close(&mut self, closer: Option<Mark>, reason: Option<&'static str>) {
        (self.closed, self.closer, self.reason) = (true, closer, reason);
        self.lease = None;
    }

    /// Closes the stream if its writer's lease has lapsed.
    fn lapse(&mut self, now_ms: u64) {
        let lapses = self.lease.map(|lease| lease.ends_ms() + LEASE_SKEW_MS);
        if lapses.is_some_and(|lapses| lapses <= now_ms) {
            self.close(None, Some("lease-expired"));
        }
    }

    /// Length of the steps in which an idle window of `secs` seconds moves.
    fn step_ms(secs: u64) -> u64 {
        (secs * 100).clamp(200, 60_000)
    }

    /// A read moves the window if the last move is at least one step ago.
    pub(crate) fn touch(&mut self, now_ms: u64) {
        if let End::Idle(secs) = self.end
            && now_ms >= self.touched_ms + Self::step_ms(secs)
        {
            self.touched_ms = now_ms;
        }
    }

    fn is_over(&self, now_ms: u64) -> bool {
        match self.end {
            End::Never => false,
            End::At(ms) => ms <= now_ms,
            End::Idle(secs) => self.touched_ms + secs * 1000 + Self::step_ms(secs) <= now_ms,
        }
    }
}

/// All streams, by name.
#[derive(Debug, Default)]
pub(crate) struct Model {
    streams: BTreeMap<String, Stream>,
    /// The highest offset of the ended lives of each name.
    ended: BTreeMap<String, String>,
    lives: u64,
}

impl Model {
    /// 200, 404, or 410 for a stream that is kept only for its forks.
    pub(crate) fn status(&self, name: &str) -> u16 {
        match self.streams.get(name) {
            None => 404,
            Some(stream) if stream.gone => 410,
            Some(_) => 200,
        }
    }

    /// A stream that is not gone.
    pub(crate) fn get(&self, name: &str) -> Option<&Stream> {
        self.streams.get(name).filter(|stream| !stream.gone)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Stream> {
        self.streams.get_mut(name).filter(|stream| !stream.gone)
    }

    /// The highest offset of the earlier lives of this name.
    pub(crate) fn ended(&self, name: &str) -> Option<&str> {
        self.ended.get(name).map(String::as_str)
    }

    /// Begins a stream with its tail at this offset.
    pub(crate) fn begin(&mut self, name: &str, mut stream: Stream, tail: &str) {
        let own = stream.parent.is_none() && tail != START;
        if let (Some(last), true) = (self.ended(name), own) {
            assert!(tail > last, "{name}: {tail} was given out before {last}");
        }
        self.lives += 1;
        stream.life = self.lives;
        stream.learn(tail, stream.content.len());
        self.streams.insert(name.to_owned(), stream);
    }

    /// Deletes a stream, and each source that loses its last fork by that.
    pub(crate) fn end(&mut self, name: &str) {
        if let Some(stream) = self.streams.get(name) {
            let last = self.ended.entry(name.to_owned()).or_default();
            *last = stream.tail().max(last).to_owned();
        }
        let mut forks = self.streams.values();
        if forks.any(|stream| stream.parent.as_deref() == Some(name)) {
            if let Some(stream) = self.streams.get_mut(name) {
                stream.gone = true;
            }
            return;
        }
        let parent = self.streams.remove(name).and_then(|stream| stream.parent);
        if let Some(parent) = parent
            && self.streams.get(&parent).is_some_and(|parent| parent.gone)
        {
            self.end(&parent);
        }
    }

    /// Ends the streams that have expired by this time, and closes those whose lease has lapsed.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let over = |stream: &Stream| !stream.gone && stream.is_over(now_ms);
        while let Some((name, _)) = self.streams.iter().find(|(_, stream)| over(stream)) {
            let name = name.clone();
            self.end(&name);
        }
        for stream in self.streams.values_mut().filter(|stream| !stream.gone) {
            stream.lapse(now_ms);
        }
    }
}
