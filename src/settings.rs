//! The variables as a platform provides them: each under its own name, or many in one.
//!
//! On Spin 3 an instance serves one request. Every variable that the manifest gives to the
//! component is then looked up for every request, at 11 us of CPU each. So `spin.toml` passes only
//! two, both JSON objects: [`SETTINGS`], such as `{"long_poll_timeout_secs": 20}`, and [`SECRETS`].
//! A secret overrides a setting, and both override a variable of the same name.

use crate::limits::{Malformed, VARIABLES};
use serde_json::Value;
use std::collections::BTreeMap;

/// The variable with settings that may be shown.
pub const SETTINGS: &str = "settings";

/// The variable with settings that are never shown, such as `auth_tokens`.
pub const SECRETS: &str = "secrets";

/// Values, each under the name of its variable.
pub type Variables = BTreeMap<String, String>;

/// Unpacks both objects into variables.
///
/// # Errors
///
/// The object that is malformed or names an unknown variable.
pub(crate) fn unpack(mut given: Variables) -> Result<Variables, Malformed> {
    for object in [SETTINGS, SECRETS] {
        let Some(text) = given.remove(object) else {
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        let refuse = |expected: String| Malformed {
            name: object,
            value: None,
            expected,
        };
        let Ok(Value::Object(members)) = serde_json::from_str(&text) else {
            let example = "a JSON object such as {\"long_poll_timeout_secs\": 20}";
            return Err(refuse(example.to_owned()));
        };
        for (name, value) in members {
            if !VARIABLES.iter().any(|row| row.name == name) {
                return Err(refuse(format!(
                    "an object of variables; there is no variable {name:?}"
                )));
            }
            given.insert(name, text_of(value));
        }
    }
    Ok(given)
}

/// The value as text, as a separate variable would hold it: lists and objects are JSON there too.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Config;

    fn config(variables: &[(&str, &str)]) -> Result<Config, String> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let unpacked = unpack(variables.iter().map(pair).collect());
        let config = unpacked.and_then(|all| Config::from_lookup(|name| all.get(name).cloned()));
        config.map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_flags_texts_and_lists_are_taken_as_json_has_them() {
        let settings = r#"{"long_poll_timeout_secs": 20, "registry": false, "log_level": "info",
            "page_bytes": "1000"}"#;
        let secrets = r#"{"auth_tokens": [{"token": "a-long-enough-token-1", "scope": "read"}]}"#;
        let config = config(&[(SETTINGS, settings), (SECRETS, secrets)]).unwrap();
        assert_eq!(config.long_poll_timeout_secs, 20);
        assert!(!config.registry);
        assert_eq!(config.log_level, "info");
        assert_eq!(config.page_bytes, 1000);
        assert!(
            config
                .auth_tokens
                .expose()
                .contains("a-long-enough-token-1")
        );
    }

    #[test]
    fn a_secret_wins_over_a_setting_and_both_over_a_variable_of_that_name() {
        let by_name = ("page_bytes", "1");
        let settings = (SETTINGS, r#"{"page_bytes": 2}"#);
        let secrets = (SECRETS, r#"{"page_bytes": 3}"#);
        let bytes = |all: &[(&str, &str)]| config(all).unwrap().page_bytes;
        assert_eq!(bytes(&[by_name]), 1);
        assert_eq!(bytes(&[by_name, settings]), 2);
        assert_eq!(bytes(&[by_name, settings, secrets]), 3);
    }

    #[test]
    fn empty_variables_have_the_defaults() {
        for empty in ["", " \n", "{}"] {
            let defaults = Config::default();
            assert_eq!(config(&[(SETTINGS, empty), (SECRETS, empty)]), Ok(defaults));
        }
    }

    #[test]
    fn a_malformed_object_of_variables_is_refused_without_its_content() {
        for (settings, named) in [
            ("[1]", "a JSON object"),
            ("{\"a\": ", "a JSON object"),
            ("page_bytes=1", "a JSON object"),
            ("{\"page_byte\": 1}", "\"page_byte\""),
            ("{\"settings\": {}}", "\"settings\""),
            ("{\"page_bytes\": {}}", "page_bytes"),
            ("{\"page_bytes\": null}", "page_bytes"),
        ] {
            let error = config(&[(SETTINGS, settings)]).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
        let error = config(&[(SECRETS, "{\"tick_token\": \"hidden")]).unwrap_err();
        assert!(!error.contains("hidden"), "{error}");
    }
}
