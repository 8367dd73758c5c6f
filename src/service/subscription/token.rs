//! Callback and claim tokens (section 12.9): JSON Web Tokens that only this server makes and reads,
//! for one subscription and one generation.

use super::signing::Keyring;
use crate::limits::WAKE_TOKEN_MS;
use crate::protocol::problem::{Code, Problem};
use crate::subscription::{Subscription, id};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use serde::{Deserialize, Serialize};

/// The only header accepted, so that no token chooses how it is verified.
const HEADER: &str = r#"{"alg":"HS256","typ":"ds-wake+jwt"}"#;

/// Content of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    /// The subscription's full id.
    sub: String,
    /// The life of that subscription, in hexadecimal: it is a large number.
    life: String,
    /// The generation.
    generation: u64,
    /// Seconds since 1970.
    exp: u64,
}

fn life(subscription: &Subscription) -> String {
    format!("{:016x}", subscription.life)
}

/// A token for the current wake.
pub(super) fn issue(keyring: &Keyring, subscription: &Subscription, now_ms: u64) -> String {
    let claims = Claims {
        sub: subscription.id.clone(),
        life: life(subscription),
        generation: subscription.generation,
        exp: now_ms.saturating_add(WAKE_TOKEN_MS) / 1000,
    };
    let claims = serde_json::to_vec(&claims).unwrap_or_default();
    let signed = [BASE64_URL.encode(HEADER), BASE64_URL.encode(claims)].join(".");
    let code = BASE64_URL.encode(keyring.seal(signed.as_bytes()));
    format!("{signed}.{code}")
}

fn claims(signed: &str) -> Option<Claims> {
    let (_, claims) = signed.split_once('.')?;
    let claims = BASE64_URL.decode(claims).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// The signed part of a token that this server made.
fn sealed<'a>(keyring: &Keyring, token: &'a [u8]) -> Option<&'a str> {
    let text = std::str::from_utf8(token).ok()?;
    let (signed, code) = text.rsplit_once('.')?;
    let code = BASE64_URL.decode(code).ok()?;
    keyring.is_seal(signed.as_bytes(), &code).then_some(signed)
}

/// The full id of the subscription that a token of this server is for, if the caller gave it as
/// `given`. [`judge`] checks the rest against the subscription.
pub(super) fn names(keyring: &Keyring, token: &[u8], given: &str) -> Option<String> {
    let full = claims(sealed(keyring, token)?)?.sub;
    (id::given(&full) == given).then_some(full)
}

/// The token is for another subscription, or was not made by this server.
pub(super) fn invalid() -> Problem {
    let detail = "The token does not belong to this subscription.";
    Problem::new(Code::TokenInvalid, detail)
}

/// The generation of a token, if the token is for this subscription.
pub(super) fn judge(
    keyring: &Keyring,
    token: &[u8],
    subscription: &Subscription,
    now_ms: u64,
) -> Result<u64, Problem> {
    let signed = sealed(keyring, token).ok_or_else(invalid)?;
    let claims = claims(signed).ok_or_else(invalid)?;
    if claims.sub != subscription.id || claims.life != life(subscription) {
        return Err(invalid());
    }
    if claims.exp <= now_ms / 1000 {
        let detail = "The token has expired. Its wake is over, or the worker held it for too \
                      long. Claim again.";
        return Err(Problem::new(Code::TokenExpired, detail));
    }
    Ok(claims.generation)
}
