//! The body of a call that creates a subscription. Members for another type of subscription are
//! ignored.

use super::body::{invalid, json};
use super::names::{stream_name, stream_names};
use super::object::Object;
use super::{Refused, RefusedCode};
use crate::limits::{self, LEASE_DEFAULT_MS, LEASE_MS, MAX_DESCRIPTION_BYTES};
use crate::protocol::request::RawRequest;
use crate::subscription::{Config, Delivery, Glob, url};
use serde::Deserialize;

/// A request to create a subscription (section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The configuration of the subscription.
    pub config: Config,
    /// The explicitly named streams, sorted and without duplicates.
    pub streams: Vec<String>,
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

#[cfg(test)]
mod tests {
    use super::super::body::tests::raw;
    use super::*;
    use proptest::prelude::*;

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
    fn a_body_is_an_object_and_never_an_array() {
        let refused = Err(RefusedCode::InvalidRequest);
        assert_eq!(ask(r#"["pull-wake","*",null,null,"w",null,null]"#), refused);
        let listed = r#"{"type":"webhook","pattern":"*","webhook":["https://w.example/h"]}"#;
        assert_eq!(ask(listed), refused);
    }

    proptest! {
        #[test]
        fn any_body_is_judged_without_a_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Ask::parse(&raw(&body), &limits::Config::default());
        }
    }
}
