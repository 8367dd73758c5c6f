//! Creation of streams (section 5.1); of forks together with [`fork`](super::fork).
//!
//! `putter` has what a creation was asked for, `put` its steps.

mod put;
mod putter;

pub(super) use put::{Outcome, put};
pub(super) use putter::{Call, Done, Fork, Putter};
