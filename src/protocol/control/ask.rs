//! Request bodies of control calls. Unknown members, and members for another type of subscription,
//! are ignored. All other members must be valid.

use super::object::Object;
use super::{Refused, RefusedCode};
use crate::limits::{
    self, LEASE_DEFAULT_MS, LEASE_MS, MAX_CONTROL_BYTES, MAX_DESCRIPTION_BYTES, MAX_ID_BYTES,
    SUBSCRIPTION_LINKS, SUBSCRIPTION_NAMES_BYTES,
};
use crate::protocol::name::StreamName;
use crate::protocol::offset::Offset;
use crate::protocol::request::{BodyState, RawRequest};
use crate::stream::Position;
use crate::subscription::{Config, Delivery, Fence, Glob, url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// A request to create a subscription (section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The configuration of the subscription.
    pub config: Config,
    /// The explicitly named streams, sorted and without duplicates.
    pub streams: Vec<String>,
}

/// A request to add streams (section 6.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamsAsk {
    /// The names, sorted and without duplicates.
    pub streams: Vec<String>,
}

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

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused::new(RefusedCode::InvalidRequest, message)
}

/// Parses the body of a call as JSON. An empty body is read as `{}`.
pub(super) fn json<T: DeserializeOwned>(raw: &RawRequest<'_>) -> Result<T, Refused> {
    let too_large = |most: &str| {
        let message = format!("The body is larger than {most}. Send a smaller one.");
        Refused::new(RefusedCode::PayloadTooLarge, message)
    };
    match raw.body_state {
        BodyState::TooLarge => return Err(too_large("max_append_bytes allows")),
        _ if raw.body.len() > MAX_CONTROL_BYTES => {
            return Err(too_large(&format!("{MAX_CONTROL_BYTES} bytes")));
        }
        BodyState::Complete => {}
        // Requests that found no room are answered before they are parsed.
        BodyState::Broken | BodyState::NoRoom => {
            return Err(invalid(
                "The body is malformed or incomplete. Send the whole body again.",
            ));
        }
    }
    let body = match raw.body.is_empty() {
        true => b"{}",
        false => raw.body,
    };
    match serde_json::from_slice(body) {
        Ok(Object(value)) => Ok(value),
        Err(error) => Err(invalid(format!("Invalid body: {error}"))),
    }
}

#[derive(Deserialize)]
struct RawAsk {
    #[serde(rename = "type")]
    kind: String,
    pattern: Option<String>,
    streams: Option<Vec<String>>,
    webhook: Option<Object<RawWebhook>>,
    wake_stream: Option<String>,
    lease_ttl_ms: Option<u64>,
    description: Option<String>,
}

#[derive(Deserialize)]
struct RawWebhook {
    url: String,
}

impl Ask {
    /// Parses a request to create a subscription.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub fn parse(raw: &RawRequest<'_>, config: &limits::Config) -> Result<Self, Refused> {
        let asked: RawAsk = json(raw)?;
        let delivery = match (&*asked.kind, asked.webhook, asked.wake_stream) {
            ("webhook", Some(Object(webhook)), _) => {
                url::judge(&webhook.url, config.webhook_allow_localhost).map_err(|error| {
                    let message = format!("The webhook URL is refused: {error}");
                    Refused::new(RefusedCode::WebhookUrlRejected, message)
                })?;
                Delivery::Webhook { url: webhook.url }
            }
            ("webhook", None, _) => {
                return Err(invalid("A subscription of type webhook needs webhook.url."));
            }
            ("pull-wake", _, Some(name)) => Delivery::PullWake {
                wake_stream: stream_name(name, config)?,
            },
            ("pull-wake", _, None) => {
                return Err(invalid(
                    "A subscription of type pull-wake needs wake_stream.",
                ));
            }
            _ => return Err(invalid("type must be webhook or pull-wake")),
        };
        let glob = |text: String| {
            Glob::parse(&text).map_err(|error| invalid(format!("Invalid pattern: {error}")))
        };
        let lease_ttl_ms = asked.lease_ttl_ms.unwrap_or(LEASE_DEFAULT_MS);
        if !LEASE_MS.contains(&lease_ttl_ms) {
            let (least, most) = (LEASE_MS.start(), LEASE_MS.end());
            return Err(invalid(format!(
                "lease_ttl_ms must be from {least} to {most}"
            )));
        }
        let too_long = |text: &String| text.len() > MAX_DESCRIPTION_BYTES;
        if asked.description.as_ref().is_some_and(too_long) {
            return Err(invalid(format!(
                "description is longer than {MAX_DESCRIPTION_BYTES} bytes"
            )));
        }
        let streams = stream_names(asked.streams.unwrap_or_default(), config)?;
        let config = Config {
            delivery,
            pattern: asked.pattern.map(glob).transpose()?,
            lease_ttl_ms,
            description: asked.description,
        };
        if config.pattern.is_none() && streams.is_empty() {
            return Err(invalid(
                "A subscription needs streams. Send pattern, streams or both.",
            ));
        }
        if streams.iter().any(|name| config.is_wake_stream(name)) {
            return Err(invalid(
                "wake_stream can't be one of the subscription's own streams. Use another stream.",
            ));
        }
        Ok(Self { config, streams })
    }
}

fn stream_name(name: String, config: &limits::Config) -> Result<String, Refused> {
    match StreamName::from_decoded(name, config) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => Err(invalid(format!("Invalid stream name: {error}"))),
    }
}

