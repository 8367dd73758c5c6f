//! Error responses of control calls: `{"error":{"code":..,"message":..}}`.

use serde::Serialize;

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedCode {
    /// The body, or a value in it, is invalid.
    InvalidRequest,
    /// The stream never returned this offset.
    InvalidOffset,
    /// The URL is not allowed for a webhook.
    WebhookUrlRejected,
    /// The body is too large.
    PayloadTooLarge,
    /// The stream does not exist.
    StreamNotFound,
    /// The stream is deleted, but forks still need its bytes.
    StreamGone,
    /// Names are not registered, so streams can't be listed.
    RegistryOff,
    /// The subscription does not exist.
    SubscriptionNotFound,
    /// The subscription exists with another configuration.
    SubscriptionAlreadyExists,
    /// A subscription or a stream would have too many links.
    TooManyLinks,
    /// There is no room for another subscription.
    TooManySubscriptions,
    /// The subscription is not linked to the stream.
    NotLinked,
    /// There is no work to claim.
    NoPendingWork,
    /// Another worker has the lease.
    AlreadyClaimed,
    /// The request refers to a wake that has ended.
    Fenced,
    /// The stream has another tail than the request expects.
    OtherTail,
    /// A producer has appended after the append that the request names.
    ProducerPast,
    /// The stream is open, or was closed by another append than the request names.
    OtherClose,
    /// The stream has no room for the producers.
    TooManyProducers,
}

impl RefusedCode {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::WebhookUrlRejected => 400,
            Self::StreamNotFound | Self::SubscriptionNotFound => 404,
            Self::InvalidOffset
            | Self::RegistryOff
            | Self::SubscriptionAlreadyExists
            | Self::TooManyLinks
            | Self::TooManySubscriptions
            | Self::NotLinked
            | Self::NoPendingWork
            | Self::AlreadyClaimed
            | Self::Fenced
            | Self::ProducerPast
            | Self::OtherClose => 409,
            Self::StreamGone => 410,
            Self::OtherTail => 412,
            Self::PayloadTooLarge => 413,
            Self::TooManyProducers => 429,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::InvalidOffset => "INVALID_OFFSET",
            Self::WebhookUrlRejected => "WEBHOOK_URL_REJECTED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::StreamNotFound => "NOT_FOUND",
            Self::StreamGone => "GONE",
            Self::RegistryOff => "REGISTRY_OFF",
            Self::SubscriptionNotFound => "SUBSCRIPTION_NOT_FOUND",
            Self::SubscriptionAlreadyExists => "SUBSCRIPTION_ALREADY_EXISTS",
            Self::TooManyLinks => "TOO_MANY_LINKS",
            Self::TooManySubscriptions => "TOO_MANY_SUBSCRIPTIONS",
            Self::NotLinked => "NOT_LINKED",
            Self::NoPendingWork => "NO_PENDING_WORK",
            Self::AlreadyClaimed => "ALREADY_CLAIMED",
            Self::Fenced => "FENCED",
            Self::OtherTail => "PRECONDITION_FAILED",
            Self::ProducerPast => "PRODUCER_PAST",
            Self::OtherClose => "OTHER_CLOSE",
            Self::TooManyProducers => "TOO_MANY_PRODUCERS",
        }
    }
}

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refused {
    /// The kind of the error.
    pub code: RefusedCode,
    /// An explanation for people.
    pub message: String,
    /// The worker that has the lease, and the generation of its wake.
    pub holder: Option<(String, u64)>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_holder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

impl Refused {
    /// Creates an error without a holder of the lease.
    #[must_use]
    pub fn new(code: RefusedCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            holder: None,
        }
    }

    /// Encodes the response body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let holder = self.holder.as_ref();
        let error = Error {
            code: self.code.as_str(),
            message: &self.message,
            current_holder: holder.map(|(worker, _)| &**worker),
            generation: holder.map(|(_, generation)| *generation),
        };
        // Strings and a number always serialize.
        serde_json::to_vec(&Document { error }).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_form_of_the_specification() {
        let mut refused = Refused::new(RefusedCode::AlreadyClaimed, "busy");
        refused.holder = Some(("worker-2".to_owned(), 7));
        assert_eq!(
            String::from_utf8(refused.body()).unwrap(),
            r#"{"error":{"code":"ALREADY_CLAIMED","message":"busy","current_holder":"worker-2","generation":7}}"#
        );
    }
}
