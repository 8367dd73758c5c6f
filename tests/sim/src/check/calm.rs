//! Rules about the time after the last fault.

use super::view::View;
use crate::history::CallResult;

/// Every request is answered with success or a client error.
pub(super) fn well(view: &View<'_>) -> Vec<String> {
    let calm = view
        .calls
        .iter()
        .filter(|call| call.began >= view.terms.calm_from);
    let excuses = calm.filter(|call| match &call.result {
        CallResult::Done { .. } => false,
        CallResult::Refused(status, _) => !(400..500).contains(status),
        CallResult::Unknown(_) => true,
    });
    excuses
        .map(|call| format!("{:?} was answered {:?}", call.ask, call.result))
        .collect()
}
