//! State that every step uses: the environment, the variables, and values derived from them.

use super::env::Env;
use crate::access::Access;
use crate::keys::Keys;
use crate::limits::Config;
use crate::protocol::packed::Fields;
use std::cell::Cell;

/// Whether the variables, as read, allow serving requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    Good,
    /// One of them is invalid.
    Malformed,
    /// The platform did not return one. Its default could turn access control off, or point to the
    /// streams of another deployment.
    Unread,
}

/// State that every step uses. A step changes nothing in it but `marked`.
#[derive(Debug)]
pub(super) struct Core<E> {
    pub(super) env: E,
    pub(super) config: Config,
    pub(super) access: Access,
    pub(super) keys: Keys,
    pub(super) variables: Variables,
    /// Whether the marker was checked: it ensures that a store creates all its records in one way.
    pub(super) marked: Cell<bool>,
    /// Header fields of every answer, if they are equal for all requests.
    pub(super) common: Option<Fields>,
}

impl<E: Env> Core<E> {
    /// A random number from 0 to `most`.
    pub(super) fn jitter(&self, most: u64) -> u64 {
        self.env
            .random()
            .checked_rem(most.saturating_add(1))
            .unwrap_or_default()
    }

    /// A random index into `count` places; 0 if there are none.
    pub(super) fn any_of(&self, count: usize) -> usize {
        let any = self.jitter(count.saturating_sub(1) as u64);
        usize::try_from(any).unwrap_or_default()
    }

    /// The pause before try number `tries`, in milliseconds: doubling from 4 to 256, half of it
    /// random, so that two writers that collided once do not collide again.
    pub(super) fn pause_ms(&self, tries: u32) -> u64 {
        let whole = 4_u64.checked_shl(tries.min(6)).unwrap_or(256);
        let half = whole / 2;
        half.saturating_add(self.jitter(half))
    }
}
