//! A row of the table of variables, and the validation of a value.

use std::ops::RangeInclusive;

/// The valid values of a variable.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A whole number in decimal, within the range.
    Number(RangeInclusive<u64>),
    /// `true` or `false`.
    Flag,
    /// One of the listed words.
    Word(&'static [&'static str]),
    /// Text that the function validates. Its error describes the expected text.
    Text(fn(&str) -> Result<(), &'static str>),
    /// Like `Text`, but the value is never shown.
    Secret(fn(&str) -> Result<(), &'static str>),
}

/// Text that is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the text, for comparison or to derive a key from it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// One row of the table of variables.
#[derive(Debug, Clone)]
pub struct Variable {
    /// The name, as in `settings` on Spin and in `--variable name=value`; `DS_<NAME>` in the environment.
    pub name: &'static str,
    /// The value if none is given.
    pub default: &'static str,
    /// The valid values.
    pub kind: Kind,
    /// The purpose of the variable, and the reason for its default.
    pub reason: &'static str,
}

/// A variable with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variable {name} is {}, expected {expected}", shown(value.as_deref()))]
pub struct Malformed {
    /// The variable.
    pub name: &'static str,
    /// The given value; `None` for a secret.
    pub value: Option<String>,
    /// The expected value.
    pub expected: String,
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "malformed".to_owned(), |value| format!("{value:?}"))
}

impl Variable {
    /// Checks `value` against the valid values of the variable.
    ///
    /// # Errors
    ///
    /// The expected value.
    pub fn check(&self, value: &str) -> Result<(), Malformed> {
        let refuse = |expected: String| Malformed {
            name: self.name,
            value: (!matches!(self.kind, Kind::Secret(_))).then(|| value.to_owned()),
            expected,
        };
        match &self.kind {
            Kind::Number(range) => match parse_number(value) {
                Some(number) if range.contains(&number) => Ok(()),
                _ => Err(refuse(format!(
                    "a whole number from {} to {}",
                    range.start(),
                    range.end()
                ))),
            },
            Kind::Flag if matches!(value, "true" | "false") => Ok(()),
            Kind::Flag => Err(refuse("true or false".to_owned())),
            Kind::Word(words) if words.contains(&value) => Ok(()),
            Kind::Word(words) => Err(refuse(format!("one of {}", words.join(", ")))),
            Kind::Text(judge) | Kind::Secret(judge) => {
                judge(value).map_err(|expected| refuse(expected.to_owned()))
            }
        }
    }
}

pub(super) fn parse_number(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}
