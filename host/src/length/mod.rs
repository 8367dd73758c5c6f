//! Which requests take long.
//!
//! A step runs to its end, and every request that is served by the same instance waits for it. So
//! long requests are served by instances of their own, where they wait for each other.
//! [`Classifier`] alone decides which requests are long.

mod classifier;
mod costs;
#[cfg(test)]
mod tests;
mod ticket;
mod writes;

pub(crate) use classifier::{Classifier, Length};
pub(crate) use ticket::Ticket;
