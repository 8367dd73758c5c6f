//! The driver of WASI 0.2: [`http`] serves `wasi:http/incoming-handler`.
//!
//! The platform makes a fresh instance for each request, and calls block. So requests share
//! nothing, each waiting reader polls its stream's head itself, and each wait has an end.

mod body;
mod deliver;
mod http;
mod waits;

use wasi::clocks::wall_clock;
use wasi::random::random::get_random_u64;

struct Component;

wasi::http::proxy::export!(Component);

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds
        .saturating_mul(1000)
        .saturating_add(u64::from(now.nanoseconds / 1_000_000))
}

/// Random bits, unpredictable to outsiders.
pub(super) fn random() -> u64 {
    get_random_u64()
}

/// Ignores a swapped key: the instance serves one request, so no reader waits for the key.
pub(super) const fn swapped(_: &str) {}
