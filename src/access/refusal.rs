//! Reasons to refuse a request's credentials.

/// Why a request's credentials are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are no credentials, or they use another scheme.
    #[error("This request needs a token. Send Authorization: Bearer <token>.")]
    Missing,
    /// There are several, and it is not defined which one counts.
    #[error("Authorization was sent more than once. Send it once.")]
    Several,
    /// The token is not accepted.
    #[error("The token is not accepted: {0}.")]
    Invalid(#[from] InvalidToken),
}

/// Why a token is not accepted. A token's claims are not revealed before its signature is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// The token is malformed, is not listed, or has no valid signature of a known key.
    #[error("it is malformed or unknown, or its signature does not match")]
    Unknown,
    /// Claims are missing, repeated or of the wrong type.
    #[error("its claims are malformed; exp is required")]
    Claims,
    /// The token has expired.
    #[error("it has expired")]
    Expired,
    /// The token is not valid yet.
    #[error("it is not valid yet")]
    Early,
    /// The token is for another audience.
    #[error("it is for another audience")]
    Audience,
}
