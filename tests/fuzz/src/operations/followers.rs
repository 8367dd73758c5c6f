//! Readers of server-sent events that stay while other clients write.

use super::Run;
use super::reads::get;
use crate::content::{Content, Kind};
use crate::events;
use crate::input::Input;
use crate::model::Stream;
use crate::world::{Response, Rest, begin, resume};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use durable_streams_edge::service::exchange::Cause;
use serde_json::Value;

/// Most followers at a time.
const MOST: usize = 6;

/// An open response.
pub(super) struct Follower {
    name: &'static str,
    life: u64,
    /// Number of units before the first one of the response.
    from: usize,
    response: Response,
    token: Vec<u8>,
}

impl Run {
    pub(super) fn follow(&mut self, name: &'static str, input: &mut Input<'_>) {
        let Some(stream) = self.model.get(name).filter(|_| self.followers.len() < MOST) else {
            return;
        };
        let (life, (offset, from)) = (stream.life, stream.counted_offset(input));
        let mut ask = get(name, &offset);
        ask.target += "&live=sse";
        let (response, rest) = begin(&self.server, &ask);
        assert_eq!(response.status, 200, "GET {name}: {response:?}");
        let follower = Follower {
            name,
            life,
            from,
            response,
            token: Vec::new(),
        };
        self.judge(follower, rest);
    }

    /// Resumes every follower after a possible change.
    pub(super) fn catch_up(&mut self) {
        self.model.expire(self.world.now_ms());
        for mut follower in std::mem::take(&mut self.followers) {
            let Follower {
                response, token, ..
            } = &mut follower;
            let rest = resume(&self.server, response, token, Cause::Changed);
            self.judge(follower, rest);
        }
    }

    /// Compares the data of a follower with the model, and keeps the follower if it goes on.
    fn judge(&mut self, mut follower: Follower, rest: Rest) {
        let now = self.world.now_ms();
        let stream = self.model.get_mut(follower.name);
        let Some(stream) = stream.filter(|stream| stream.life == follower.life) else {
            assert_eq!(rest, Rest::Done, "a follower of a stream that is over");
            return;
        };
        stream.touch(now);
        let text = std::str::from_utf8(&follower.response.body).expect("events are UTF-8");
        let events = events::read(text);
        let is_data = |kind: &str| match kind {
            "data" => true,
            "control" => false,
            _ => panic!("there is no event {kind}"),
        };
        let mut reason = None;
        let (mut data, mut offset, mut before) = (Vec::new(), None, "control".to_owned());
        for (kind, payload) in events {
            match is_data(&kind) {
                true => data.push(payload),
                false => {
                    offset = Some(control(&payload));
                    reason = close_reason(&payload);
                }
            }
            // A control event follows each data event. The first and the last control event may
            // stand alone.
            assert!(is_data(&kind) != is_data(&before) || kind == "control");
            before = kind;
        }
        assert_eq!(before, "control");
        follower.compare(stream, &data);
        let (offset, up_to_date, closed) = offset.expect("a control event");
        assert!(
            up_to_date,
            "{offset} is the last offset that a follower got"
        );
        assert_eq!(closed, stream.closed, "a follower of {}", follower.name);
        assert_eq!(
            reason.as_deref(),
            stream.reason,
            "a follower of {}",
            follower.name
        );
        let waiting = follower.waiting(stream);
        if waiting == 0 {
            assert_eq!(offset, stream.tail());
        }
        match rest {
            Rest::Done => assert!(closed),
            Rest::Waits { token } => {
                follower.token = token;
                self.followers.push(follower);
            }
            Rest::Reset => panic!("a follower is reset"),
        }
    }
}

impl Follower {
    /// Bytes at the tail that wait for the rest of a character.
    fn waiting(&self, stream: &Stream) -> usize {
        match &stream.content {
            Content::Bytes(bytes) if stream.kind == Kind::Text && !stream.closed => {
                let bytes = bytes.get(self.from..).unwrap_or_default();
                let last = bytes.utf8_chunks().last();
                let invalid = last.map_or(&[][..], |chunk| chunk.invalid());
                let begun =
                    std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
                if begun { invalid.len() } else { 0 }
            }
            Content::Bytes(_) | Content::Messages(_) => 0,
        }
    }

    fn compare(&self, stream: &Stream, data: &[String]) {
        let part = stream.content.part(self.from, stream.content.len());
        match (stream.kind, part) {
            (Kind::Text, Content::Bytes(bytes)) => {
                let there = bytes.len() - self.waiting(stream);
                let text = String::from_utf8_lossy(bytes.get(..there).unwrap_or_default());
                assert_eq!(data.concat(), text);
            }
            (_, Content::Bytes(bytes)) => {
                let parts = data.iter().map(|data| STANDARD.decode(data));
                let all: Result<Vec<_>, _> = parts.collect();
                assert_eq!(all.expect("it is base64").concat(), bytes);
            }
            (_, Content::Messages(messages)) => {
                let arrays = data.iter().map(|data| {
                    let inner = data
                        .strip_prefix('[')
                        .and_then(|data| data.strip_suffix(']'));
                    inner.expect("an array")
                });
                let all: Vec<_> = arrays.collect();
                assert_eq!(all.join(",").as_bytes(), messages.join(&b","[..]));
            }
        }
    }
}

/// The offset of a control event, whether it is up to date, and whether the stream is closed.
fn control(payload: &str) -> (String, bool, bool) {
    let value: Value = serde_json::from_str(payload).expect("control events are JSON");
    let flag = |name: &str| value.get(name) == Some(&Value::Bool(true));
    let offset = value.get("streamNextOffset").and_then(Value::as_str);
    let offset = offset.expect("an offset").to_owned();
    assert!(flag("streamClosed") || value.get("streamCursor").is_some());
    (offset, flag("upToDate"), flag("streamClosed"))
}

/// Why the stream was closed, as a control event says.
fn close_reason(payload: &str) -> Option<String> {
    let value: Value = serde_json::from_str(payload).ok()?;
    Some(value.get("streamClosedReason")?.as_str()?.to_owned())
}
