//! Programs that tests start: the host with its component, a Redis, and an nginx.
//!
//! The HTTP tests, the crash tests, the unit tests of the Redis store and xtask's suites share
//! them. xtask compiles before everything else, so this crate needs only std.

mod host;
mod nginx;
mod redis;

pub use host::Host;
pub use nginx::{NginxServer, program as nginx_program};
pub use redis::{RedisServer, program as redis_program};
