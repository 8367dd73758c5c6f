//! Settings of a server, from the command line, the environment and the configuration file.

use crate::announce::acknowledged;
use crate::cli::{Embedded, Serve, UsageError, serve_command};
use crate::config::{Completed, FlagValues, Given, InForce, first_paragraph};
use crate::net::{Inherited, Rates};
use crate::serve::Options;
use crate::telemetry::{self, Directives, LogFormat};
use crate::variables::{self, AllSourced};
use crate::wasi::Variables;
use clap::FromArgMatches;
use std::collections::BTreeMap;

/// Settings of a server, complete and valid.
pub struct Settled {
    serve: Serve,
    completed: Completed,
    variables: AllSourced,
    environment: Vec<(String, String)>,
}

impl Settled {
    /// Reads the configuration file, if one is named, and completes and validates the settings.
    ///
    /// # Errors
    ///
    /// When the file, a flag or a variable is invalid.
    pub fn new(given: &Given, environment: &[(String, String)]) -> Result<Self, UsageError> {
        let completed = given.complete(environment)?;
        let serve = Serve::from_arg_matches(&completed.matches)
            .map_err(|error| UsageError::Arguments(first_paragraph(&error)))?;
        let variables = variables::resolve_all(
            &completed.variables,
            &serve.variables,
            environment.iter().cloned(),
            serve.store.guards_creation(),
        )?;
        Ok(Self {
            environment: environment.to_vec(),
            serve,
            completed,
            variables,
        })
    }

    /// The settings, to show them.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        let flag = |name: &str| self.completed.flags.get(name).cloned();
        let file = self.completed.path.as_deref();
        InForce::new(file, &serve_command(), flag, &self.variables)
    }

    /// Whether a configuration file is named.
    pub(crate) const fn has_file(&self) -> bool {
        self.completed.path.is_some()
    }

    /// Every flag's values, by its name.
    pub(crate) fn flags(&self) -> BTreeMap<String, FlagValues> {
        let flags = self.completed.flags.iter();
        let values = flags.map(|(name, flag)| (name.clone(), flag.values.clone()));
        values.collect()
    }

    /// Every variable's value.
    pub(crate) fn variables(&self) -> Variables {
        variables::values(&self.variables)
    }

    /// Rate limits of requests.
    pub(crate) const fn rates(&self) -> Rates {
        self.serve.rates()
    }

    /// The format of the log, and the lines to log.
    #[must_use]
    pub fn log(&self) -> (LogFormat, Option<Directives>) {
        self.serve.log()
    }

    /// Meaning of an acknowledgement by the store.
    #[must_use]
    pub const fn acknowledged(&self) -> &'static str {
        acknowledged(&self.serve.store, self.serve.durability)
    }

    /// Takes the sockets of the supervisor, opens the store, and returns the server's options.
    /// `embedded` has the builds of the component inside the program.
    ///
    /// # Errors
    ///
    /// When the store can't be opened, there is no component, or the supervisor passed unusable
    /// sockets.
    pub fn options(self, embedded: &Embedded) -> Result<Options, UsageError> {
        let names = self.environment.iter().map(|(name, _)| name.as_str());
        for name in variables::strangers(names) {
            let detail = format!("{name} is not a variable of this server; the server ignores it");
            telemetry::warn("unknown variable in the environment", &detail);
        }
        let environment = self.environment.iter();
        let environment = environment.map(|(name, value)| (&**name, &**value));
        let inherited = Inherited::take_all(environment, std::process::id())?;
        let variables = self.variables();
        let settings = self.in_force().to_json();
        self.serve.options(variables, inherited, settings, embedded)
    }
}
