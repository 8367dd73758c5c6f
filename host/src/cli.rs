//! The command line.

use crate::admin::{Admin, AdminAddress};
use crate::backup::BackupSource;
use crate::config::{ConfigError, Given, example, first_paragraph};
use crate::engine::ComponentSource;
use crate::limits::IDLE_SECS;
use crate::net::{ActivationError, Inherited, Listen, Rates, TlsFiles};
use crate::quota::{Rule, Rules, TwoRules};
use crate::serve::{Options, Via};
use crate::store::log::Durability;
use crate::store::open::{Injection, Keeping, OpenError, SCRUB_RATE, StoreKind, open};
use crate::telemetry::{Directives, LogFormat};
use crate::variables::VariableError;
use crate::wasi::Variables;
use clap::builder::PossibleValue;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use durable_streams_command::Verb;
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Maximum number of instances of the component.
const MAX_INSTANCES: u16 = 64;

/// Address of a server that gets no other.
const LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 4437);

/// Command to run.
pub enum Command {
    /// Serves until a signal.
    Serve(Given),
    /// Prints the settings that `serve` would have.
    Config {
        /// The arguments of `serve`.
        given: Given,
        /// Whether to print JSON.
        json: bool,
    },
    /// Checks a store that no server has open.
    Check {
        /// Directory of the store.
        directory: PathBuf,
        /// Whether to remove unreferenced records.
        fix: bool,
        /// Whether to begin the next timeline.
        new_timeline: bool,
    },
    /// Copies the readable records of a damaged store.
    Salvage {
        /// Directory of the damaged store.
        directory: PathBuf,
        /// Directory for the new store.
        output: PathBuf,
    },
    /// Copies one moment of a store.
    Backup {
        /// Source of the backup.
        from: BackupSource,
        /// Directory of the backup.
        dest: PathBuf,
    },
    /// Makes a store from a backup.
    Restore {
        /// Directory of the backup.
        source: PathBuf,
        /// Directory for the store.
        directory: PathBuf,
    },
    /// Compiles a component for this machine.
    Precompile {
        /// The component.
        input: PathBuf,
        /// Path for the compiled component.
        output: PathBuf,
        /// Compile for every processor of this machine's family.
        portable: bool,
    },
    /// Runs a command of a client, and ends with its exit code.
    Client(Verb),
    /// Prints this text and exits.
    Print(String),
}

