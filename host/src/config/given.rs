//! The command line, completed by the configuration file.

use super::error::ConfigError;
use super::file::ConfigFile;
use super::flags::{FileFlag, first_paragraph, flags, flags_of};
use super::in_force::FlagInForce;
use crate::variables::{CONFIG, InFile, Source};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of a command that takes a configuration file. They are completed anew with each read
/// of the file.
#[derive(Clone)]
pub struct Given {
    command: Command,
    /// The program's name, the name of the subcommand, and its arguments.
    arguments: Vec<OsString>,
}

/// Arguments that the file has completed.
pub(crate) struct Completed {
    /// The arguments of the subcommand.
    pub(crate) matches: ArgMatches,
    /// The file, if one is named.
    pub(crate) path: Option<PathBuf>,
    /// Every flag, by its name.
    pub(crate) flags: BTreeMap<String, FlagInForce>,
    /// The variables of the file.
    pub(crate) variables: Vec<InFile>,
}

impl Given {
    /// Arguments for this command.
    pub(crate) const fn new(command: Command, arguments: Vec<OsString>) -> Self {
        Self { command, arguments }
    }

    /// The file named by the arguments or, if they name none, by the environment.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Arguments`] if the command refuses the arguments.
    pub(crate) fn path(
        &self,
        environment: &[(String, String)],
    ) -> Result<Option<PathBuf>, ConfigError> {
        let matches = self.alone()?;
        let flag = matches.try_get_one::<PathBuf>("config").ok().flatten();
        let named = environment.iter().find(|(name, _)| name == CONFIG);
        let named = named.filter(|(_, path)| !path.is_empty());
        Ok(flag.cloned().or_else(|| named.map(|(_, path)| path.into())))
    }

    /// Reads the file, and completes the arguments by its flags. A flag of the command line
    /// replaces all values that the file has for it.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a file or a flag that is not valid.
    pub(crate) fn complete(
        &self,
        environment: &[(String, String)],
    ) -> Result<Completed, ConfigError> {
        let path = self.path(environment)?;
        let file = path.as_deref().map(ConfigFile::read).transpose()?;
        let given = self.alone()?;
        let mut arguments = self.arguments.clone();
        let subcommand = self.subcommand();
        let mut in_file: Vec<FileFlag> = match &file {
            Some(file) => flags(file, subcommand)?,
            None => Vec::new(),
        };
        in_file.retain(|flag| !is_given(subcommand, &given, &flag.name));
        let added = in_file.iter().flat_map(|flag| &flag.arguments);
        // After the program's name and that of the subcommand.
        let place = arguments.len().min(2);
        arguments.splice(place..place, added.map(OsString::from));
        let matches = parse(&self.command, &arguments)?;
        let flags = flags_of(subcommand).map(|(name, argument)| {
            let values = matches.get_raw(argument.get_id().as_str());
            let values = values.into_iter().flatten();
            let values = values.map(|value| value.to_string_lossy().into_owned());
            let line = in_file.iter().find(|flag| flag.name == name);
            let source = match line {
                Some(flag) => Source::File(flag.line.clone()),
                None if is_given(subcommand, &given, name) => Source::Flag,
                None => Source::Default,
            };
            let values = values.collect();
            (name.to_owned(), FlagInForce { values, source })
        });
        Ok(Completed {
            flags: flags.collect(),
            variables: file.map_or_else(|| Ok(Vec::new()), |file| file.variables())?,
            matches,
            path,
        })
    }

    /// The arguments without the file. One that needs another may find it in the file.
    fn alone(&self) -> Result<ArgMatches, ConfigError> {
        parse(&self.command.clone().ignore_errors(true), &self.arguments)
    }

    /// The subcommand, with its flags.
    pub(crate) fn subcommand(&self) -> &Command {
        let name = self.arguments.get(1);
        name.and_then(|name| self.command.find_subcommand(name))
            .unwrap_or(&self.command)
    }
}

/// Parses arguments, and returns those of the subcommand.
fn parse(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, ConfigError> {
    let mut matches = command
        .clone()
        .try_get_matches_from(arguments)
        .map_err(|error| ConfigError::Arguments(first_paragraph(&error)))?;
    Ok(match matches.remove_subcommand() {
        Some((_, of_subcommand)) => of_subcommand,
        None => matches,
    })
}

/// Whether the command line has a flag of this name.
fn is_given(command: &Command, matches: &ArgMatches, name: &str) -> bool {
    let argument = flags_of(command).find(|(known, _)| *known == name);
    let source = argument.and_then(|(_, one)| matches.value_source(one.get_id().as_str()));
    source == Some(ValueSource::CommandLine)
}
