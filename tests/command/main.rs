//! The client commands of the program, against the program's own server: every command, connections
//! that are cut anywhere, and restarts of both sides.
//!
//! `DS_COMMAND_RUNS` is the number of runs through a proxy that cuts connections (20).

mod common;

mod archive;
mod cuts;
mod moves;
mod restarts;
mod top;
mod verbs;
