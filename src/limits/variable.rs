//! A row of the table of variables, and the judgement of a value.

use std::ops::RangeInclusive;

/// What a variable's value may be.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A whole number in decimal, within the range.
    Number(RangeInclusive<u64>),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text, judged by the function; it says what is expected when it refuses.
    Text(fn(&str) -> Result<(), &'static str>),
    /// The same, and it is never shown.
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

    /// The text, for whoever compares it or makes a key of it.
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
    /// The value where none is given.
    pub default: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// What it is for, and why the default is what it is.
    pub reason: &'static str,
}

/// A variable that has no meaning as given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("variable {name} is {}, expected {expected}", shown(value.as_deref()))]
pub struct Malformed {
    /// The variable.
    pub name: &'static str,
    /// What was given; nothing where that is a secret.
    pub value: Option<String>,
    /// What would have been accepted.
    pub expected: String,
}

fn shown(value: Option<&str>) -> String {
    value.map_or_else(|| "malformed".to_owned(), |value| format!("{value:?}"))
}

impl Variable {
    /// Says whether `value` is one this variable may have.
    ///
    /// # Errors
    ///
    /// What would have been accepted.
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
