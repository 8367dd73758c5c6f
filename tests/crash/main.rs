//! What is acknowledged survives: the host is killed under load, and its disk is filled. And what
//! keeping it costs.
//!
//! `cargo xtask test crash` runs this, on Linux; the full disk takes root, and is skipped without.

mod client;
mod disk_full;
mod kill;
mod load;
mod server;
mod size;
mod wakes;

#[path = "../support/host.rs"]
mod host;
