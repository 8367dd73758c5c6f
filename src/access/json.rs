//! JSON objects of tokens.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The members of a JSON object. An object that repeats a name is refused: issuer and server could
/// differ in which of the two members counts (RFC 7515, section 4; RFC 7519, section 4).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    /// Parses bytes that hold one JSON object.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique)
    }
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object without a repeated name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(Error::custom("a repeated name"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_every_name_once() {
        let members = Members::parse(br#" {"a":1,"b":{"a":2}} "#).unwrap();
        assert_eq!(members.get("a"), Some(&Value::from(1)));
        assert_eq!(members.get("c"), None);
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":1}{"b":1}"#,
            r#"["a",1]"#,
            "null",
            "",
            "{",
        ] {
            assert_eq!(Members::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Members::parse(b"{\"\xff\":1}"), None);
    }
}
