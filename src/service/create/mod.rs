//! Creation of streams (section 5.1), and of forks together with [`fork`](super::fork).
//!
//! `putter` has the state of a creation, `put` its steps.

mod put;
mod putter;

pub(super) use put::{CreateResult, put};
pub(super) use putter::{Call, Done, Fork, Putter};
