//! What control calls answer, and what wakes say.

use serde::Serialize;

/// The text of a wake's number.
#[must_use]
pub fn wake_id(wake: u64) -> String {
    format!("w_{wake:016x}")
}

/// A subscription (section 6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SubscriptionDocument {
    /// As its creator named it.
    pub id: String,
    /// The same.
    pub subscription_id: String,
    /// `webhook` or `pull-wake`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The streams it is for.
    pub pattern: Option<String>,
    /// The streams that are linked.
    pub streams: Vec<StreamDocument>,
    /// Where wakes are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookDocument>,
    /// The stream that has the wakes.
    pub wake_stream: Option<String>,
    /// How long a worker may be silent.
    pub lease_ttl_ms: u64,
    /// RFC 3339.
    pub created_at: String,
    /// `active` or `failed`.
    pub status: &'static str,
    /// For people.
    pub description: Option<String>,
}

/// A linked stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StreamDocument {
    /// Its name.
    pub path: String,
    /// `glob` or `explicit`.
    pub link_type: &'static str,
    /// Everything up to here was processed.
    pub acked_offset: String,
    /// Where it ends; only in what a worker gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tail_offset: Option<String>,
    /// Whether it ends behind that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_pending: Option<bool>,
}

/// Where wakes are sent, and how they are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WebhookDocument {
    /// The URL.
    pub url: String,
    /// How.
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
    /// Where all keys are.
    pub jwks_url: String,
}

/// What a worker that claims gets (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ClaimDocument {
    /// The wake.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
    /// For the worker's other calls.
    pub token: String,
    /// The streams that are linked.
    pub streams: Vec<StreamDocument>,
    /// How long the worker may be silent.
    pub lease_ttl_ms: u64,
}

/// What a webhook gets (section 7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WakeDocument<'a> {
    /// Of which subscription.
    pub subscription_id: &'a str,
    /// The wake.
    pub wake_id: String,
    /// Its generation.
    pub generation: u64,
    /// The streams that are linked.
    pub streams: Vec<StreamDocument>,
    /// Where to say what was done.
    pub callback_url: String,
    /// With this.
    pub callback_token: String,
}

/// What a wake stream gets (section 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WakeEvent<'a> {
    /// `wake`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of which subscription.
    pub subscription_id: &'a str,
    /// The stream whose event brought it about.
    pub stream: &'a str,
    /// Its generation.
    pub generation: u64,
    /// Milliseconds since 1970.
    pub ts: u64,
}

/// What a worker that acks gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct AckDocument {
    /// Always.
    pub ok: bool,
    /// Whether another wake follows at once.
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
    /// From the key's thumbprint.
    pub kid: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// `EdDSA`.
    pub alg: &'static str,
    /// The key in base64url.
    pub x: String,
}
