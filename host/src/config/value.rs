//! Values of the file as texts, as the command line has them.

use super::error::ConfigError;
use crate::variables::FileLine;
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeInteger, DeValue};

/// A setting of the file.
pub(super) struct Setting {
    pub(super) name: String,
    pub(super) value: Value,
    pub(super) line: FileLine,
}

/// A value of the file.
pub(super) enum Value {
    Text(String),
    /// A whole number, in decimal.
    Number(String),
    /// A decimal fraction, as it is written.
    Fraction(String),
    Flag(bool),
    Date,
    List(Vec<Self>),
    /// A table, with its names in their order.
    Table(Vec<(String, Self)>),
}

/// Type of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    Flag,
    Number,
    Text,
    /// Text, or the list or table that the text would have as JSON.
    Json,
}

impl Expected {
    const fn name(self) -> &'static str {
        match self {
            Self::Flag => "true or false",
            Self::Number => "a whole number",
            Self::Text => "a string",
            Self::Json => "a string of JSON, or a list or table of strings",
        }
    }
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => Self::Number(decimal(number)),
            DeValue::Float(number) => Self::Fraction(number.as_str().to_owned()),
            DeValue::Boolean(is_on) => Self::Flag(*is_on),
            DeValue::Datetime(_) => Self::Date,
            DeValue::Array(members) => {
                let members = members.iter().map(|member| Self::from(member.get_ref()));
                Self::List(members.collect())
            }
            DeValue::Table(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| (name.get_ref().to_string(), Self::from(value.get_ref())));
                Self::Table(members.collect())
            }
        }
    }
}

/// The number in decimal. A larger number than any setting takes stays as it is written.
fn decimal(number: &DeInteger<'_>) -> String {
    let text = number.as_str();
    i128::from_str_radix(text, number.radix())
        .map_or_else(|_| text.to_owned(), |number| number.to_string())
}

impl Value {
    /// The type, with its article.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a number",
            Self::Fraction(_) => "a decimal fraction",
            Self::Flag(_) => "true or false",
            Self::Date => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    fn text(&self, expected: Expected) -> Option<String> {
        match (expected, self) {
            (Expected::Flag, Self::Flag(is_on)) => Some(is_on.to_string()),
            (Expected::Number, Self::Number(text))
            | (Expected::Text | Expected::Json, Self::Text(text)) => Some(text.clone()),
            (Expected::Json, Self::List(_) | Self::Table(_)) => Some(self.json()?.to_string()),
            _ => None,
        }
    }

    /// The value in JSON; none with a date or a number that JSON can't have.
    fn json(&self) -> Option<Json> {
        Some(match self {
            Self::Text(text) => Json::String(text.clone()),
            Self::Number(text) => Json::Number(Number::from_i128(text.parse().ok()?)?),
            Self::Fraction(text) => Json::Number(Number::from_f64(text.parse().ok()?)?),
            Self::Flag(is_on) => Json::Bool(*is_on),
            Self::Date => return None,
            Self::List(members) => {
                let members = members.iter().map(Self::json);
                Json::Array(members.collect::<Option<_>>()?)
            }
            Self::Table(members) => {
                let member = |(name, value): &(String, Self)| Some((name.clone(), value.json()?));
                Json::Object(members.iter().map(member).collect::<Option<Map<_, _>>>()?)
            }
        })
    }
}

impl Setting {
    /// The value as text.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Type`] for a value of another type.
    pub(super) fn text(&self, expected: Expected) -> Result<String, ConfigError> {
        let text = self.value.text(expected);
        text.ok_or_else(|| self.other_type(&self.value, expected.name()))
    }

    /// The texts of a list's members, or the text of a single value.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Type`] for a value of another type.
    pub(super) fn texts(&self, expected: Expected) -> Result<Vec<String>, ConfigError> {
        let members = match &self.value {
            Value::List(members) => members,
            single => std::slice::from_ref(single),
        };
        let text = |member: &Value| {
            let text = member.text(expected);
            text.ok_or_else(|| self.other_type(member, expected.name()))
        };
        members.iter().map(text).collect()
    }

    /// The error for this value, which has another type than expected.
    pub(super) fn other_type(&self, value: &Value, expected: &'static str) -> ConfigError {
        ConfigError::Type {
            line: self.line.clone(),
            name: self.name.clone(),
            found: value.kind(),
            expected,
        }
    }
}
