//! The configuration file (TOML), and the settings in force.
//!
//! Keys at the top are flags of `serve`, with the names of the flags. The table `[variables]` has
//! variables. A flag of the file becomes an argument before those of the command line, so one parser
//! judges both.

mod error;
mod example;
mod file;
mod flags;
mod given;
mod in_force;
#[cfg(test)]
mod tests;
mod value;

pub use error::ConfigError;
pub(crate) use example::example;
pub(crate) use flags::first_paragraph;
pub(crate) use given::Completed;
pub use given::Given;
pub(crate) use in_force::FlagValues;
pub use in_force::InForce;
