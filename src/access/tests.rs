//! Tokens for tests, and tests that combine listed tokens and keys.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// RFC 8037, appendix A.
pub(super) const ED25519_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
pub(super) const ED25519_TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.\
     RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
     hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const ED25519_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

fn signed(header: &str, payload: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(payload.as_bytes())
    );
    let signature = encode(&sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

pub(crate) fn hs256(header: &str, payload: &str, secret: &[u8]) -> String {
    signed(header, payload, |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    })
}

/// Signs with the private key of RFC 8037.
pub(super) fn ed25519(header: &str, payload: &str) -> String {
    let secret = URL_SAFE_NO_PAD.decode(ED25519_D).unwrap();
    let key = SigningKey::from_bytes(secret.as_slice().try_into().unwrap());
    signed(header, payload, |message| {
        key.sign(message).to_bytes().to_vec()
    })
}

fn access(variables: &[(&str, &str)]) -> Result<Access, Malformed> {
    let given = |name: &str| variables.iter().find(|(known, _)| *known == name);
    let config = Config::from_lookup(|name| given(name).map(|(_, value)| (*value).to_owned()));
    Access::new(&config?)
}

fn judge(access: &Access, token: &str) -> Result<Caller, Refusal> {
    let field = format!("Bearer {token}");
    access.judge(std::iter::once(field.as_bytes()), 1_000_000)
}

#[test]
fn without_tokens_and_keys_every_caller_may_do_everything() {
    let access = access(&[]).unwrap();
    assert!(!access.is_on());
    assert_eq!(judge(&access, "whatever"), Ok(Caller::anyone()));
    assert_eq!(access.judge(std::iter::empty(), 0), Ok(Caller::anyone()));
}

#[test]
fn listed_and_signed_tokens_work_side_by_side() {
    let access = access(&[
        (
            "auth_tokens",
            r#"[{"token":"aaaaaaaa.bbbbbbbb.cccccccc","scope":"read"}]"#,
        ),
        ("auth_eddsa_key", ED25519_X),
        ("auth_audience", "us"),
    ])
    .unwrap();
    let listed = judge(&access, "aaaaaaaa.bbbbbbbb.cccccccc").unwrap();
    assert_eq!((listed.rights.read, listed.until_ms), (true, None));
    let claims = r#"{"exp":1001,"aud":"us","scope":"write","prefix":"a"}"#;
    let signed = judge(&access, &ed25519(r#"{"alg":"EdDSA"}"#, claims)).unwrap();
    assert_eq!(signed.until_ms, Some(1_011_000));
    assert!(signed.rights.allow(Scope::Write, "a/b") && !signed.rights.read);
    let unknown = judge(&access, "aaaaaaaa.bbbbbbbb.cccccccd");
    assert_eq!(unknown, Err(InvalidToken::Unknown.into()));
    let empty = access.judge(std::iter::empty(), 0);
    assert_eq!(empty, Err(Refusal::Missing));
}

#[test]
fn an_audience_alone_protects_nothing_and_is_refused() {
    let refused = access(&[("auth_audience", "us")]).unwrap_err();
    assert_eq!(refused.name, "auth_audience");
    let tokens = r#"[{"token":"0123456789abcdef","scope":"read"}]"#;
    assert!(access(&[("auth_audience", "us"), ("auth_tokens", tokens)]).is_err());
}

#[test]
fn no_refusal_contains_the_content_of_a_token() {
    let access = access(&[("auth_eddsa_key", ED25519_X)]).unwrap();
    let token = hs256(r#"{"alg":"HS256"}"#, r#"{"exp":1,"hush":1}"#, b"hush");
    let refused = judge(&access, &token).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains(&token));
}
