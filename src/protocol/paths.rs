//! Paths of probes and of the background tick. `request/control.rs` has the paths of control calls.

/// Whether the process is alive. A supervisor restarts a process that does not respond.
pub const HEALTH: [&str; 2] = ["/health", "/healthz"];

/// Whether the server can serve requests.
pub const READY: &str = "/readyz";

/// One piece of background work, below [`RESERVED`](super::name::RESERVED).
pub const TICK: &str = "tick";
