//! Claims of a verified token (RFC 7519).

use super::json::Members;
use super::{Caller, InvalidToken, Rights};
use crate::limits::CLOCK_SKEW_MS;
use serde_json::Value;

/// Returns the sender that the claims describe. `audience` is the server's own, or empty.
pub(super) fn caller(payload: &[u8], audience: &str, now_ms: u64) -> Result<Caller, InvalidToken> {
    let claims = Members::parse(payload).ok_or(InvalidToken::Claims)?;
    let exp_ms = date_ms(&claims, "exp")?.ok_or(InvalidToken::Claims)?;
    let nbf_ms = date_ms(&claims, "nbf")?.unwrap_or_default();
    if !is_audience(&claims, audience)? {
        return Err(InvalidToken::Audience);
    }
    let until_ms = exp_ms.saturating_add(CLOCK_SKEW_MS);
    if now_ms >= until_ms {
        return Err(InvalidToken::Expired);
    }
    if now_ms.saturating_add(CLOCK_SKEW_MS) < nbf_ms {
        return Err(InvalidToken::Early);
    }
    let text = |name| match claims.get(name) {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err(InvalidToken::Claims),
    };
    let rights = Rights::granted(text("scope")?, text("prefix")?.to_owned());
    Ok(Caller {
        rights: rights.ok_or(InvalidToken::Claims)?,
        until_ms: Some(until_ms),
    })
}

/// A time claim in milliseconds. The token gives seconds, with or without a fraction.
fn date_ms(claims: &Members, name: &str) -> Result<Option<u64>, InvalidToken> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(secs) = value.as_u64() {
        return Ok(Some(secs.saturating_mul(1000)));
    }
    let secs = value.as_f64().ok_or(InvalidToken::Claims)?;
    // The cast saturates: a time before 1970 becomes 0, and one too large becomes `u64::MAX`.
    Ok(Some((secs * 1000.0) as u64))
}

/// Whether the token's audience matches (section 4.1.3). A server without an audience accepts only
/// tokens without one.
fn is_audience(claims: &Members, ours: &str) -> Result<bool, InvalidToken> {
    let one = |value: &Value| match value {
        Value::String(name) => Ok(name == ours),
        _ => Err(InvalidToken::Claims),
    };
    let named = match claims.get("aud") {
        None => return Ok(ours.is_empty()),
        Some(Value::Array(names)) => names
            .iter()
            .try_fold(false, |found, name| one(name).map(|same| found || same))?,
        Some(name) => one(name)?,
    };
    Ok(named && !ours.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW_MS: u64 = 1_767_225_600_000;
    const NOW: u64 = NOW_MS / 1000;

    fn judge(claims: &str, audience: &str) -> Result<Caller, InvalidToken> {
        let claims = claims.replace("NOW", &NOW.to_string());
        caller(claims.as_bytes(), audience, NOW_MS)
    }

    #[test]
    fn a_token_grants_its_claims_until_it_expires() {
        let claims = r#"{"exp":NOW,"nbf":0,"scope":"read email","prefix":"a/b","iss":"x"}"#;
        let caller = judge(claims, "").unwrap();
        // The rights last until the server refuses the token. A connection that ended earlier would
        // reconnect at once.
        assert_eq!(caller.until_ms, Some(NOW_MS + CLOCK_SKEW_MS));
        assert_eq!(
            Some(caller.rights),
            Rights::granted("read", "a/b".to_owned())
        );
        let bare = judge(r#"{"exp":NOW}"#, "").unwrap();
        assert_eq!(Some(bare.rights), Rights::granted("", String::new()));
    }

    #[test]
    fn claims_of_a_wrong_type_are_refused() {
        for claims in [
            "",
            "[]",
            "{}",
            r#"{"nbf":0}"#,
            r#"{"exp":"NOW"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":NOW,"exp":NOW}"#,
            r#"{"exp":NOW,"a":1,"a":2}"#,
            r#"{"exp":NOW,"nbf":"0"}"#,
            r#"{"exp":NOW,"scope":["read"]}"#,
            r#"{"exp":NOW,"scope":"read","scope":"write"}"#,
            r#"{"exp":NOW,"prefix":1}"#,
            r#"{"exp":NOW,"prefix":null}"#,
            r#"{"exp":NOW,"prefix":"a/"}"#,
            r#"{"exp":NOW,"aud":1}"#,
            r#"{"exp":NOW,"aud":["x",1]}"#,
            r#"{"exp":NOW}{}"#,
        ] {
            assert_eq!(judge(claims, ""), Err(InvalidToken::Claims), "{claims}");
        }
        let bytes = b"{\"exp\":99999999999,\"a\":\"\xff\"}";
        assert_eq!(caller(bytes, "", NOW_MS), Err(InvalidToken::Claims));
    }

    #[test]
    fn an_audience_is_named_exactly_if_there_is_one() {
        let with = |aud: &str| format!(r#"{{"exp":NOW{aud}}}"#);
        for (aud, ours, good) in [
            ("", "", true),
            ("", "us", false),
            (r#","aud":"us""#, "us", true),
            (r#","aud":["them","us"]"#, "us", true),
            (r#","aud":["them"]"#, "us", false),
            (r#","aud":[]"#, "us", false),
            (r#","aud":"US""#, "us", false),
            (r#","aud":"us""#, "", false),
            (r#","aud":"""#, "", false),
            (r#","aud":[]"#, "", false),
        ] {
            let judged = judge(&with(aud), ours);
            assert_eq!(judged.is_ok(), good, "{aud} {ours}: {judged:?}");
            assert!(good || judged == Err(InvalidToken::Audience));
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let at = |claims: &str, now_ms| caller(claims.as_bytes(), "", now_ms).map(drop);
        let exp = r#"{"exp":1000.5}"#;
        assert_eq!(at(exp, 1_000_500 + CLOCK_SKEW_MS - 1), Ok(()));
        assert_eq!(
            at(exp, 1_000_500 + CLOCK_SKEW_MS),
            Err(InvalidToken::Expired)
        );
        let nbf = r#"{"exp":9e99,"nbf":1000}"#;
        assert_eq!(at(nbf, 1_000_000 - CLOCK_SKEW_MS), Ok(()));
        assert_eq!(
            at(nbf, 1_000_000 - CLOCK_SKEW_MS - 1),
            Err(InvalidToken::Early)
        );
        for exp in ["-1", "-1e300", "0", "-0.0"] {
            let claims = format!(r#"{{"exp":{exp}}}"#);
            assert_eq!(at(&claims, NOW_MS), Err(InvalidToken::Expired), "{exp}");
        }
    }

    proptest! {
        #[test]
        fn any_claims_are_judged_without_a_panic(claims: Vec<u8>, number: f64, now_ms: u64) {
            let _ = caller(&claims, "", now_ms);
            let _ = caller(format!(r#"{{"exp":{number:e}}}"#).as_bytes(), "", now_ms);
        }
    }
}
