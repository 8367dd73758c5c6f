//! The driver of WASI 0.3. [`http`] serves `wasi:http/handler`, as Spin calls it. [`exchange`]
//! exports the service's steps to a host that knows them.

mod deliver;
mod exchange;
mod http;
mod hub;
mod waits;

use spin_sdk::wasip3::clocks::system_clock;
use spin_sdk::wasip3::random::random::get_random_u64;

mod lane {
    wit_bindgen::generate!({ path: "src/wit", world: "lane", generate_all });
}

struct Component;

#[expect(unsafe_code, reason = "the export's entry points are generated")]
mod exports {
    use super::{Component, lane};
    lane::export!(Component with_types_in lane);
    spin_sdk::wasip3::http::service::export!(Component);
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = system_clock::now();
    let seconds = u64::try_from(now.seconds).unwrap_or_default();
    seconds
        .saturating_mul(1000)
        .saturating_add(u64::from(now.nanoseconds / 1_000_000))
}

/// Random bits, unpredictable to outsiders.
pub(super) fn random() -> u64 {
    get_random_u64()
}

/// Notes that a key was swapped, because readers in this instance may wait for it.
pub(super) fn swapped(key: &str) {
    hub::changed(key);
}
