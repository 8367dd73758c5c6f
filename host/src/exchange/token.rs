//! State that the host keeps for an instance. Only the component reads it.

use bytes::Bytes;

/// State between two steps of one exchange. Only the component reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub Bytes);

/// State shared by all attempts of one commit. Only the component reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt(pub Bytes);
