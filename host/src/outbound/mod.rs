//! Requests that this host sends.

mod client;
mod permits;

pub(crate) use client::{Outbound, OutboundError};
