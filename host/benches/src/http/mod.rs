//! As much of an HTTP/1.1 client as the load needs: what it spends, the server does not get.

mod body;
mod connection;
mod head;

pub(crate) use body::{Body, Framing};
pub(crate) use connection::{Answer, Connection};
pub(crate) use head::{Head, field};

/// What is not HTTP/1.1 as we know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer")]
pub(crate) struct Malformed;
