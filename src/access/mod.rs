//! Who may do what: pure decisions over a caller's rights. No I/O, no clock.

mod rights;

pub use rights::{Rights, Scope};
