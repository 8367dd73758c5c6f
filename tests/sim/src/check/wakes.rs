//! Rules about readers that wait.

use super::view::View;
use crate::history::Offset;

/// An acknowledged append ends the wait of every reader that waits before its end.
pub(super) fn notified(view: &View<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for wait in &view.waits {
        for ack in &view.acks {
            let concerns = match wait.at {
                // Every empty life ends at zero, also a life that began after that append.
                Some(Offset::ZERO) if ack.call.began < wait.began => {
                    !view.may_have_ended(ack.call.began, wait.ended)
                }
                Some(offset) => ack.end > offset,
                // The reader waits at the tail of some time before the wait.
                None => ack.call.began >= wait.began,
            };
            let since = wait.began.max(ack.call.ended);
            let late = wait.ended.saturating_sub(since);
            if concerns && late > view.terms.wake_us {
                found.push(format!(
                    "the reader waiting at {:?} was notified {late} us late of {}",
                    wait.at, ack.end
                ));
            }
        }
    }
    found
}
