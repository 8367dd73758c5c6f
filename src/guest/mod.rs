//! The component: the service in a WebAssembly world.
//!
//! There are two builds of it, which share everything but the driver of HTTP:
//!
//! - [`p2`] serves `wasi:http/incoming-handler@0.2`, one request an instance. Every released Spin
//!   runs it.
//! - [`p3`] serves `wasi:http/handler@0.3`, many requests an instance, and offers our own host the
//!   steps themselves.
//!
//! The drivers convert and wait. They know nothing of the protocol.

#[cfg(all(feature = "p2", feature = "p3"))]
compile_error!(
    "the component serves one way of wasi:http: build with the feature p2 or p3, not both"
);
#[cfg(not(any(feature = "p2", feature = "p3")))]
compile_error!("the component serves nothing: build it with the feature p2 or p3");

mod env;
mod message;
#[cfg(feature = "p2")]
mod p2;
#[cfg(feature = "p3")]
mod p3;
mod polling;

#[cfg(feature = "p2")]
use self::p2 as platform;
#[cfg(feature = "p3")]
use self::p3 as platform;

use self::env::World;
use crate::service::Service;
use std::cell::RefCell;
use std::rc::Rc;

mod bindings {
    wit_bindgen::generate!({ path: "src/wit", world: "imports", generate_all });
}

thread_local! {
    static SERVICE: RefCell<Option<Rc<Service<World>>>> = const { RefCell::new(None) };
}

/// The instance's service. It keeps nothing but the variables, and is made anew until the platform
/// has told them.
fn service() -> Rc<Service<World>> {
    SERVICE.with_borrow_mut(|kept| {
        if let Some(service) = kept {
            return Rc::clone(service);
        }
        let service = Rc::new(Service::new(World::new()));
        if service.is_settled() {
            *kept = Some(Rc::clone(&service));
        }
        service
    })
}

/// Takes a step at `now`, milliseconds since 1970: a call of the host for each look at the clock would
/// cost as much as the rest of a small read.
fn step<T>(now: u64, step: impl FnOnce(&Service<World>) -> T) -> T {
    let service = service();
    service.env().set_now(Some(now));
    let result = step(&service);
    service.env().set_now(None);
    result
}
