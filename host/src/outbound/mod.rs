//! Requests sent by this host.

mod client;
mod permits;

pub(crate) use client::{Outbound, OutboundError};
