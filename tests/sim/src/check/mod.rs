//! The checker: whether a history is one that the promises allow.
//!
//! The checker is a function of the history alone. Each rule reads one stream name, and a rule that
//! can't decide reports nothing. Three facts make that sound. Offsets of one name are never given
//! twice, also across lives, so offsets of all lives compare. Every body belongs to one append.
//! Where a life may have ended (by a deletion or by expiry), rules about one life report nothing.

mod acknowledged;
mod calm;
mod conditional;
mod forks;
mod leases;
mod lives;
mod messages;
mod order;
mod restores;
#[cfg(test)]
mod tests;
mod view;
mod wakes;

use crate::history::History;
use view::View;

/// A rule, with its text.
type Rule = (&'static str, fn(&View<'_>) -> Vec<String>);

/// A rule about forks, which reads a fork and its source.
type ForkRule = (&'static str, fn(&View<'_>, &View<'_>) -> Vec<String>);

/// Every rule about a fork.
const FORK_RULES: &[ForkRule] = &[
    ("a fork begins as its source does", forks::order),
    (
        "a fork has all of its source up to its place",
        forks::complete,
    ),
    (
        "a fork has nothing of its source behind its place",
        forks::apart,
    ),
    ("a fork skips as many messages as requested", forks::skipped),
];

/// Every rule.
const RULES: &[Rule] = &[
    ("bytes come back whole", order::intact),
    ("a message is there once", order::once),
    ("all readers see one order", order::one_order),
    ("an append is whole", order::whole),
    ("producers are in order", order::producers),
    ("Stream-Seq rises", order::sequences),
    ("offsets strictly increase", order::forward),
    ("a place ends one message", order::offsets),
    ("a tail is as long as requested", order::tails),
    ("acknowledged appends are there", acknowledged::there),
    ("read data stays", acknowledged::kept),
    ("refused appends are not there", acknowledged::refused),
    (
        "reads and appends see all earlier data",
        acknowledged::fresh_sights,
    ),
    ("an old epoch stays fenced", acknowledged::fenced),
    ("a producer is remembered", acknowledged::remembered),
    ("closed stays closed", lives::closed),
    ("a stream is there until a client ends it", lives::vanished),
    ("deleted stays deleted", lives::deleted),
    ("lives do not mix", lives::apart),
    ("a life is created once", lives::created_once),
    ("expired streams are gone", lives::expired),
    ("waiting readers are notified", wakes::notified),
    ("no lease lapses before its end", leases::early),
    ("no reader waits past a lapsed lease", leases::waits),
    ("no append comes after a lapse", leases::late_appends),
    ("the first close decides the reason", leases::reasons),
    (
        "a conditional append begins at its tail",
        conditional::at_its_tail,
    ),
    (
        "a conditional append is refused at another tail only",
        conditional::elsewhere,
    ),
    ("without faults all is well", calm::well),
];

/// A broken promise in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Text of the broken rule.
    pub rule: &'static str,
    /// The stream and the details.
    pub detail: String,
}

/// Checks a history against every rule. A history in which the store went back counts as two: the
/// history until then, and the history of the store that went back.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let Some(restore) = restores::of(history) else {
        return check_one(history);
    };
    let mut violations = check_one(&restores::before(history, restore));
    violations.extend(check_one(&restores::after(history, restore)));
    let found = restores::lost_offsets(history, restore);
    violations.extend(found.into_iter().map(|detail| Violation {
        rule: "lost places stay lost",
        detail,
    }));
    violations
}

fn check_one(history: &History) -> Vec<Violation> {
    let mut violations = Vec::new();
    let views = View::of(history);
    for fork in &views {
        let source = fork.forked.first().map(|(_, fork)| &*fork.source);
        let source = views.iter().find(|view| Some(view.name) == source);
        for (rule, judge) in source.iter().flat_map(|_| FORK_RULES) {
            let found = source.map_or_else(Vec::new, |source| judge(fork, source));
            violations.extend(found.into_iter().map(|detail| Violation {
                rule,
                detail: format!("{}: {detail}", fork.name),
            }));
        }
    }
    for view in views {
        for (rule, judge) in RULES {
            let found = judge(&view).into_iter().map(|detail| Violation {
                rule,
                detail: format!("{}: {detail}", view.name),
            });
            violations.extend(found);
        }
    }
    violations
}
