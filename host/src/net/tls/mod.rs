//! TLS of connections: certificates, their replacement, and handshakes.

mod certificates;
mod files;
mod follow;
mod handshake;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use certificates::Certificates;
pub use files::{TlsError, TlsFiles};
pub(crate) use follow::follow;
pub(super) use handshake::shake_hands;
