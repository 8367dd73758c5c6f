//! Requests that this host sends.

mod client;
mod turns;

pub use client::{Outbound, OutboundError};
