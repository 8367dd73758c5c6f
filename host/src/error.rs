//! Why the server does not start.

use crate::engine::ComponentError;
use crate::exchange::StepError;
use std::net::SocketAddr;

/// What stops the start; its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is no component to run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It does not run.
    #[error(transparent)]
    Instance(#[from] StepError),
    /// The system gives no random bits.
    #[error("no random bits: {0}")]
    Random(String),
    /// A variable is malformed.
    #[error(transparent)]
    Variable(#[from] durable_streams_edge::limits::Malformed),
}