/// Reason why the command can't run, as a line for standard error.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The arguments are invalid.
    #[error("{0}")]
    Arguments(String),
    /// The configuration file is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A variable is unknown or malformed.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// Two limits per prefix contradict each other.
    #[error(transparent)]
    Limits(#[from] TwoRules),
    /// The supervisor passed unusable sockets.
    #[error(transparent)]
    Activation(#[from] ActivationError),
    /// There is no component to serve with.
    #[error("this build contains no component: name one with --component PATH")]
    NoComponent,
}

/// A Durable Streams server, and a client of any such server.
#[derive(Debug, Parser)]
#[command(name = "durable-streams", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Serves streams over HTTP until SIGTERM or SIGINT
    Serve(Box<Serve>),
    /// Checks the configuration of serve, with the same flags and environment, and prints all
    /// settings with their sources. Secrets are hidden. The exit status is 1 if a setting is invalid
    Config {
        #[command(flatten)]
        serve: Box<Serve>,
        /// Print the settings as a JSON object
        #[arg(long)]
        json: bool,
        /// Print an example of a configuration file with every setting
        #[arg(long, conflicts_with = "json")]
        example: bool,
    },
    /// Verifies every record of a backup, or of a file store that no server has open, and prints the
    /// counts. The exit status is 1 if something is damaged or missing. The check opens the store as a server
    /// does: it cuts off an unfinished end of the log, and upgrades an older format
    Check {
        /// The directory, as in --store file:DIR
        directory: PathBuf,
        /// Remove records that a crash left unreferenced
        #[arg(long)]
        fix: bool,
        /// Begin the next timeline. Do this after every restore of an older state: readers and
        /// writers that know lost data then get an error
        #[arg(long)]
        new_timeline: bool,
        /// Copy all readable records into a new store in this directory, which must be empty or not
        /// exist, and print all losses. The damaged store is not changed
        #[arg(long, value_name = "OUT", conflicts_with_all = ["fix", "new_timeline"])]
        salvage: Option<PathBuf>,
    },
    /// Copies the file store of a running server, as it is at one moment, and prints progress on
    /// standard error. If the directory has an earlier or interrupted backup, only new data is
    /// copied
    Backup {
        /// Admin listener of the server
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4438")]
        admin: String,
        /// Token with the scope manage and without a prefix, if access control is on. DS_TOKEN in
        /// the environment does the same, and the list of processes does not show it
        #[arg(long, value_name = "TOKEN")]
        token: Option<String>,
        /// Directory of a file store that no server has open, instead of a running server
        #[arg(long, value_name = "DIR", conflicts_with_all = ["admin", "token"])]
        from: Option<PathBuf>,
        /// Directory of the backup
        dest: PathBuf,
    },
    /// Makes a file store from a backup, verifies all of it, and begins a new timeline: readers and
    /// writers that know lost data then get an error
    Restore {
        /// Directory of the backup
        #[arg(value_name = "SRC")]
        source: PathBuf,
        /// Directory for the store, which must be empty or not exist
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Compiles a component for --component
    #[command(hide = true)]
    Precompile {
        input: PathBuf,
        output: PathBuf,
        /// Compile for every processor of this machine's family, not only for this machine
        #[arg(long)]
        portable: bool,
    },
    #[command(flatten)]
    Client(Verb),
}

/// The flags of `serve`.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Configuration file (TOML) with flags and variables; DS_CONFIG in the environment does the
    /// same. Flags take precedence over the environment, and the environment over the file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address and port to serve on, or unix:PATH for a Unix socket; port 0 takes a free port. May
    /// be repeated. If not given, 127.0.0.1:4437, or only the sockets that systemd passes
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Listen>,
    /// Certificate and its chain in PEM format; every TCP address then uses TLS. The server loads a
    /// new certificate without a restart
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert in PEM format, without a password
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Store of the streams: file:DIR, redis://HOST:PORT/DB?namespace=NAME or memory. For tests,
    /// spin-sqlite, spin-redis and spin-dynamodb keep data in memory and behave like Spin's stores
    #[arg(long, value_name = "STORE", default_value = "file:data")]
    pub(crate) store: StoreKind,
    /// When a file store acknowledges a write: with sync, once the data is on the disk; with os,
    /// once the operating system has it. Other stores ignore this
    #[arg(long, value_enum, default_value = "sync")]
    pub(crate) durability: Durability,
    /// Once a day a file store reads its data again to find damage, at most at this rate in MiB a
    /// second; 0 turns this off
    #[arg(long, value_name = "MIB", default_value_t = SCRUB_RATE)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=65_536))]
    scrub_rate: u32,
    /// Fault to inject into the store, for tests: faults:SEED, or latency:MS before every
    /// operation. May be repeated; the first is nearest to the store
    #[arg(long, value_name = "WHAT")]
    inject: Vec<Injection>,
    /// How the server calls the component: exchange keeps waiting readers outside of it; wasi-http
    /// works like Spin 4.1, with instances on demand; wasi-http-p2 works like Spin 3, with an
    /// instance for each request
    #[arg(long, value_enum, default_value = "exchange")]
    via: Via,
    /// File of the component to use instead of the built-in one: .wasm, or .cwasm compiled for this
    /// machine
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    #[arg(long, value_name = "N", help = instances_help())]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_INSTANCES)))]
    instances: Option<u16>,
    /// Most requests a second with the same Authorization field; as many may come at once
    #[arg(long, value_name = "N")]
    rate_limit_per_token: Option<NonZeroU32>,
    /// Most requests a second from one address (of IPv6, one /64 network); as many may come at once
    #[arg(long, value_name = "N")]
    rate_limit_per_address: Option<NonZeroU32>,
    /// Limits for the names below a prefix, such as
    /// tenant:streams=1000,bytes=10GiB,requests=100,readers=50; the prefix * stands for each first
    /// segment without its own limit. May be repeated
    #[arg(long = "limit", value_name = "PREFIX:LIMITS")]
    limits: Vec<Rule>,
    /// Take the client's address from the last entry in X-Forwarded-For. Use this only behind a
    /// proxy that adds the entry
    #[arg(long)]
    trust_forwarded_for: bool,
    /// Most connections of one address (of IPv6, one /64 network). If not given, half of the
    /// connections that the limit of open files allows, or any number with --trust-forwarded-for
    #[arg(long, value_name = "N")]
    connections_per_address: Option<NonZeroUsize>,
    /// Seconds without a request after which the server closes a connection
    #[arg(long, value_name = "SECS", default_value_t = IDLE_SECS)]
    #[arg(value_parser = clap::value_parser!(u16).range(5..=3600))]
    idle_timeout: u16,
    /// Address and port of the admin listener, or off. It has the page, metrics, probes, settings
    /// and streams. If not given, 127.0.0.1:4438, or a free port if that one is in use
    #[arg(long, value_name = "ADDR|off")]
    admin: Option<AdminAddress>,
    /// Format of the log on standard error; auto is text on a terminal, and JSON elsewhere
    #[arg(long, value_enum, default_value = "auto")]
    log_format: LogFormat,
    /// Lines to log, by level and target, such as warn,durable_streams=info; RUST_LOG does the same.
    /// If not given, the variable log_level decides
    #[arg(long, value_name = "DIRECTIVES")]
    log_filter: Option<Directives>,
    /// Variable of the component; may be repeated. DS_{NAME} in the environment does the same
    #[arg(long = "variable", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
}

fn instances_help() -> String {
    format!(
        "Instances of the component. If not given, one for each core, or {MAX_INSTANCES} over Redis, \
         where each call blocks its instance"
    )
}

impl clap::ValueEnum for Durability {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Sync, Self::Os]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Sync => "sync",
            Self::Os => "os",
        }))
    }
}

