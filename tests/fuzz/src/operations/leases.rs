//! Leases of writers, reasons of closes, and conditional appends.

use super::Run;
use crate::content::{Content, Kind};
use crate::input::Input;
use crate::model::{Append, Mark, START};
use crate::world::Response;

const REASONS: [&str; 3] = ["stopped", "done", "a.b-c_9"];

impl Run {
    pub(super) fn lease(&mut self, name: &'static str, choice: u8, input: &mut Input<'_>) {
        let secs = 1 + input.below(6) as u64;
        match choice % 16 {
            0..=3 => self.create_with(name, Some(secs), input),
            4 | 5 => self.post(name, &heartbeat(secs), false),
            6 => self.post(name, &heartbeat(0), false),
            7 => {
                let mark = Some(Mark {
                    producer: input.below(2),
                    epoch: input.below(3) as u64,
                    seq: input.below(4) as u64,
                });
                let marked = Append {
                    mark,
                    ..heartbeat(secs)
                };
                self.post(name, &marked, false);
            }
            8..=10 => self.append_if(name, input),
            11 | 12 => self.close_because(name, input),
            13 => {
                let kind = Kind::any(input);
                let append = Append {
                    kind,
                    content: Some(Content::some(kind, input)),
                    ..heartbeat(secs)
                };
                self.post(name, &append, input.flag());
            }
            _ => self.advance_to_end(name, input),
        }
    }

    /// An append that expects the tail, a place before it, or a place that no stream has.
    fn append_if(&mut self, name: &'static str, input: &mut Input<'_>) {
        let Some(stream) = self.model.get(name) else {
            return;
        };
        let expected = match input.below(4) {
            0 => stream.counted_offset(input).0,
            1 => START.to_owned(),
            _ => stream.tail().to_owned(),
        };
        let expected = if expected == "-1" {
            START.to_owned()
        } else {
            expected
        };
        let (kind, bits) = (stream.kind, input.byte());
        let append = Append {
            kind,
            content: (bits & 7 != 0).then(|| Content::some(kind, input)),
            seq: (bits & 8 != 0).then(|| format!("{:03}", input.byte())),
            close: bits & 7 == 0 || bits & 0xf0 == 0xf0,
            expected: Some(expected),
            ..Append::default()
        };
        self.post(name, &append, bits & 16 != 0);
    }

    fn close_because(&mut self, name: &'static str, input: &mut Input<'_>) {
        let reason = REASONS[input.below(REASONS.len())];
        let kind = Kind::any(input);
        let close = Append {
            kind,
            content: input.flag().then(|| Content::some(kind, input)),
            close: true,
            reason: Some(reason),
            ..Append::default()
        };
        self.post(name, &close, false);
    }

    /// Moves the clock to the time around the lapse of the stream's lease.
    fn advance_to_end(&mut self, name: &str, input: &mut Input<'_>) {
        let lease = self.model.get(name).and_then(|stream| stream.lease);
        let Some(lease) = lease else { return };
        let left = lease.ends_ms().saturating_sub(self.world.now_ms());
        let after = [0, 1, 999, 1_000, 1_001][input.below(5)];
        self.world.advance(left + after);
        self.model.expire(self.world.now_ms());
        // An expired fork holds its source until background work ends it.
        self.settle();
    }

    /// Compares the lease in a response with the model.
    pub(super) fn check_lease(&self, name: &str, response: &Response) {
        let lease = self.model.get(name).and_then(|stream| stream.lease);
        let now = self.world.now_ms();
        let left = |end: u64| end.saturating_sub(now).div_ceil(1000).to_string();
        let secs = lease.map(|lease| lease.secs.to_string());
        let left = lease.map(|lease| left(lease.ends_ms()));
        let header = |name| response.header(name);
        assert_eq!(header("stream-lease"), secs.unwrap_or_default(), "{name}");
        assert_eq!(
            header("stream-lease-remaining"),
            left.unwrap_or_default(),
            "{name}"
        );
    }
}

fn heartbeat(secs: u64) -> Append {
    Append {
        lease: Some(secs),
        ..Append::default()
    }
}
