//! Verification keys of signed tokens, of two kinds.

use crate::limits::{MAX_KEYS, MIN_HS256_BYTES};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::Sha256;

const EXPECTED_SECRET: &str = "at least 32 bytes";
const EXPECTED_KEY: &str = "32 bytes of a public Ed25519 key in base64url without padding";
const EXPECTED_SET: &str = "a JSON Web Key Set of at most 32 keys, with at least one key for \
                            HS256 or Ed25519, each kid only once for each algorithm, no private \
                            key, and secrets of at least 32 bytes";

/// A signature algorithm of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    EdDsa,
}

impl Algorithm {
    /// Returns the algorithm with this `alg` value (RFC 7518, RFC 8037).
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

#[derive(Debug)]
enum Verifier {
    Hs256(Box<Hmac<Sha256>>),
    EdDsa(Box<VerifyingKey>),
}

impl Verifier {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Hs256(_) => Algorithm::Hs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256(key) => {
                let mut mac = Hmac::clone(key);
                mac.update(message);
                // The comparison takes constant time and refuses a truncated signature.
                mac.verify_slice(signature).is_ok()
            }
            Self::EdDsa(key) => {
                let signature = Signature::from_slice(signature);
                // Strict verification accepts only one signature for a message.
                signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
        }
    }
}

/// A key, and its name if it has one.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    verifier: Verifier,
}

/// All keys of the server.
#[derive(Debug, Default)]
pub(super) struct TokenKeys(Vec<Key>);

impl TokenKeys {
    /// Reads the three key variables: a secret for HS256, a public Ed25519 key, and a JSON Web Key
    /// Set. Each may be empty.
    ///
    /// # Errors
    ///
    /// The name of the first variable with an invalid value, and a description of valid values.
    pub(super) fn of(
        hs256_secret: &str,
        eddsa_key: &str,
        jwks: &str,
    ) -> Result<Self, (&'static str, &'static str)> {
        let single = |verifier| Key {
            kid: None,
            verifier,
        };
        let secret = secret(hs256_secret).map_err(|expected| ("auth_hs256_secret", expected))?;
        let public = public(eddsa_key).map_err(|expected| ("auth_eddsa_key", expected))?;
        let mut keys = set(jwks).map_err(|expected| ("auth_jwks", expected))?;
        keys.extend(secret.map(single));
        keys.extend(public.map(single));
        Ok(Self(keys))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a key named `kid` signed `message`. A signature without a `kid` is checked against
    /// the keys without a name.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let named = |key: &&Key| key.verifier.algorithm() == algorithm && key.kid.as_deref() == kid;
        let mut keys = self.0.iter().filter(named);
        keys.any(|key| key.verifier.verify(message, signature))
    }
}

fn secret(text: &str) -> Result<Option<Verifier>, &'static str> {
    match text {
        "" => Ok(None),
        _ => hs256(text.as_bytes()).map(Some).ok_or(EXPECTED_SECRET),
    }
}

fn hs256(secret: &[u8]) -> Option<Verifier> {
    if secret.len() < MIN_HS256_BYTES {
        return None;
    }
    let key = Hmac::new_from_slice(secret).ok()?;
    Some(Verifier::Hs256(Box::new(key)))
}

fn public(text: &str) -> Result<Option<Verifier>, &'static str> {
    match text {
        "" => Ok(None),
        _ => eddsa(text).map(Some).ok_or(EXPECTED_KEY),
    }
}

fn eddsa(x: &str) -> Option<Verifier> {
    let bytes = URL_SAFE_NO_PAD.decode(x).ok()?;
    let key = VerifyingKey::from_bytes(bytes.as_slice().try_into().ok()?).ok()?;
    // Anyone can forge signatures for a key of small order.
    (!key.is_weak()).then(|| Verifier::EdDsa(Box::new(key)))
}

/// The members of a JSON Web Key (RFC 7517) that the server uses.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    k: Option<String>,
    d: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

fn set(text: &str) -> Result<Vec<Key>, &'static str> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let set: Set = serde_json::from_str(text).map_err(|_| EXPECTED_SET)?;
    if set.keys.len() > MAX_KEYS {
        return Err(EXPECTED_SET);
    }
    let mut keys: Vec<Key> = Vec::new();
    for jwk in set.keys {
        let Some(algorithm) = jwk.algorithm() else {
            continue;
        };
        let key = jwk.key(algorithm).ok_or(EXPECTED_SET)?;
        let same = |other: &Key| {
            key.kid.is_some() && key.kid == other.kid && other.verifier.algorithm() == algorithm
        };
        if keys.iter().any(same) {
            return Err(EXPECTED_SET);
        }
        keys.push(key);
    }
    match keys.is_empty() {
        true => Err(EXPECTED_SET),
        false => Ok(keys),
    }
}

