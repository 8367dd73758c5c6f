//! The settings in force, for `/debug/config`.

use crate::wasi::Variables;
use durable_streams_edge::limits::{Kind, VARIABLES};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Text in the place of a secret.
const MASKED: &str = "***";

/// Flags and variables in force, without secrets.
#[derive(Debug)]
pub(crate) struct Settings(Value);

impl Settings {
    /// The settings of a server. Secret variables are masked.
    pub(crate) fn new(flags: &BTreeMap<String, Value>, variables: &Variables) -> Self {
        let shown = variables.iter().map(|(name, value)| {
            let value = match is_secret(name) && !value.is_empty() {
                true => MASKED,
                false => value,
            };
            (name.clone(), Value::from(value))
        });
        let variables: Map<String, Value> = shown.collect();
        Self(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "flags": flags,
            "variables": variables,
        }))
    }

    /// The settings as JSON.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut text = format!("{:#}", self.0).into_bytes();
        text.push(b'\n');
        text
    }
}

/// Whether a variable is secret. Unknown ones are, so that nothing leaks by a forgotten row.
fn is_secret(name: &str) -> bool {
    let row = VARIABLES.iter().find(|row| row.name == name);
    row.is_none_or(|row| matches!(row.kind, Kind::Secret(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_everything_else_is_shown() {
        let variables = Variables::from(
            [
                ("auth_tokens", "hush"),
                ("auth_hs256_secret", ""),
                ("page_bytes", "5"),
                ("no_such_variable", "hush"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let flags = BTreeMap::from([("listen".to_owned(), json!("127.0.0.1:4437"))]);
        let settings = Settings::new(&flags, &variables);
        let text = String::from_utf8(settings.to_json()).expect("text");
        let shown: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(shown["flags"], json!({"listen": "127.0.0.1:4437"}));
        assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            shown["variables"],
            json!({
                "auth_tokens": "***",
                "auth_hs256_secret": "",
                "page_bytes": "5",
                "no_such_variable": "***",
            })
        );
        assert!(!text.contains("hush"), "{text}");
    }
}
