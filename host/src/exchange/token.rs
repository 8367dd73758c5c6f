//! What an instance has the host keep for it, opaque to the host.

use bytes::Bytes;

/// What is kept between two steps of one exchange; the component's alone to read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub Bytes);

/// What all attempts of one commit share; the component's alone to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt(pub Bytes);
