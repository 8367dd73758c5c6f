//! Bodies of the calls of workers, and of the responses of webhooks.

use super::body::{invalid, json};
use super::names::stream_name;
use super::object::Object;
use super::{Refused, RefusedCode};
use crate::limits::{self, MAX_ID_BYTES, SUBSCRIPTION_LINKS};
use crate::protocol::offset::Offset;
use crate::protocol::request::RawRequest;
use crate::stream::Position;
use crate::subscription::Fence;
use serde::{Deserialize, Deserializer};

/// A claim (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimAsk {
    /// The worker's name.
    pub worker: String,
}

/// The wake that a worker's call refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WakeRef {
    /// The generation and the wake; `None` if the wake's id is not in this server's format.
    pub fence: Option<Fence>,
}

/// A callback or an ack (section 7.1, 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AckAsk {
    /// The wake that the call refers to.
    pub fencing: WakeRef,
    /// Streams, each with the position up to which it was processed.
    pub acks: Vec<(String, Position)>,
    /// Whether the worker has finished the wake.
    pub done: bool,
}

/// The response of a webhook (section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct WebhookAnswer {
    /// Whether the worker has finished the wake.
    #[serde(default, deserialize_with = "or_null")]
    pub done: bool,
}

fn or_null<'a, D: Deserializer<'a>>(value: D) -> Result<bool, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

impl WebhookAnswer {
    /// Parses a response. Any body that is not such an object gives the default.
    #[must_use]
    pub(crate) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).map_or_else(|_| Self::default(), |Object(answer)| answer)
    }
}

impl ClaimAsk {
    /// Parses a claim.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Raw {
            worker: String,
        }
        let Raw { worker } = json(raw)?;
        match (1..=MAX_ID_BYTES).contains(&worker.len()) {
            true => Ok(Self { worker }),
            false => Err(invalid(format!(
                "worker must have 1 to {MAX_ID_BYTES} bytes"
            ))),
        }
    }
}

#[derive(Deserialize)]
struct RawFence {
    wake_id: String,
    generation: u64,
}

impl From<RawFence> for WakeRef {
    fn from(raw: RawFence) -> Self {
        let digits = raw.wake_id.strip_prefix("w_").unwrap_or_default();
        let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let wake = match digits.len() == 16 && digits.bytes().all(plain) {
            true => u64::from_str_radix(digits, 16).ok(),
            false => None,
        };
        let generation = raw.generation;
        Self {
            fence: wake.map(|wake| Fence { generation, wake }),
        }
    }
}

impl WakeRef {
    /// Parses a release.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>) -> Result<Self, Refused> {
        json::<RawFence>(raw).map(Self::from)
    }
}

impl AckAsk {
    /// Parses a callback or an ack.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>, config: &limits::Config) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(flatten)]
            fence: RawFence,
            // A missing member may be null: Go writes an empty list as null.
            acks: Option<Vec<Object<RawAck>>>,
            done: Option<bool>,
        }
        #[derive(Deserialize)]
        struct RawAck {
            stream: String,
            offset: String,
        }
        let asked: Raw = json(raw)?;
        // The step reads the head of each acked stream. No subscription has more streams than this.
        let given = asked.acks.unwrap_or_default();
        if given.len() > SUBSCRIPTION_LINKS {
            return Err(invalid(format!(
                "The call has more than {SUBSCRIPTION_LINKS} acks. Send them in several calls."
            )));
        }
        let position = |text: &str| match Offset::parse(text) {
            Ok(Offset::Start) => Ok(Position::ZERO),
            Ok(Offset::At(position)) => Ok(position),
            Ok(Offset::Now) | Err(_) => Err(Refused::new(
                RefusedCode::InvalidOffset,
                "An offset is malformed. Send each offset exactly as the server returned it.",
            )),
        };
        let acks = given.into_iter().map(|Object(ack)| {
            let to = position(&ack.offset)?;
            Ok((stream_name(ack.stream, config)?, to))
        });
        Ok(Self {
            fencing: asked.fence.into(),
            acks: acks.collect::<Result<_, _>>()?,
            done: asked.done.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::body::tests::raw;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_is_an_object_and_never_an_array() {
        assert!(ClaimAsk::parse(&raw(br#"["me"]"#)).is_err());
        let ack = br#"{"wake_id":"w","generation":7,"acks":[["a","-1"]]}"#;
        assert!(AckAsk::parse(&raw(ack), &limits::Config::default()).is_err());
    }

    #[test]
    fn acks_name_a_wake_and_places() {
        let config = limits::Config::default();
        let parse = |body: &str| AckAsk::parse(&raw(body.as_bytes()), &config);
        let asked = parse(
            r#"{"wake_id":"w_00000000000000ff","generation":7,"done":true,
               "acks":[{"stream":"a","offset":"0000000000000001_0000000000000420"}]}"#,
        )
        .unwrap();
        let fence = Fence {
            generation: 7,
            wake: 255,
        };
        assert_eq!(asked.fencing.fence, Some(fence));
        assert_eq!(asked.acks, [("a".to_owned(), Position::new(1, 42))]);
        assert!(asked.done);
        // A refused null cost a worker in Go its lease: its heartbeat has an empty list of acks.
        let nothing = parse(r#"{"wake_id":"w","generation":7,"acks":null,"done":null}"#).unwrap();
        assert!(nothing.acks.is_empty() && !nothing.done);
        assert!(!WebhookAnswer::parse(br#"{"done":null}"#).done);
        for wake in ["w_1", "w_00000000000000FF", "x", "w_+0000000000000ff"] {
            let body = format!(r#"{{"wake_id":"{wake}","generation":7}}"#);
            assert_eq!(parse(&body).unwrap().fencing.fence, None, "{wake}");
        }
        let now = r#"{"wake_id":"w","generation":7,"acks":[{"stream":"a","offset":"now"}]}"#;
        assert_eq!(parse(now).unwrap_err().code, RefusedCode::InvalidOffset);
    }

    #[test]
    fn there_are_no_more_acks_than_streams_of_a_subscription() {
        let config = limits::Config::default();
        let parse = |acks: usize| {
            let acks = vec![r#"{"stream":"a","offset":"-1"}"#; acks].join(",");
            let body = format!(r#"{{"wake_id":"w","generation":7,"acks":[{acks}]}}"#);
            AckAsk::parse(&raw(body.as_bytes()), &config)
        };
        assert_eq!(parse(SUBSCRIPTION_LINKS).unwrap().acks.len(), 4096);
        let refused = parse(SUBSCRIPTION_LINKS + 1).unwrap_err();
        assert_eq!(refused.code, RefusedCode::InvalidRequest);
        let message = "The call has more than 4096 acks. Send them in several calls.";
        assert_eq!(refused.message, message);
    }

    proptest! {
        #[test]
        fn any_body_is_judged_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = AckAsk::parse(&raw(&body), &limits::Config::default());
            let _ = ClaimAsk::parse(&raw(&body));
        }
    }
}
