//! HTTP wire format: header names, parsing, responses and framing. Pure: no I/O, no clock, no
//! randomness.
//!
//! The parser turns a request into an [`request::Operation`] or a [`problem::Problem`]. The framing
//! turns the content of a stream into the bytes of a response. Decisions that need a stream's head
//! are made elsewhere.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod control;
pub mod cursor;
pub mod etag;
pub mod headers;
pub mod json;
pub mod name;
pub mod offset;
pub mod packed;
pub mod paths;
mod percent;
pub mod problem;
mod query;
pub mod request;
pub mod response;
pub mod sse;
pub mod time;
