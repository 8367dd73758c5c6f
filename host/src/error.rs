//! Errors that prevent the start.

use crate::engine::ComponentError;
use crate::exchange::StepError;
use crate::net::{ListenError, TlsError};

/// Reason that the server does not start. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server can't listen on an address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificate or its key can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
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
