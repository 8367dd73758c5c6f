//! The settings in force, with their sources, as text and as JSON.

use super::flags::{expected, flags_of};
use super::value::Expected;
use crate::variables::{AllSourced, Source, Sourced};
use clap::{ArgAction, Command};
use durable_streams_edge::limits::{Kind, VARIABLES};
use serde_json::{Map, Value, json};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Value shown in the place of a secret.
const HIDDEN: &str = "(hidden)";

/// Values of a flag as texts; none if the flag has no default and is not given.
pub(crate) type FlagValues = Vec<String>;

/// Values of a flag, with their source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct FlagInForce {
    pub(crate) values: FlagValues,
    pub(crate) source: Source,
}

/// A setting as it is shown.
#[derive(Clone)]
struct Row {
    name: String,
    /// The value in JSON, whose strings, numbers and lists are TOML as well; none if not set.
    value: Option<Value>,
    source: Source,
}

/// All settings in force. No secret is in them.
pub struct InForce {
    file: Option<String>,
    flags: Vec<Row>,
    variables: Vec<Row>,
}

impl InForce {
    /// The flags of a command and all variables. `flag` looks up a flag by its name.
    pub(crate) fn new(
        file: Option<&Path>,
        command: &Command,
        flag: impl Fn(&str) -> Option<FlagInForce>,
        variables: &AllSourced,
    ) -> Self {
        let flags = flags_of(command).filter_map(|(name, argument)| {
            let FlagInForce { values, source } = flag(name)?;
            let is_list = matches!(argument.get_action(), ArgAction::Append);
            let name = name.to_owned();
            let mut values = values.iter().map(|text| shown(text, expected(argument)));
            let value = match is_list {
                true => Some(Value::Array(values.collect())),
                false => values.next(),
            };
            Some(Row {
                name,
                value,
                source,
            })
        });
        let variables = VARIABLES.iter().filter_map(|row| {
            let Sourced { value, source } = variables.get(row.name)?;
            let is_secret = matches!(row.kind, Kind::Secret(_)) && !value.is_empty();
            let expected = match row.kind {
                Kind::Number(_) => Expected::Number,
                Kind::Flag => Expected::Flag,
                Kind::Word(_) | Kind::Text(_) | Kind::Secret(_) => Expected::Text,
            };
            Some(Row {
                name: row.name.to_owned(),
                value: Some(match is_secret {
                    true => Value::from(HIDDEN),
                    false => shown(value, expected),
                }),
                source: source.clone(),
            })
        });
        Self {
            file: file.map(|file| file.display().to_string()),
            flags: flags.collect(),
            variables: variables.collect(),
        }
    }

    /// These settings, except that the named ones stay as they were `before`.
    pub(crate) fn except(mut self, before: &Self, names: &[String]) -> Self {
        let keep = |rows: &mut [Row], before: &[Row]| {
            for row in rows.iter_mut().filter(|row| names.contains(&row.name)) {
                if let Some(before) = before.iter().find(|before| before.name == row.name) {
                    *row = before.clone();
                }
            }
        };
        keep(&mut self.flags, &before.flags);
        keep(&mut self.variables, &before.variables);
        self
    }

    /// The settings as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let object = |rows: &[Row]| -> Map<String, Value> {
            let row = |row: &Row| (row.name.clone(), row.to_json());
            rows.iter().map(row).collect()
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "file": self.file,
            "flags": object(&self.flags),
            "variables": object(&self.variables),
        })
    }
}

impl Row {
    fn to_json(&self) -> Value {
        let mut row = json!({"value": self.value, "source": self.source.kind()});
        if let (Some(at), Some(row)) = (self.source.at(), row.as_object_mut()) {
            row.insert("at".to_owned(), Value::from(at));
        }
        row
    }
}

/// Writes the settings as a configuration file, with a comment for each source.
impl Display for InForce {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let write = |out: &mut Formatter<'_>, rows: &[Row]| {
            rows.iter().try_for_each(|row| writeln!(out, "{row}"))
        };
        write(out, &self.flags)?;
        writeln!(out, "\n[variables]")?;
        write(out, &self.variables)
    }
}

/// Writes the setting as a line of a configuration file.
impl Display for Row {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            value,
            source,
        } = self;
        match value {
            Some(value) => {
                let setting = format!("{name} = {value}");
                write!(out, "{setting:<40} # {source}")
            }
            None => write!(out, "# {name} is not set"),
        }
    }
}

/// A value of this type. A password in the address of a Redis is hidden.
fn shown(text: &str, expected: Expected) -> Value {
    let value = match expected {
        Expected::Flag | Expected::Number => serde_json::from_str(text).ok(),
        Expected::Text | Expected::Json => None,
    };
    value.unwrap_or_else(|| Value::from(without_password(text)))
}

fn without_password(text: &str) -> String {
    match (text.split_once(':'), text.rsplit_once('@')) {
        (Some((scheme @ ("redis" | "rediss"), _)), Some((_, host))) => {
            format!("{scheme}://{HIDDEN}@{host}")
        }
        _ => text.to_owned(),
    }
}
