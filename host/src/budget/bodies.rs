//! Budget of request body bytes that are buffered at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of bytes that requests share.
#[derive(Debug)]
pub(crate) struct Budget {
    whole: usize,
    left: AtomicUsize,
}

/// Budgets for one body. Long requests have their own budget, so their bodies never use up the
/// budget of short ones.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    /// Budget of short requests.
    pub(crate) short: Arc<Budget>,
    /// Budget of long requests.
    pub(crate) long: Arc<Budget>,
    /// Body length from which a request is long.
    pub(crate) long_from: usize,
}

impl Rooms {
    /// One budget for all bodies.
    #[cfg(test)]
    pub(crate) fn same(budget: &Arc<Budget>) -> Self {
        Self {
            short: Arc::clone(budget),
            long: Arc::clone(budget),
            long_from: usize::MAX,
        }
    }

    /// Budget for a body of this length.
    pub(crate) const fn of(&self, bytes: usize) -> &Arc<Budget> {
        match bytes >= self.long_from {
            true => &self.long,
            false => &self.short,
        }
    }
}

/// Bytes that stay reserved until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// Creates a budget of this many bytes.
    #[must_use]
    pub(crate) const fn new(bytes: usize) -> Self {
        Self {
            whole: bytes,
            left: AtomicUsize::new(bytes),
        }
    }

    /// Whether less than half of the budget is left, so that slow requests delay others.
    #[must_use]
    pub(crate) fn is_short(&self) -> bool {
        self.left.load(Ordering::Acquire) < self.whole / 2
    }

    /// Creates an empty reservation.
    #[must_use]
    pub(crate) fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Reservation {
    /// Reserves more bytes. Returns false if the budget has fewer left.
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
    fn reserved_bytes_are_unavailable_until_dropped() {
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
