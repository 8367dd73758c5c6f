//! The native host: a Durable Streams server around the component.
//!
//! ```text
//!  connections (net) -> driver (drive) -> queue and instance (worker)
//!        |                |      ^                   |
//!        |          webhooks   readers in groups   wasi -> store
//!        +----------> proxy -> instances on demand ----^
//! ```
//!
//! The host moves bytes, waits, and stores keys and values; only the component knows streams. The
//! host calls the component through `durable-streams:edge/exchange` ([`Via::Exchange`]) or, as Spin
//! does, through `wasi:http/handler` ([`Via::WasiHttp`]) or `wasi:http/incoming-handler`
//! ([`Via::WasiHttpP2`]).
//!
//! # Rooms
//!
//! A file imports files of its own room and of the rooms below it. No two files import each other.
//!
//! ```text
//!  main, hangup              signals, exit codes
//!  settled, cli              arguments
//!  announce                  the lines that a server prints once it serves
//!  serve                     starting and ending a server; error: reasons why it does not start
//!  admin                     the admin listener
//!  reload                    settings of a running server that can change
//!  net                       sockets, TLS, connections, rates, bodies of requests
//!  drive        proxy        exchanges on pinned instances | instances on demand
//!  worker                    an instance and its queue
//!  answers                   response bodies, and the host's own answers
//!  exchange                  the types of the exchange
//!  engine                    Wasmtime and the component
//!  config                    the configuration file
//!  wasi         variables    imports of an instance
//!  outbound                  the client for webhooks
//!  quota                     limits and usage per prefix
//!  store        check        keys and values | the check of a store on disk
//!  backup                    backups and restores; backup/disk is below check
//!  length                    which requests take long
//!  budget, vital             room for bodies, tasks that must not panic
//!  diagnostics, trace, telemetry  start of the log and the traces, spans, the log
//!  supervisor                notifications to systemd
//!  meters                    metrics
//!  limits                    the table of limits
//! ```

mod admin;
pub mod announce;
mod answers;
pub mod backup;
mod budget;
pub mod check;
pub mod cli;
pub mod config;
pub mod diagnostics;
mod drive;
pub mod engine;
mod error;
mod exchange;
pub mod hangup;
mod length;
mod limits;
mod meters;
mod net;
mod outbound;
mod proxy;
mod quota;
mod reload;
mod serve;
pub mod settled;
pub mod store;
pub mod supervisor;
mod telemetry;
mod trace;
pub mod variables;
mod vital;
mod wasi;
mod worker;

pub use admin::{Admin, AdminAddress};
pub use engine::ComponentSource;
pub use error::StartError;
pub use net::{
    ActivationError, Address, Inherited, Listen, ListenError, Rates, TlsError, TlsFiles,
};
pub use quota::{BadRule, Rule, Rules, TwoRules};
pub use reload::{Changed, Reload};
pub use serve::{Options, Running, Via, serve};
pub use telemetry::{Directives, DirectivesError, LogFormat};
