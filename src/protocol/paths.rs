//! Paths that are no streams, but for the control calls, which `request/control.rs` knows.

/// Is the process alive? What asks this restarts what does not answer.
pub const HEALTH: [&str; 2] = ["/health", "/healthz"];

/// Can it serve?
pub const READY: &str = "/readyz";

/// One piece of background work, below [`RESERVED`](super::name::RESERVED).
pub const TICK: &str = "tick";
