//! Steps with answers that wait for the store.
//!
//! One sync of the disk settles the changes of many steps. One task waits for the oldest step, and
//! then continues with all settled steps. A task for each step, woken from the store's thread one
//! by one, cost more than a microsecond an append.

use crate::store::{Lost, Settle};
use crate::vital;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Callback with the outcome of a change.
type Then = Box<dyn FnOnce(Result<(), Lost>) + Send>;

/// Steps that wait for the outcome of a change, in order of arrival.
#[derive(Default)]
pub(super) struct Unsettled {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    steps: VecDeque<(Settle, Then)>,
    /// Whether a task waits for the first step.
    watched: bool,
}

impl Unsettled {
    /// Runs `then` after `settle` is ready, or at once if its outcome is known.
    pub(super) fn when(
        self: &Arc<Self>,
        settle: Settle,
        then: impl FnOnce(Result<(), Lost>) + Send + 'static,
    ) {
        if let Some(outcome) = settle.known() {
            return then(outcome);
        }
        let mut waiting = self.waiting();
        waiting.steps.push_back((settle, Box::new(then)));
        if !std::mem::replace(&mut waiting.watched, true) {
            drop(waiting);
            let watch = Arc::clone(self).watch();
            tokio::spawn(vital::task("the task that hands out answers", watch));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the first step. Without one the task ends.
    fn first(&self) -> Option<(Settle, Then)> {
        let mut waiting = self.waiting();
        let first = waiting.steps.pop_front();
        waiting.watched = first.is_some();
        first
    }

    async fn watch(self: Arc<Self>) {
        while let Some((settle, then)) = self.first() {
            // Most steps have settled together with the one before them.
            then(settle.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ChangeNumber, Settling};
    use std::sync::mpsc;

    #[tokio::test]
    async fn settled_changes_are_handled_at_once_and_the_others_when_they_settle() {
        let settling = Settling::new(ChangeNumber::new(5));
        let unsettled = Arc::new(Unsettled::default());
        let (sender, done) = mpsc::channel();
        let when = |change| {
            let sender = sender.clone();
            let settle = settling.settle(ChangeNumber::new(change));
            unsettled.when(settle, move |outcome| {
                let _ = sender.send((change, outcome));
            });
        };
        for change in [6, 7, 5, 9] {
            when(change);
        }
        assert_eq!(done.try_iter().collect::<Vec<_>>(), [(5, Ok(()))]);
        settling.confirm(ChangeNumber::new(7));
        tokio::task::yield_now().await;
        assert_eq!(
            done.try_iter().collect::<Vec<_>>(),
            [(6, Ok(())), (7, Ok(()))]
        );
        settling.count_loss();
        settling.lose(ChangeNumber::new(9), Lost::NoSpace);
        when(11);
        tokio::task::yield_now().await;
        assert_eq!(
            done.try_iter().collect::<Vec<_>>(),
            [(9, Err(Lost::NoSpace))]
        );
        settling.confirm(ChangeNumber::new(11));
        tokio::task::yield_now().await;
        assert_eq!(done.try_iter().collect::<Vec<_>>(), [(11, Ok(()))]);
        assert!(!unsettled.waiting().watched);
    }
}