/// Builds of the component inside the program, compiled for this machine. An empty slice means that
/// the build is absent.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The build that serves `wasi:http` 0.2.
    pub p2: &'static [u8],
    /// The build that serves `wasi:http` 0.3 and the exchange.
    pub p3: &'static [u8],
}

impl Embedded {
    /// No component at all.
    pub const NOTHING: Self = Self { p2: &[], p3: &[] };

    fn serving(&self, via: Via) -> Option<ComponentSource> {
        let bytes = match via {
            Via::Exchange | Via::WasiHttp => self.p3,
            Via::WasiHttpP2 => self.p2,
        };
        (!bytes.is_empty()).then_some(ComponentSource::Embedded(bytes))
    }
}

/// Parses the arguments, the program's name first.
///
/// # Errors
///
/// [`UsageError::Arguments`], in one line.
pub fn parse(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Command, UsageError> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let given = || Given::new(Arguments::command(), arguments.clone());
    let is = |place: usize, text: &str| arguments.get(place).is_some_and(|one| one == text);
    match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => Ok(match parsed.command {
            Subcommands::Serve(_) => Command::Serve(given()),
            Subcommands::Config { example: true, .. } => Command::Print(example(&serve_command())),
            Subcommands::Config { json, .. } => Command::Config {
                given: given(),
                json,
            },
            Subcommands::Check {
                directory,
                salvage: Some(output),
                ..
            } => Command::Salvage { directory, output },
            Subcommands::Check {
                directory,
                fix,
                new_timeline,
                ..
            } => Command::Check {
                directory,
                fix,
                new_timeline,
            },
            Subcommands::Backup {
                from: Some(directory),
                dest,
                ..
            } => Command::Backup {
                from: BackupSource::Directory(directory),
                dest,
            },
            Subcommands::Backup {
                admin, token, dest, ..
            } => Command::Backup {
                from: BackupSource::Server { admin, token },
                dest,
            },
            Subcommands::Restore { source, directory } => Command::Restore { source, directory },
            Subcommands::Precompile {
                input,
                output,
                portable,
            } => Command::Precompile {
                input,
                output,
                portable,
            },
            Subcommands::Client(verb) => match verb.generated(Arguments::command()) {
                Some(text) => Command::Print(text),
                None => Command::Client(verb),
            },
        }),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Ok(Command::Print(error.render().to_string()))
            }
            // The configuration file may have the missing flag.
            ErrorKind::MissingRequiredArgument if is(1, "serve") => Ok(Command::Serve(given())),
            ErrorKind::MissingRequiredArgument if is(1, "config") => Ok(Command::Config {
                json: (2..arguments.len()).any(|place| is(place, "--json")),
                given: given(),
            }),
            _ => Err(UsageError::Arguments(first_paragraph(&error))),
        },
    }
}

/// The command `serve`, with its flags.
pub(crate) fn serve_command() -> clap::Command {
    <Serve as clap::Args>::augment_args(clap::Command::new("serve"))
}

impl Serve {
    /// Rate limits of requests.
    pub(crate) const fn rates(&self) -> Rates {
        Rates {
            per_token: self.rate_limit_per_token,
            per_address: self.rate_limit_per_address,
            trust_forwarded_for: self.trust_forwarded_for,
        }
    }

    /// The format of the log, and the lines to log.
    pub(crate) fn log(&self) -> (LogFormat, Option<Directives>) {
        (self.log_format, self.log_filter.clone())
    }

    /// Opens the store, and returns the server's options with these variables and sockets of the
    /// supervisor. `settings` shows the settings to operators.
    ///
    /// # Errors
    ///
    /// When the store can't be opened, or there is no component.
    pub(crate) fn options(
        self,
        variables: Variables,
        inherited: Vec<Inherited>,
        settings: Value,
        embedded: &Embedded,
    ) -> Result<Options, UsageError> {
        let rates = self.rates();
        let limits = Rules::new(self.limits.clone())?;
        let mut listen = self.listen;
        if listen.is_empty() && inherited.is_empty() {
            listen.push(Listen::Tcp(SocketAddr::from(LISTEN)));
        }
        let component = match self.component {
            Some(path) => ComponentSource::File(path),
            None => embedded.serving(self.via).ok_or(UsageError::NoComponent)?,
        };
        let keeping = Keeping {
            durability: self.durability,
            scrub_rate: self.scrub_rate,
        };
        let tls = self.tls_cert.zip(self.tls_key);
        let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key });
        let store = open(&self.store, keeping, &self.inject)?;
        let most = usize::from(MAX_INSTANCES);
        let instances = || match store.blocks() {
            true => most,
            false => std::thread::available_parallelism().map_or(1, usize::from),
        };
        Ok(Options {
            listen,
            inherited,
            tls,
            admin: self.admin.map_or(Admin::Default, Admin::Chosen),
            via: self.via,
            component,
            instances: self
                .instances
                .map_or_else(instances, usize::from)
                .clamp(1, most),
            variables,
            rates,
            limits,
            connections_per_address: self.connections_per_address,
            idle_timeout: Duration::from_secs(u64::from(self.idle_timeout)),
            settings,
            store,
        })
    }
}

#[cfg(test)]
mod tests;
