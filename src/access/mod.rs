//! Authentication and authorisation: pure decisions over a request's credentials. No I/O, no clock.
//!
//! Bearer tokens (RFC 6750) are either listed in a variable or JSON Web Tokens (RFC 7519). `hmac`
//! and `ed25519-dalek` verify signatures, and `subtle` compares tokens. This module only parses the
//! framing, for these two algorithms. `jsonwebtoken` and similar crates add RSA and the NIST
//! curves, and do not define which of two members with one name counts.

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
use keys::TokenKeys;
use tokens::Tokens;

/// The log message while access control is off.
pub const OFF: &str = "access control is off";

/// The consequence of [`OFF`], for the same log line.
pub const OFF_MEANS: &str = "anyone who can reach this server can read and write every stream. \
                             Set auth_tokens or a key (auth_...) to change that.";

/// Tokens and keys, ready for use.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Tokens,
    keys: TokenKeys,
    audience: String,
}

impl Access {
    /// Reads the variables.
    ///
    /// # Errors
    ///
    /// The first variable with an invalid value, or with a value that needs another variable.
    pub fn new(config: &Config) -> Result<Self, Malformed> {
        let access = Self {
            tokens: Tokens::parse(config.auth_tokens.expose())
                .map_err(|expected| malformed("auth_tokens", expected))?,
            keys: TokenKeys::of(
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
                "a key as well (auth_hs256_secret, auth_eddsa_key or auth_jwks): without a key, \
                 no token has an audience",
            ));
        }
        Ok(access)
    }

    /// Whether there is access control at all.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.tokens.is_empty() || !self.keys.is_empty()
    }

    /// Returns the sender of a request with these `Authorization` fields. While access control is
    /// off, every sender is [`Caller::anyone`].
    ///
    /// # Errors
    ///
    /// Why the request is refused.
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
