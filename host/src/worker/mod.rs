//! Pinned instances and the queues before them.
//!
//! A worker is one instance and the steps that wait for it. Callers only queue a step; a task
//! that lives as long as there are steps runs them, and lets every connection that has something to
//! say go first. So steps run in bursts, and what can be started together is. The bursts are what
//! makes a step cheap: the code of a connection and that of a step do not fit into a core's caches
//! together, and running them by turns for each request took half as much CPU again (measured with
//! 32 connections: 73 us an append, 45 us in bursts).
//!
//! A worker for long steps runs them on a thread of its own. The threads of the runtime are few, and
//! each has connections to serve.
//!
//! Answers of a step are handed out when its footprint in the store has settled. A step that would
//! have to wait for the disk before it wrote anything is repeated after the wait, which happens
//! elsewhere.

mod alarm;
mod apart;
mod calls;
#[cfg(test)]
pub(crate) mod fake;
mod guest;
mod inline;
mod jobs;
mod queue;
mod slot;
mod steps;
#[cfg(test)]
mod tests;
mod unsettled;

pub(crate) use alarm::Alarm;
pub(crate) use calls::{Answered, Pending};
pub(crate) use guest::Guest;
pub(crate) use queue::{Deliver, Worker};
pub(crate) use slot::Factory;
