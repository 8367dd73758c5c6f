//! The state machine of one stream: pure transitions over its head.
//!
//! Each family of operations has one file and one error type. Nothing here does I/O, reads a clock
//! or draws random bits; time and identifiers are arguments.

mod adopt;
mod append;
mod append_request;
mod branch;
mod close;
mod closing;
mod content_type;
mod create;
mod delete;
mod expiry;
mod fork;
mod head;
mod lease;
mod position;
mod producer;
mod read;
mod ring;
mod segment;
mod settle;
mod subscriber;
mod timeline;

pub use adopt::{AdoptError, AdoptedProducer, Adoption};
pub use append::{Batch, CommitId};
pub use append_request::{
    Append, AppendError, AppendLimits, Appended, Expected, InvalidMessages, Payload,
};
pub use branch::{ForkError, branch};
pub(crate) use branch::{begin_fork, inherited_expiry, is_fork_of};
pub use close::{Closed, InvalidReason, Reason};
pub use content_type::{ContentType, NotAContentType};
pub use create::{Birth, Create, create, matches};
pub use delete::{Owed, Tombstone, tombstone};
pub use expiry::Expiry;
pub use fork::{Asked, ForkStep, Forks, Lineage, Link, Run, Span, TooManySteps, owner};
#[cfg(test)]
pub(crate) use head::tests::head as test_head;
pub use head::{Head, Presence};
pub use lease::{Lease, LeaseRules};
pub use position::{Incarnation, Position};
pub(crate) use position::{LifeMark, hex, push_hex};
pub(crate) use producer::ProducerId;
pub use producer::{Producer, ProducerMark, ProducerState};
pub use read::Origin;
pub(crate) use read::{OffsetGone, locate};
pub use ring::Ring;
pub use segment::{Block, Chunk, Segment};
pub use settle::Settled;
pub use subscriber::{Subscriber, TooManySubscribers};
pub use timeline::{Era, Timelines};
