//! HTTP wire: header names, parsing, answers and framing. Pure: no I/O, no clock, no randomness.
//!
//! A request becomes an [`request::Operation`] or a [`problem::Problem`]; what a stream holds
//! becomes the bytes of an answer. What needs a stream's head is decided elsewhere.

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
pub mod request;
pub mod response;
pub mod sse;
pub mod time;
