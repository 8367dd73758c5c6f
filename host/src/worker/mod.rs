//! Pinned instances and the queues before them.
//!
//! A worker is one instance and the steps that wait for it. Callers only queue a step. A task runs
//! the steps while there are any, and lets every connection with pending work go first. So steps
//! run in bursts, and requests start together where possible. Bursts make a step cheap: the code of
//! a connection and that of a step do not fit into a core's caches together. Alternating between
//! them for each request took half as much CPU again (measured with 32 connections: 73 us an
//! append, 45 us in bursts).
//!
//! A worker for long steps runs them on a thread of its own. The runtime has few threads, and each
//! has connections to serve.
//!
//! A worker delivers the answers of a step once the step's footprint in the store has settled. If a
//! step would have to wait for the disk before its first write, another thread loads the keys, and
//! then the step is repeated.

mod alarm;
mod apart;
mod calls;
#[cfg(test)]
pub(crate) mod fake;
mod guest;
mod inline;
mod jobs;
mod metered;
mod queue;
mod slot;
mod steps;
#[cfg(test)]
mod tests;
mod unsettled;

pub(crate) use alarm::Alarm;
pub(crate) use calls::{Answered, Pending};
pub(crate) use guest::Guest;
pub(crate) use metered::MeteredSteps;
pub(crate) use queue::{Deliver, Worker};
pub(crate) use slot::Factory;
