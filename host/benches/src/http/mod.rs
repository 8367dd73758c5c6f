//! A minimal HTTP/1.1 client. CPU spent in the client is CPU that the server does not get.

mod body;
mod connection;
mod head;

pub(crate) use body::{Body, Framing};
pub(crate) use connection::{Answer, Connection};
pub(crate) use head::{Head, field};

/// Error for bytes that this client can't parse as HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer")]
pub(crate) struct Malformed;
