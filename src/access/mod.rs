//! Who may do what: pure decisions over a request's credentials. No I/O, no clock.
//!
//! Bearer tokens (RFC 6750) are either listed in a variable or JSON Web Tokens (RFC 7519). `hmac`
//! and `ed25519-dalek` verify, `subtle` compares; what is here is the framing around them, for
//! these two algorithms only. `jsonwebtoken` and its like bring RSA and the curves of NIST with
//! them, and leave repeated names in a token to chance.

mod bearer;
mod caller;
mod claims;
mod json;
mod jws;
mod keys;
mod refusal;
mod rights;
mod tokens;

pub use caller::Caller;
pub use refusal::{InvalidToken, Refusal};
pub use rights::{Rights, Scope};

use crate::limits::{Config, Malformed};
use keys::Keys;
use tokens::Tokens;

/// What is told where access control is off.
pub const OFF: &str = "access control is off";

/// What that means.
pub const OFF_MEANS: &str = "whoever reaches this server may read and write; set auth_tokens or a \
                             key (auth_...) to change that";

/// Tokens and keys, ready for use.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Tokens,
    keys: Keys,
    audience: String,
}

impl Access {
    /// Reads the variables.
    ///
    /// # Errors
    ///
    /// The first one that has no meaning: on its own, or without the others.
    pub fn new(config: &Config) -> Result<Self, Malformed> {
        let access = Self {
            tokens: Tokens::parse(config.auth_tokens.expose())
                .map_err(|expected| malformed("auth_tokens", expected))?,
            keys: Keys::of(
                config.auth_hs256_secret.expose(),
                &config.auth_eddsa_key,
                config.auth_jwks.expose(),
            )
            .map_err(|(name, expected)| malformed(name, expected))?,
            audience: config.auth_audience.clone(),
        };
        if !access.audience.is_empty() && access.keys.is_empty() {
            return Err(malformed(
                "auth_audience",
                "a key to go with it: without one, no token has an audience",
            ));
        }
        Ok(access)
    }

    /// Whether there is access control at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.tokens.is_empty() || !self.keys.is_empty()
    }

    /// Says who sent a request with these `Authorization` fields. Anyone, while access control is
    /// off.
    ///
    /// # Errors
    ///
    /// Why they are not let in.
    pub fn judge<'a>(
        &self,
        fields: impl Iterator<Item = &'a [u8]>,
        now_ms: u64,
    ) -> Result<Caller, Refusal> {
        if !self.is_on() {
            return Ok(Caller::anyone());
        }
        let token = bearer::token(fields)?;
        if let Some(rights) = self.tokens.find(token) {
            return Ok(Caller {
                rights: rights.clone(),
                until_ms: None,
            });
        }
        let signed = jws::payload(token, &self.keys).ok_or(InvalidToken::Unknown)?;
        Ok(claims::caller(&signed, &self.audience, now_ms)?)
    }
}

fn malformed(name: &'static str, expected: &str) -> Malformed {
    Malformed {
        name,
        value: None,
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
