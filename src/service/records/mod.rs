//! Small records that several streams share, and the election of the creator of any record.

pub(super) mod election;
pub(super) mod names;
pub(super) mod todo;
pub(super) mod update;
