//! What is acknowledged survives: the host is killed under load, and its disk is filled.

mod client;
mod disk_full;
mod kill;
mod load;
mod server;
