//! Forks (section 4.2): their creation and their end.
//!
//! `create` has the steps that a `PUT` with `Stream-Forked-From` adds to an ordinary creation.
//! `steps` has the steps of `stream::Forks`, each a swap of one head. `place` finds where a fork
//! branches off its source. `bar` ends forks that were given up.

mod bar;
mod create;
mod place;
mod steps;

pub(super) use bar::{bar, outrun};
pub(super) use create::{begun, join, meet_pending, prepare, tidy, withdraw};
pub(super) use steps::{
    Progress, advance, cascade, forget, give_up, release, settle_join, settle_tombstone,
};
