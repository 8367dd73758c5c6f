//! Flags of the file, as arguments of the command line.

use super::error::ConfigError;
use super::file::ConfigFile;
use super::value::{Expected, Setting};
use crate::variables::{FileLine, closest, names};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command};
use std::any::TypeId;
use std::num::{NonZeroU32, NonZeroUsize};

/// Flags that a file can't have: it has a table for variables, and no file names another file.
const NOT_IN_FILE: [&str; 2] = ["config", "variable"];

/// A flag of the file.
pub(crate) struct FileFlag {
    /// The name, without hyphens before it.
    pub(crate) name: String,
    /// The arguments with its values. A flag that is `false` has none.
    pub(crate) arguments: Vec<String>,
    /// Its line in the file.
    pub(crate) line: FileLine,
}

/// The flags that a file can have, of a command.
pub(super) fn flags_of(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = |argument| Some((Arg::get_long(argument)?, argument));
    let named = command.get_arguments().filter_map(named);
    named.filter(|(name, _)| !NOT_IN_FILE.contains(name) && *name != "help")
}

/// The flags of a file for this command.
///
/// # Errors
///
/// [`ConfigError`] for the first flag that is unknown or has a value that the command refuses.
pub(crate) fn flags(file: &ConfigFile, command: &Command) -> Result<Vec<FileFlag>, ConfigError> {
    let flag = |setting| flag(setting, command);
    file.flags.iter().map(flag).collect()
}

fn flag(setting: &Setting, command: &Command) -> Result<FileFlag, ConfigError> {
    let name = &setting.name;
    let (_, argument) = flags_of(command)
        .find(|(known, _)| known == name)
        .ok_or_else(|| unknown(setting, command))?;
    let arguments = match expected(argument) {
        Expected::Flag => match &*setting.text(Expected::Flag)? {
            "true" => vec![format!("--{name}")],
            _ => Vec::new(),
        },
        expected => {
            let texts = match argument.get_action() {
                ArgAction::Append => setting.texts(expected)?,
                _ => vec![setting.text(expected)?],
            };
            let argument = |text| format!("--{name}={text}");
            texts.into_iter().map(argument).collect()
        }
    };
    for argument in &arguments {
        judge(command, argument).map_err(|reason| ConfigError::Value {
            line: setting.line.clone(),
            reason,
        })?;
    }
    Ok(FileFlag {
        name: name.clone(),
        arguments,
        line: setting.line.clone(),
    })
}

/// Type of a flag's value in the file.
pub(super) fn expected(argument: &Arg) -> Expected {
    let kind = argument.get_value_parser().type_id();
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<NonZeroU32>(),
        TypeId::of::<NonZeroUsize>(),
    ];
    match argument.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Expected::Flag,
        _ if numbers.iter().any(|number| kind == *number) => Expected::Number,
        _ => Expected::Text,
    }
}

/// Judges the value of one argument. Errors about missing arguments do not count: the command line
/// may have these.
fn judge(command: &Command, argument: &str) -> Result<(), String> {
    let command = command.clone().no_binary_name(true);
    match command.try_get_matches_from([argument]) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::InvalidUtf8
            ) =>
        {
            Err(first_paragraph(&error))
        }
        _ => Ok(()),
    }
}

/// The message of an error in one line, without its advice on usage.
pub(crate) fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let lines = text.lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

fn unknown(setting: &Setting, command: &Command) -> ConfigError {
    let name = &setting.name;
    let flags = flags_of(command).map(|(name, _)| name);
    let close = closest(&name.replace('_', "-"), flags);
    let variable = closest(&name.replace('-', "_"), names());
    let advice = match (close, variable) {
        _ if name == "variable" => "put variables into the table [variables]".to_owned(),
        (Some(close), _) => format!("{close} has a similar name"),
        (None, Some(variable)) => {
            format!("the variable {variable} belongs into the table [variables]")
        }
        (None, None) => "`durable-streams serve --help` lists all flags".to_owned(),
    };
    ConfigError::Unknown {
        line: setting.line.clone(),
        kind: "flag",
        name: name.clone(),
        advice,
    }
}
