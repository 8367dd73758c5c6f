//! Creations and appends.

use super::{Run, ending};
use crate::content::{Content, Kind};
use crate::input::Input;
use crate::model::{Append, Lease, Mark, Stream, Verdict};
use crate::world::{Ask, call};

/// Streams with fewer units get many small appends. The number is enough for several index blocks.
const MOST: usize = 300;

impl Run {
    pub(super) fn create(&mut self, name: &'static str, input: &mut Input<'_>) {
        self.create_with(name, None, input);
    }

    /// Creates a stream, with a lease of this length in seconds.
    pub(super) fn create_with(
        &mut self,
        name: &'static str,
        lease: Option<u64>,
        input: &mut Input<'_>,
    ) {
        let (kind, close) = (Kind::any(input), input.below(8) == 0);
        let end = self.end(input);
        let (filled, spaced) = (input.flag(), input.flag());
        let content = match filled {
            true => Content::some(kind, input),
            false => Content::none(kind),
        };
        let mut ask = ending(Ask::new("PUT", name), end).with("content-type", kind.content_type());
        if close {
            ask = ask.with("stream-closed", "true");
        }
        if let Some(secs) = lease {
            ask = ask.with("stream-lease", &secs.to_string());
        }
        if filled {
            ask.body = content.written(spaced);
        }
        let response = call(&self.server, &ask);
        let expected = match (self.model.status(name), self.model.get(name)) {
            (404, _) => 201,
            (_, Some(known)) => {
                let same = known.parent.is_none()
                    && (known.kind, known.closed, known.end) == (kind, close, end);
                if same { 200 } else { 409 }
            }
            (_, None) => 409,
        };
        assert_eq!(response.status, expected, "PUT {name}: {response:?}");
        if response.status == 201 {
            let now_ms = self.world.now_ms();
            let lease = lease.filter(|_| !close).map(|secs| Lease {
                secs,
                renewed_ms: now_ms,
            });
            let stream = Stream {
                kind,
                content,
                closed: close,
                end,
                lease,
                touched_ms: now_ms,
                ..Stream::default()
            };
            let tail = response.header("stream-next-offset");
            self.model.begin(name, stream, tail);
        }
    }

    pub(super) fn append(&mut self, name: &'static str, input: &mut Input<'_>) {
        let kind = Kind::any(input);
        let bits = input.byte();
        let alone = bits & 7 == 0;
        let content = (!alone).then(|| Content::some(kind, input));
        let mark = (bits & 8 != 0).then(|| Mark {
            producer: input.below(2),
            epoch: input.below(3) as u64,
            seq: input.below(4) as u64,
        });
        let append = Append {
            kind,
            content,
            mark,
            seq: (bits & 16 != 0).then(|| format!("{:03}", input.byte())),
            close: alone || bits & 0xe0 == 0xe0,
            ..Append::default()
        };
        self.post(name, &append, bits & 32 != 0);
    }

    /// Many small appends: enough for index blocks.
    pub(super) fn append_often(&mut self, name: &'static str, input: &mut Input<'_>) {
        let stream = self.model.get(name);
        let Some(kind) = stream
            .filter(|stream| stream.content.len() < MOST)
            .map(|stream| stream.kind)
        else {
            return;
        };
        for _ in 0..input.below(48) {
            let append = Append {
                kind,
                content: Some(Content::some(kind, &mut Input(&[0]))),
                ..Append::default()
            };
            self.post(name, &append, false);
        }
    }

    pub(super) fn post(&mut self, name: &'static str, append: &Append, spaced: bool) {
        let mut ask = Ask::new("POST", name);
        if let Some(content) = &append.content {
            ask = ask.with("content-type", append.kind.content_type());
            ask.body = content.written(spaced);
        }
        if let Some(mark) = append.mark {
            ask = ask
                .with("producer-id", &format!("p{}", mark.producer))
                .with("producer-epoch", &mark.epoch.to_string())
                .with("producer-seq", &mark.seq.to_string());
        }
        if let Some(seq) = &append.seq {
            ask = ask.with("stream-seq", seq);
        }
        if append.close {
            ask = ask.with("stream-closed", "true");
        }
        if let Some(reason) = append.reason {
            ask = ask.with("stream-closed-reason", reason);
        }
        if let Some(secs) = append.lease {
            ask = ask.with("stream-lease", &secs.to_string());
        }
        if let Some(tail) = &append.expected {
            ask = ask.with("if-match", &format!("\"{tail}\""));
        }
        let response = call(&self.server, &ask);
        let (status, now) = (self.model.status(name), self.world.now_ms());
        let Some(stream) = self.model.get_mut(name) else {
            assert_eq!(response.status, status, "POST {name}: {response:?}");
            return;
        };
        let before = stream.tail().to_owned();
        let verdict = stream.append(append, now);
        let fits = match verdict {
            Verdict::Accepted => matches!(response.status, 200 | 204),
            Verdict::Done => response.status == 204,
            Verdict::Fenced => response.status == 403,
            Verdict::Mismatch => response.status == 412,
            Verdict::Refused => matches!(response.status, 400 | 409),
        };
        assert!(fits, "{append:?} to {name} is {verdict:?}: {response:?}");
        let tail = response.header("stream-next-offset");
        match verdict {
            Verdict::Accepted if append.content.is_some() => {
                assert!(tail > &*before, "{tail} after {before}");
                let count = stream.content.len();
                stream.learn(tail, count);
            }
            Verdict::Accepted | Verdict::Done | Verdict::Mismatch => assert_eq!(tail, before),
            Verdict::Fenced | Verdict::Refused => {}
        }
        let closed = response.header("stream-closed") == "true";
        if closed {
            let reason = response.header("stream-closed-reason");
            assert_eq!(reason, stream.reason.unwrap_or_default(), "POST {name}");
        }
        let heartbeat = append.lease.is_some() && verdict == Verdict::Accepted;
        if heartbeat && !closed {
            self.check_lease(name, &response);
        }
    }
}
