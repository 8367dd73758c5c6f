//! Reads (sections 5.5 to 5.8): metadata, pages, long-polls and event streams.
//!
//! `start` begins or resumes a read; `found` is the stream at one step; `tail` finds a start near
//! the end; `page` answers with a page, at once or after a long-poll; `sse` makes the events.

mod found;
mod page;
mod sse;
mod start;
mod tail;

pub(super) use start::{get, metadata, resume};
