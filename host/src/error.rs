//! Errors that prevent the start.

use crate::engine::ComponentError;
use crate::exchange::StepError;
use crate::net::{ListenError, TlsError};
use std::net::SocketAddr;

/// Reason that the server does not start. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server can't listen on an address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The admin listener can't listen on the address.
    #[error("{0} (--admin)")]
    Admin(ListenError),
    /// The admin listener would be open to the network.
    #[error(
        "--admin {0} is reachable from other machines, and access control is off: use a loopback \
         address such as 127.0.0.1:4438, or set auth_tokens or a key (auth_...)"
    )]
    AdminExposed(SocketAddr),
    /// A reload would turn access control off. An editor may have emptied the file for a moment.
    #[error(
        "the settings have no tokens and no key any more, which would turn access control off: restart \
         the server to do so"
    )]
    AccessOff,
    /// Streams can't be counted.
    #[error(
        "--limit needs the registry of names to count streams and bytes: set the variable registry to \
         true, or limit requests and readers only"
    )]
    LimitsWithoutRegistry,
    /// There is no component to run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The first instance does not run.
    #[error(transparent)]
    Instance(#[from] StepError),
    /// The system provides no random bits.
    #[error("the system returned no random bits: {0}")]
    Random(String),
    /// A variable is malformed.
    #[error(transparent)]
    Variable(#[from] durable_streams_edge::limits::Malformed),
}
