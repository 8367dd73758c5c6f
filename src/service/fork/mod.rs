//! Forks (section 4.2): their creation and their end.
//!
//! `create` is what a `PUT` with `Stream-Forked-From` does besides what every creation does; `steps`
//! are the steps of `stream::Forks`, each a swap of one head; `place` finds where a fork leaves its
//! source; `bar` ends forks that were given up.

mod bar;
mod create;
mod place;
mod steps;

pub(super) use bar::{bar, outrun};
pub(super) use create::{begun, join, meet_pending, prepare, tidy, withdraw};
pub(super) use steps::{
    Progress, advance, cascade, forget, give_up, release, settle_join, settle_tombstone,
};