impl Jwk {
    /// The algorithm that the key verifies. TokenKeys of other types and for other uses are skipped (RFC
    /// 7517, section 5).
    fn algorithm(&self) -> Option<Algorithm> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Algorithm::Hs256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let named = match self.alg.as_deref() {
            None => true,
            Some(name) => Algorithm::named(name) == Some(algorithm),
        };
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = |operations: &Vec<String>| operations.iter().any(|each| each == "verify");
        let verifies = self.key_ops.as_ref().is_none_or(verifies);
        (named && signs && verifies).then_some(algorithm)
    }

    fn key(self, algorithm: Algorithm) -> Option<Key> {
        let verifier = match algorithm {
            Algorithm::Hs256 => hs256(&URL_SAFE_NO_PAD.decode(self.k?).ok()?)?,
            // A private key must not be in the variable.
            Algorithm::EdDsa if self.d.is_some() => return None,
            Algorithm::EdDsa => eddsa(&self.x?)?,
        };
        Some(Key {
            kid: self.kid,
            verifier,
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::ED25519_X;
    use super::*;

    /// RFC 7515, appendix A.1.
    pub(in super::super) const HS256_JWK: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    pub(in super::super) const HS256_TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
         eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0\
         cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    pub(in super::super) fn keys_of(variables: &[(&str, &str)]) -> TokenKeys {
        let given = |name: &str| {
            let row = variables.iter().find(|(known, _)| *known == name);
            row.map_or("", |(_, value)| value)
        };
        let (secret, key) = (given("auth_hs256_secret"), given("auth_eddsa_key"));
        TokenKeys::of(secret, key, given("auth_jwks")).unwrap()
    }

    #[test]
    fn keys_of_other_kinds_are_left_out() {
        let rsa = r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}"#;
        let okp = format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"a","x":"{ED25519_X}"}}"#);
        let x25519 =
            r#"{"kty":"OKP","crv":"X25519","x":"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"}"#;
        let count = |keys: &[&str]| {
            let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
            set(&text).map(|keys| keys.len())
        };
        assert_eq!(count(&[rsa, &okp, x25519, HS256_JWK]), Ok(2));
        for (named, good) in [
            (r#""alg":"EdDSA","#, true),
            (r#""use":"sig","key_ops":["verify"],"#, true),
            (r#""alg":"HS256","#, false),
            (r#""use":"enc","#, false),
            (r#""key_ops":["sign"],"#, false),
        ] {
            let key = okp.replacen('{', &format!("{{{named}"), 1);
            assert_eq!(count(&[&key]).is_ok(), good, "{key}");
        }
        for wrong in [
            vec![],
            vec![rsa],
            vec![&*okp, &*okp],
            vec![r#"{"kty":"oct","k":"c2hvcnQ"}"#],
            vec![r#"{"kty":"oct"}"#],
            vec![r#"{"kid":"a"}"#],
            vec![HS256_JWK; MAX_KEYS + 1],
        ] {
            assert!(count(&wrong).is_err(), "{wrong:?}");
        }
        let private = okp.replace("\"kid\"", "\"d\":\"x\",\"kid\"");
        assert!(count(&[&private]).is_err());
    }

    #[test]
    fn weak_and_malformed_keys_are_refused() {
        assert!(public("").is_ok());
        assert!(public(ED25519_X).is_ok());
        let zeros = URL_SAFE_NO_PAD.encode([0; 32]);
        let mut one = [0; 32];
        one[0] = 1;
        let one = URL_SAFE_NO_PAD.encode(one);
        for wrong in ["x", &zeros, &one, &format!("{ED25519_X}="), &ED25519_X[1..]] {
            assert_eq!(public(wrong).err(), Some(EXPECTED_KEY), "{wrong}");
        }
        assert!(secret("").is_ok());
        assert!(secret(&"s".repeat(32)).is_ok());
        assert_eq!(secret(&"s".repeat(31)).err(), Some(EXPECTED_SECRET));
        assert!(set("").is_ok());
        assert_eq!(set("{}").err(), Some(EXPECTED_SET));
    }

    #[test]
    fn no_key_is_shown() {
        let secret = "a secret of HS256 that is long enough";
        let keys = keys_of(&[("auth_hs256_secret", secret)]);
        assert!(!format!("{keys:?}").contains("secret of"), "{keys:?}");
    }
}
