//! The driver of `durable-streams:edge/exchange`: it moves bytes, waits and calls.
//!
//! It contains no protocol; `src/wit/exchange.wit` defines its duties to the component.

mod background;
mod driver;
#[cfg(test)]
mod durability_tests;
mod lanes;
mod live;
#[cfg(test)]
mod long_tests;
mod reader;
#[cfg(test)]
mod tests;
mod topic;
mod topics;
mod webhooks;

pub(crate) use background::work;
pub(crate) use driver::{Driver, Unanswered};
pub(crate) use lanes::Factories;
pub(crate) use live::Grant;
