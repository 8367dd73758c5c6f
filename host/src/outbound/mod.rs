//! Requests that this host sends.

mod client;
mod turns;

pub(crate) use client::{Outbound, OutboundError};
