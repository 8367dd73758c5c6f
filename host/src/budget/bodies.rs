//! The bytes of request bodies that may be buffered at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes that requests share.
#[derive(Debug)]
pub(crate) struct Budget {
    whole: usize,
    left: AtomicUsize,
}

/// Room for one body. Long requests have room of their own: their bodies must not take that of
/// short ones.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    /// For a short request.
    pub(crate) short: Arc<Budget>,
    /// For a long request.
    pub(crate) long: Arc<Budget>,
    /// Bytes of the body from which the request is long.
    pub(crate) long_from: usize,
}

impl Rooms {
    /// One room for all bodies.
    #[cfg(test)]
    pub(crate) fn same(budget: &Arc<Budget>) -> Self {
        Self {
            short: Arc::clone(budget),
            long: Arc::clone(budget),
            long_from: usize::MAX,
        }
    }

    /// Room for a body of so many bytes.
    pub(crate) const fn of(&self, bytes: usize) -> &Arc<Budget> {
        match bytes >= self.long_from {
            true => &self.long,
            false => &self.short,
        }
    }
}

/// Bytes that are taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub(crate) const fn new(bytes: usize) -> Self {
        Self {
            whole: bytes,
            left: AtomicUsize::new(bytes),
        }
    }

    /// Whether less than half of it is left, so that slow requests are in the way of others.
    #[must_use]
    pub(crate) fn is_short(&self) -> bool {
        self.left.load(Ordering::Acquire) < self.whole / 2
    }

    /// Takes nothing yet.
    #[must_use]
    pub(crate) fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Reservation {
    /// Takes more, if there is as much.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        let left = &self.budget.left;
        let taken = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        if taken.is_ok() {
            self.bytes = self.bytes.saturating_add(bytes);
        }
        taken.is_ok()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_missing_until_it_is_dropped() {
        let budget = Arc::new(Budget::new(10));
        let mut first = budget.reserve();
        let mut second = budget.reserve();
        assert!(first.grow(4) && first.grow(4));
        assert!(!second.grow(3));
        assert!(second.grow(2));
        assert!(budget.is_short());
        drop(first);
        assert!(!budget.is_short());
        assert!(second.grow(8));
        assert!(!second.grow(1));
    }
}
