//! Classification of requests as long or short.
//!
//! A step runs to its end, and all other requests of its instance wait for it. So long requests
//! have their own instances, where they wait only for each other. Only [`Classifier`] decides which
//! requests are long.

mod classifier;
mod costs;
#[cfg(test)]
mod tests;
mod ticket;
mod writes;

pub(crate) use classifier::{Classifier, Length};
pub(crate) use ticket::Ticket;
