//! The service over stores in memory: with several instances, quirks, faults and crashes.

mod driver;
mod schedule;
mod world;

mod commits;
mod creation;
mod deletion;
