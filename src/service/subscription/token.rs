//! Callback and claim tokens (section 12.9): JSON Web Tokens that only this server makes and reads,
//! for one subscription and one generation.

use super::signing::Keyring;
use crate::limits::WAKE_TOKEN_MS;
use crate::protocol::problem::{Code, Problem};
use crate::subscription::Subscription;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use serde::{Deserialize, Serialize};

/// The one header there is, so that no token chooses how it is verified.
const HEADER: &str = r#"{"alg":"HS256","typ":"ds-wake+jwt"}"#;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    /// The subscription's id.
    sub: String,
    /// Which subscription of that id, in hexadecimal: it is a large number.
    life: String,
    /// The generation.
    generation: u64,
    /// Seconds since 1970.
    exp: u64,
}

fn life(subscription: &Subscription) -> String {
    format!("{:016x}", subscription.life)
}

/// A token for the wake that is under way.
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

/// The generation that a token is for, if it is one for this subscription.
pub(super) fn judge(
    keyring: &Keyring,
    token: &[u8],
    subscription: &Subscription,
    now_ms: u64,
) -> Result<u64, Problem> {
    let invalid = || {
        let detail = "The token is not one of this subscription.";
        Problem::new(Code::TokenInvalid, detail)
    };
    let text = std::str::from_utf8(token).map_err(|_| invalid())?;
    let (signed, code) = text.rsplit_once('.').ok_or_else(invalid)?;
    let code = BASE64_URL.decode(code).map_err(|_| invalid())?;
    if !keyring.is_seal(signed.as_bytes(), &code) {
        return Err(invalid());
    }
    let claims = signed.split_once('.').map(|(_, claims)| claims);
    let claims = claims.and_then(|claims| BASE64_URL.decode(claims).ok());
    let claims: Claims = claims
        .and_then(|claims| serde_json::from_slice(&claims).ok())
        .ok_or_else(invalid)?;
    if claims.sub != subscription.id || claims.life != life(subscription) {
        return Err(invalid());
    }
    if claims.exp <= now_ms / 1000 {
        let detail =
            "The token has expired. Its wake is over, or was held for too long; claim again.";
        return Err(Problem::new(Code::TokenExpired, detail));
    }
    Ok(claims.generation)
}
