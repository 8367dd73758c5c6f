//! Reads a configuration file.

use super::error::ConfigError;
use super::value::{Expected, Setting, Value};
use crate::variables::{FileLine, InFile, closest, names};
use durable_streams_edge::limits::{Kind, VARIABLES, Variable};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// The table of variables.
const TABLE: &str = "variables";

/// Variables whose text is JSON.
const JSON: [&str; 2] = ["auth_tokens", "auth_jwks"];

/// A configuration file.
pub(crate) struct ConfigFile {
    /// Keys at the top, in their order.
    pub(super) flags: Vec<Setting>,
    variables: Vec<Setting>,
}

impl ConfigFile {
    /// Reads and parses a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the file can't be read, is not TOML, or its variables are no table.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            file: path.display().to_string(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Parses the text of a file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let line = |at: usize| {
            let before = text.as_bytes().get(..at).unwrap_or_default();
            let ends = before.iter().filter(|byte| **byte == b'\n').count();
            FileLine::new(path, ends.saturating_add(1))
        };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            line: line(error.span().map_or(0, |span| span.start)),
            // The rest of the error repeats the line, which may have a secret.
            reason: error.message().replace('\n', ", "),
        })?;
        let (tables, flags): (Vec<_>, Vec<_>) = settings(table.get_ref(), line)
            .into_iter()
            .partition(|setting| setting.name == TABLE);
        let mut variables = Vec::new();
        for setting in tables {
            // The parser refuses a second table of this name.
            variables = match table.get_ref().get(TABLE).map(Spanned::get_ref) {
                Some(DeValue::Table(members)) => settings(members, line),
                _ => {
                    let expected = "a table: the line [variables] with variables below it";
                    return Err(setting.other_type(&setting.value, expected));
                }
            };
        }
        Ok(Self { flags, variables })
    }

    /// The variables, as the command line has them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an unknown name, and for a value of another type.
    pub(crate) fn variables(&self) -> Result<Vec<InFile>, ConfigError> {
        self.variables.iter().map(variable).collect()
    }
}

/// The settings of a table, in the order of the file.
fn settings(table: &DeTable<'_>, line: impl Fn(usize) -> FileLine) -> Vec<Setting> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    let setting = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| Setting {
        name: String::from(&**name.get_ref()),
        value: Value::from(value.get_ref()),
        line: line(name.span().start),
    };
    entries.into_iter().map(setting).collect()
}

fn variable(setting: &Setting) -> Result<InFile, ConfigError> {
    let row = VARIABLES.iter().find(|row| row.name == setting.name);
    let row = row.ok_or_else(|| unknown(setting))?;
    Ok(InFile {
        name: setting.name.clone(),
        value: setting.text(expected(row))?,
        line: setting.line.clone(),
    })
}

/// Type of a variable's value in the file.
pub(super) fn expected(row: &Variable) -> Expected {
    match row.kind {
        Kind::Number(_) => Expected::Number,
        Kind::Flag => Expected::Flag,
        _ if JSON.contains(&row.name) => Expected::Json,
        Kind::Word(_) | Kind::Text(_) | Kind::Secret(_) => Expected::Text,
    }
}

fn unknown(setting: &Setting) -> ConfigError {
    let close = closest(&setting.name.replace('-', "_"), names());
    ConfigError::Unknown {
        line: setting.line.clone(),
        kind: "variable",
        name: setting.name.clone(),
        advice: match close {
            Some(close) => format!("{close} has a similar name"),
            None => "`durable-streams config` lists all variables".to_owned(),
        },
    }
}
