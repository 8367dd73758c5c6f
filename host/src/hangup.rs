//! SIGHUP: reads the configuration file again, and puts the changed settings in force.

use crate::cli::UsageError;
use crate::config::{FlagValues, Given, InForce};
use crate::reload::Reload;
use crate::settled::Settled;
use crate::telemetry;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Flags that a reload can change. All others count from the next start.
const RELOADED: [&str; 2] = ["rate-limit-per-token", "rate-limit-per-address"];

/// Reads the configuration again at each SIGHUP.
pub struct Hangup {
    given: Given,
    environment: Vec<(String, String)>,
    /// Flags in force.
    flags: BTreeMap<String, FlagValues>,
    /// Settings in force.
    in_force: InForce,
}

/// A SIGHUP that is handled from now on.
pub struct Awaited {
    hangup: Hangup,
    signal: Signal,
}

impl Hangup {
    /// Prepares for reloads of the settings that a server starts with. Returns none if they have no
    /// file: a SIGHUP then ends the process, as a closed terminal should, unless the server follows a
    /// certificate.
    #[must_use]
    pub fn new(given: &Given, environment: &[(String, String)], settled: &Settled) -> Option<Self> {
        settled.has_file().then(|| Self {
            given: given.clone(),
            environment: environment.to_vec(),
            flags: settled.flags(),
            in_force: settled.in_force(),
        })
    }

    /// Handles the signal from now on.
    ///
    /// # Errors
    ///
    /// When the system refuses the handler.
    pub fn listen(self) -> io::Result<Awaited> {
        Ok(Awaited {
            hangup: self,
            signal: signal(SignalKind::hangup())?,
        })
    }

    /// Puts these settings in force, and logs the result.
    fn apply(&mut self, settled: Result<Settled, UsageError>, reload: &Reload) {
        let applied = settled.map_err(|error| error.to_string()).and_then(|new| {
            let changed = reload.apply(&new.variables(), new.rates());
            let changed = changed.map_err(|error| error.to_string())?;
            Ok((new.flags(), new.in_force(), changed))
        });
        let (flags, in_force, changed) = match applied {
            Ok(applied) => applied,
            Err(error) => {
                let detail = format!("{error}. The server keeps its settings");
                return telemetry::error("configuration not reloaded", &detail);
            }
        };
        let mut names: Vec<String> = changed.applied.iter().map(ToString::to_string).collect();
        let mut at_start: Vec<String> = changed.at_start.iter().map(ToString::to_string).collect();
        for (name, values) in flags {
            if self.flags.get(&name) == Some(&values) {
                continue;
            }
            if RELOADED.contains(&&*name) {
                names.push(name.clone());
                self.flags.insert(name, values);
            } else {
                at_start.push(name);
            }
        }
        self.in_force = in_force.except(&self.in_force, &at_start);
        reload.show(self.in_force.to_json());
        for name in at_start {
            let detail = format!("{name}: the server uses the new value after a restart");
            telemetry::warn("setting needs a restart", &detail);
        }
        let detail = match names.is_empty() {
            true => "no other setting changed".to_owned(),
            false => format!("new values: {}", names.join(", ")),
        };
        telemetry::info("configuration reloaded", &detail);
    }
}

impl Awaited {
    /// Reloads at each signal, until this future is dropped.
    pub async fn run(mut self, reload: Arc<Reload>) {
        while self.signal.recv().await.is_some() {
            let (given, environment) = (self.hangup.given.clone(), self.hangup.environment.clone());
            // The disk of the file may be slow.
            let read = move || Settled::new(&given, &environment);
            if let Ok(settled) = tokio::task::spawn_blocking(read).await {
                self.hangup.apply(settled, &reload);
            }
        }
    }
}
