//! Subscriptions (sections 6 and 7): control calls, and the work that follows from appends.
//!
//! From the bottom: `records` reads and changes one subscription's record, by compare-and-swap;
//! `signing`, `token` and `sent` are keys and tokens; `streams` reads the linked streams;
//! `announce` notifies workers; `wake` wakes a subscription; `spread` takes the news of an append
//! to the subscriptions of its stream; `link` and `naming` link streams. `create`, `members`,
//! `workers` and `lookup` are the calls, which `control` dispatches. No request calls `due` and
//! `delivered`: they do the work that is due, and handle the answer of a webhook.

mod announce;
mod control;
mod create;
mod delivered;
mod doubt;
mod due;
mod link;
mod lookup;
mod members;
mod naming;
mod records;
mod sent;
mod signing;
mod spread;
mod stop;
mod streams;
mod token;
mod wake;
mod workers;

pub(super) use control::{Call, ControlResult, control};
pub(super) use delivered::delivered;
pub(super) use due::{walk_subscriptions, work_wake};
pub(super) use link::{greet, greet_again};
pub(super) use records::{subscription, subscriptions};
pub(super) use spread::spread;
