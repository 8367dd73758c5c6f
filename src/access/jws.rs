//! JSON Web Signatures in their compact form (RFC 7515), parsed strictly.

use super::json::Members;
use super::keys::{Algorithm, TokenKeys};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Returns the payload of a token, if one of the keys signed it.
///
/// The key determines the algorithm, and the algorithm that the token names must match. Header
/// members that name, contain or locate a key are ignored.
pub(super) fn payload(token: &str, keys: &TokenKeys) -> Option<Vec<u8>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header = Members::parse(&decode(header)?)?;
    // `crit` lists extensions that the verifier must understand. None is supported.
    if header.get("crit").is_some() {
        return None;
    }
    let algorithm = Algorithm::named(header.get("alg")?.as_str()?)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return None,
    };
    let signature = decode(signature)?;
    let verified = keys.verify(algorithm, kid, signed.as_bytes(), &signature);
    // The payload must be strict base64 too: no padding, no stray bits.
    verified.then(|| decode(payload)).flatten()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::keys::tests::{HS256_JWK, HS256_TOKEN, keys_of};
    use super::super::tests::{ED25519_TOKEN, ED25519_X, ed25519, hs256};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_7515_verifies() {
        let keys = keys_of(&[("auth_jwks", &format!(r#"{{"keys":[{HS256_JWK}]}}"#))]);
        let payload = payload(HS256_TOKEN, &keys).unwrap();
        let claims = Members::parse(&payload).unwrap();
        assert_eq!(claims.get("iss"), Some(&Value::from("joe")));
    }

    #[test]
    fn the_example_of_rfc_8037_verifies() {
        let keys = keys_of(&[("auth_eddsa_key", ED25519_X)]);
        let payload = payload(ED25519_TOKEN, &keys).unwrap();
        assert_eq!(payload, b"Example of Ed25519 signing");
    }

    const SECRET: &str = "a secret of HS256 that is long enough";

    fn both() -> TokenKeys {
        keys_of(&[
            ("auth_hs256_secret", SECRET),
            ("auth_eddsa_key", ED25519_X),
            (
                "auth_jwks",
                r#"{"keys":[{"kty":"oct","kid":"k","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T"}]}"#,
            ),
        ])
    }

    #[test]
    fn headers_that_promise_something_else_are_refused() {
        let keys = both();
        let sign = |header: &str| payload(&hs256(header, "{}", SECRET.as_bytes()), &keys);
        assert_eq!(sign(r#"{"alg":"HS256"}"#), Some(b"{}".to_vec()));
        assert_eq!(
            sign(r#"{"typ":"JWT","alg":"HS256","jku":"x"}"#),
            Some(b"{}".to_vec())
        );
        for header in [
            "",
            "{}",
            "[]",
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":null}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"{"alg":"none","alg":"HS256"}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            r#"{"alg":"HS256","kid":"k"}"#,
            r#"{"alg":"HS256","kid":"other"}"#,
            r#"{"alg":"HS256","kid":1}"#,
            r#"{"alg":"HS256","kid":null}"#,
        ] {
            assert_eq!(sign(header), None, "{header}");
        }
    }

    /// If the token chose the algorithm, a client could sign tokens with the public key, used as an
    /// HS256 secret.
    #[test]
    fn a_public_key_does_not_work_as_a_secret() {
        let keys = keys_of(&[("auth_eddsa_key", ED25519_X)]);
        let raw = decode(ED25519_X).unwrap();
        for secret in [raw.as_slice(), ED25519_X.as_bytes(), b""] {
            let token = hs256(r#"{"alg":"HS256"}"#, "{}", secret);
            assert_eq!(payload(&token, &keys), None);
        }
        assert!(payload(&ed25519(r#"{"alg":"EdDSA"}"#, "{}"), &keys).is_some());
    }

    #[test]
    fn other_forms_are_refused() {
        let keys = both();
        let token = hs256(r#"{"alg":"HS256"}"#, "{}", SECRET.as_bytes());
        let [header, body, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("not three parts");
        };
        for wrong in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            header.to_owned(),
            format!("{header}.{body}"),
            format!("{header}.{body}."),
            format!("{header}..{signature}"),
            format!(".{body}.{signature}"),
            format!("{token}."),
            format!("{token}.{signature}"),
            format!("{header}.{body}.{body}.{signature}"),
            format!("{token}="),
            format!("{token}A"),
            format!("{header}=.{body}.{signature}"),
            format!("{{\"payload\":\"{body}\"}}"),
        ] {
            assert_eq!(payload(&wrong, &keys), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_token_with_one_flipped_bit_is_refused(place: prop::sample::Index, bit in 0..8_u8, hmac: bool) {
            let keys = both();
            let token = match hmac {
                true => hs256(r#"{"alg":"HS256"}"#, r#"{"exp":1}"#, SECRET.as_bytes()),
                false => ed25519(r#"{"alg":"EdDSA"}"#, r#"{"exp":1}"#),
            };
            prop_assert!(payload(&token, &keys).is_some());
            let mut bytes = token.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1_u8 << bit;
            if let Ok(token) = String::from_utf8(bytes) {
                prop_assert_eq!(payload(&token, &keys), None, "{}", token);
            }
        }

        #[test]
        fn any_text_is_judged_without_a_panic(token in "[A-Za-z0-9._-]{0,200}") {
            prop_assert_eq!(payload(&token, &both()), None);
        }
    }
}