fn stream_names(names: Vec<String>, config: &limits::Config) -> Result<Vec<String>, Refused> {
    let mut streams = names
        .into_iter()
        .map(|name| stream_name(name, config))
        .collect::<Result<Vec<_>, _>>()?;
    streams.sort();
    streams.dedup();
    if streams.len() > SUBSCRIPTION_LINKS {
        let message = format!(
            "streams has more than {SUBSCRIPTION_LINKS} names. Use a pattern for more streams."
        );
        return Err(Refused::new(RefusedCode::TooManyLinks, message));
    }
    match streams.iter().map(String::len).sum::<usize>() > SUBSCRIPTION_NAMES_BYTES {
        true => Err(Refused::new(
            RefusedCode::TooManyLinks,
            format!(
                "The names in streams have more than {SUBSCRIPTION_NAMES_BYTES} bytes in total. \
                 Send fewer names, or use a pattern."
            ),
        )),
        false => Ok(streams),
    }
}

impl StreamsAsk {
    /// Parses a request to add streams.
    ///
    /// # Errors
    ///
    /// The reason, as the `__ds` error response states it.
    pub(crate) fn parse(raw: &RawRequest<'_>, config: &limits::Config) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Raw {
            streams: Vec<String>,
        }
        let Raw { streams } = json(raw)?;
        let streams = stream_names(streams, config)?;
        Ok(Self { streams })
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
    use super::*;
    use proptest::prelude::*;

    fn raw(body: &[u8]) -> RawRequest<'_> {
        RawRequest {
            method: "PUT",
            scheme: None,
            authority: None,
            target: "/",
            headers: &[],
            body,
            body_state: BodyState::Complete,
        }
    }

    fn ask(body: &str) -> Result<Ask, RefusedCode> {
        Ask::parse(&raw(body.as_bytes()), &limits::Config::default()).map_err(|error| error.code)
    }

    #[test]
    fn a_subscription_is_read_in_its_normal_form() {
        let asked = ask(
            r#"{"type":"pull-wake","streams":["b","a","b"],"wake_stream":"wake/pool","more":1}"#,
        )
        .unwrap();
        assert_eq!(asked.streams, ["a", "b"]);
        assert_eq!(asked.config.lease_ttl_ms, 30_000);
        assert!(asked.config.is_wake_stream("wake/pool"));
        let asked = ask(
            r#"{"type":"webhook","pattern":"a/*","webhook":{"url":"https://w.example/h"},"lease_ttl_ms":1000}"#,
        )
        .unwrap();
        assert!(asked.config.is_webhook() && asked.config.matches("a/b"));
    }

    #[test]
    fn members_of_another_type_are_ignored() {
        let webhook = r#"{"type":"webhook","pattern":"*","webhook":{"url":"https://w.example/h"}"#;
        let both = format!(r#"{webhook},"wake_stream":"w"}}"#);
        assert_eq!(ask(&both), ask(&format!("{webhook}}}")));
        let pull = r#"{"type":"pull-wake","pattern":"*","wake_stream":"w""#;
        let both = format!(r#"{pull},"webhook":{{"url":"ftp://w"}}}}"#);
        assert_eq!(ask(&both), ask(&format!("{pull}}}")));
    }

    #[test]
    fn bodies_are_objects_and_never_arrays() {
        let refused = Err(RefusedCode::InvalidRequest);
        assert_eq!(ask(r#"["pull-wake","*",null,null,"w",null,null]"#), refused);
        let listed = r#"{"type":"webhook","pattern":"*","webhook":["https://w.example/h"]}"#;
        assert_eq!(ask(listed), refused);
        assert!(ClaimAsk::parse(&raw(br#"["me"]"#)).is_err());
        let ack = br#"{"wake_id":"w","generation":7,"acks":[["a","-1"]]}"#;
        assert!(AckAsk::parse(&raw(ack), &limits::Config::default()).is_err());
    }

    #[test]
    fn an_invalid_subscription_gets_a_reason() {
        use RefusedCode::{InvalidRequest, TooManyLinks, WebhookUrlRejected};
        let long = format!(
            r#"{{"type":"pull-wake","wake_stream":"w","streams":["{}"]}}"#,
            (0..800)
                .map(|n| format!("{n:060}"))
                .collect::<Vec<_>>()
                .join("\",\"")
        );
        let larger = long.replace("0000", "00000");
        for (body, code) in [
            ("", InvalidRequest),
            ("[]", InvalidRequest),
            ("{", InvalidRequest),
            (r#"{"type":"webhook","pattern":"*"}"#, InvalidRequest),
            (r#"{"type":"x","pattern":"*"}"#, InvalidRequest),
            (r#"{"type":"pull-wake","pattern":"*"}"#, InvalidRequest),
            (r#"{"type":"pull-wake","wake_stream":"w"}"#, InvalidRequest),
            (
                r#"{"type":"pull-wake","wake_stream":"w","streams":["w"]}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"__ds/x","pattern":"*"}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"w","pattern":"/a"}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"w","pattern":7}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"w","pattern":"*","lease_ttl_ms":999}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"w","pattern":"*","lease_ttl_ms":600001}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"pull-wake","wake_stream":"w","streams":["a//b"]}"#,
                InvalidRequest,
            ),
            (
                r#"{"type":"webhook","pattern":"*","webhook":{"url":"http://10.0.0.1/"}}"#,
                WebhookUrlRejected,
            ),
            (&larger, TooManyLinks),
        ] {
            assert_eq!(ask(body), Err(code), "{body}");
        }
        assert!(ask(&long).is_ok());
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
            let config = limits::Config::default();
            let _ = Ask::parse(&raw(&body), &config);
            let _ = AckAsk::parse(&raw(&body), &config);
            let _ = ClaimAsk::parse(&raw(&body));
        }
    }
}
