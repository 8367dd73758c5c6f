//! Programs that tests start: the host with its component, a Redis, an nginx, a Prometheus, and
//! a Chromium. And random choices that are repeatable.
//!
//! The HTTP tests, the crash tests, the unit tests of the Redis store and xtask's suites share
//! them. xtask compiles before everything else, so this crate needs only std.

mod chromium;
mod host;
mod nginx;
mod prometheus;
mod random;
mod redis;

pub use chromium::program as chromium_program;
pub use host::Host;
pub use nginx::{NginxServer, program as nginx_program};
pub use prometheus::{PrometheusServer, program as prometheus_program};
pub use random::Random;
pub use redis::{RedisServer, program as redis_program};
