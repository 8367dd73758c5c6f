//! Why somebody is not let in.

/// Why a request's credentials are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are none, or of another scheme.
    #[error("This needs a token: send Authorization: Bearer <token>.")]
    Missing,
    /// There are several, and which one counts is anyone's guess.
    #[error("Authorization was sent more than once. Send it once.")]
    Several,
    /// There is a token that is not accepted.
    #[error("The token is not accepted: {0}.")]
    Invalid(#[from] InvalidToken),
}

/// Why a token is not accepted. What it says of itself is told to nobody before its signature is
/// verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is not of the form, not known, or not signed by a known key.
    #[error("it is malformed or unknown, or its signature does not match")]
    Unknown,
    /// Its claims are missing, repeated or of the wrong type.
    #[error("its claims are malformed; exp is required")]
    Claims,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It has not begun.
    #[error("it is not valid yet")]
    Early,
    /// It is meant for others.
    #[error("it is for another audience")]
    Audience,
}
