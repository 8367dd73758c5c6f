//! Paths of probes, of the background tick and of operators' calls. `request/control.rs` has the paths of control calls.

/// Whether the process is alive. A supervisor restarts a process that does not respond.
pub const HEALTH: [&str; 2] = ["/health", "/healthz"];

/// Whether the server can serve requests.
pub const READY: &str = "/readyz";

/// One piece of background work, below [`RESERVED`](super::name::RESERVED).
pub const TICK: &str = "tick";

/// Descriptions of streams, below [`RESERVED`](super::name::RESERVED), each at its name.
pub const STREAMS: &str = "streams/";

/// End of the path at which a stream adopts producers, after the path of its description.
pub const ADOPTION: &str = "/producers";
