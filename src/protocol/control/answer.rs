//! Response bodies of control calls, and the content of wakes.

use serde::Serialize;

/// Formats a wake's number as its id.
#[must_use]
pub fn wake_id(wake: u64) -> String {
    format!("w_{wake:016x}")
}

/// A subscription (section 6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SubscriptionDocument {
    /// The id that the creator gave.
    pub id: String,
    /// Equal to `id`.
    pub subscription_id: String,
    /// `webhook` or `pull-wake`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The pattern of the names that it subscribes to.
    pub pattern: Option<String>,
    /// The linked streams.
    pub streams: Vec<StreamDocument>,
    /// The receiver of the wakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookDocument>,
    /// The stream that receives the wakes.
    pub wake_stream: Option<String>,
    /// How long a worker may be silent, in milliseconds.
    pub lease_ttl_ms: u64,
    /// The time of creation, in RFC 3339 form.
    pub created_at: String,
    /// `active` or `failed`.
    pub status: &'static str,
    /// The description that the creator gave.
    pub description: Option<String>,
}

/// A linked stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StreamDocument {
    /// The name of the stream.
    pub path: String,
    /// `glob` or `explicit`.
    pub link_type: &'static str,
    /// The worker has processed the stream up to this offset.
    pub acked_offset: String,
    /// The tail of the stream; sent only to workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_offset: Option<String>,
    /// Whether the tail is beyond `acked_offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_pending: Option<bool>,
}

/// The receiver of wakes, and the signing of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WebhookDocument {
    /// The URL of the webhook.
    pub url: String,
    /// How the requests are signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing: Option<SigningDocument>,
}

/// How wakes are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SigningDocument {
    /// `ed25519`.
    pub alg: &'static str,
    /// The key that is in use now.
    pub kid: String,
    /// The URL of the key set.
    pub jwks_url: String,
}

/// The response to a claim (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ClaimDocument {
    /// The id of the wake.
    pub wake_id: String,
    /// The generation of the wake.
    pub generation: u64,
    /// The token for the worker's further calls.
    pub token: String,
    /// The linked streams.
    pub streams: Vec<StreamDocument>,
    /// How long the worker may be silent, in milliseconds.
    pub lease_ttl_ms: u64,
}

/// The request body to a webhook (section 7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WakeDocument<'a> {
    /// The id of the subscription.
    pub subscription_id: &'a str,
    /// The id of the wake.
    pub wake_id: String,
    /// The generation of the wake.
    pub generation: u64,
    /// The linked streams.
    pub streams: Vec<StreamDocument>,
    /// The URL for the worker's callbacks.
    pub callback_url: String,
    /// The token for the callbacks.
    pub callback_token: String,
}

/// The event in a wake stream (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WakeEvent<'a> {
    /// `wake`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The id of the subscription.
    pub subscription_id: &'a str,
    /// The stream that caused the wake.
    pub stream: &'a str,
    /// The generation of the wake.
    pub generation: u64,
    /// The time of the wake, milliseconds since 1970.
    pub ts: u64,
}

/// The response to an ack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct AckDocument {
    /// Always true.
    pub ok: bool,
    /// Whether another wake follows immediately.
    pub next_wake: bool,
}

/// A JSON Web Key Set (section 6.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KeysDocument {
    /// The key in use first.
    pub keys: Vec<KeyDocument>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct KeyDocument {
    /// `OKP`.
    pub kty: &'static str,
    /// `Ed25519`.
    pub crv: &'static str,
    /// The thumbprint of the key.
    pub kid: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// `EdDSA`.
    pub alg: &'static str,
    /// The key in base64url.
    pub x: String,
}
