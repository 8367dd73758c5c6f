//! The checker: whether a history is one that the promises allow.
//!
//! It is a function of the history alone. Each rule looks at one stream name; a rule that can't
//! tell says nothing. What makes that sound: offsets of one name are never given twice, also
//! across lives, so places of all lives compare; every body is of one append only; and where a
//! life may have ended (somebody deleted it, or its time was over), rules about one life let go.

mod acknowledged;
mod calm;
mod forks;
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

/// A rule, with what it says.
type Rule = (&'static str, fn(&View<'_>) -> Vec<String>);

/// A rule about forks, which looks at a fork and its source.
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
    ("a fork skips what it was asked to", forks::skipped),
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
    ("a place ends one message", order::places),
    ("what was acknowledged is there", acknowledged::there),
    ("what was read stays", acknowledged::kept),
    ("what was refused is not there", acknowledged::refused),
    (
        "reads and appends see what was before",
        acknowledged::fresh_sights,
    ),
    ("an old epoch stays fenced", acknowledged::fenced),
    ("a producer is remembered", acknowledged::remembered),
    ("closed stays closed", lives::closed),
    ("what nobody ended is there", lives::vanished),
    ("deleted stays deleted", lives::deleted),
    ("lives do not mix", lives::apart),
    ("a life is created once", lives::created_once),
    ("what expired is gone", lives::expired),
    ("waiting readers are told", wakes::told),
    ("without faults all is well", calm::well),
];

/// What a history must not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// The stream and the details.
    pub what: String,
}

/// Holds a history to every rule. One in which the store went back is two: as it was until then, and
/// as it is for the store that went back.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let Some(restore) = restores::of(history) else {
        return check_one(history);
    };
    let mut violations = check_one(&restores::before(history, restore));
    violations.extend(check_one(&restores::after(history, restore)));
    let found = restores::lost_places(history, restore);
    violations.extend(found.into_iter().map(|what| Violation {
        rule: "lost places stay lost",
        what,
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
            violations.extend(found.into_iter().map(|what| Violation {
                rule,
                what: format!("{}: {what}", fork.name),
            }));
        }
    }
    for view in views {
        for (rule, judge) in RULES {
            let found = judge(&view).into_iter().map(|what| Violation {
                rule,
                what: format!("{}: {what}", view.name),
            });
            violations.extend(found);
        }
    }
    violations
}
