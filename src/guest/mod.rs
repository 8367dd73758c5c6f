//! The component: the service in a WebAssembly world.
//!
//! The component has two builds, which share everything but the HTTP driver:
//!
//! - [`p2`] serves `wasi:http/incoming-handler@0.2`, one request an instance. Every released Spin
//!   runs it.
//! - [`p3`] serves `wasi:http/handler@0.3`, many requests an instance. It also exports the
//!   service's steps to our own host.
//!
//! The drivers convert types and wait. They know nothing of the protocol.

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

/// The instance's service. It keeps only the variables. Each call makes a new service until the
/// platform provides the variables.
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

/// Takes a step for a driver that polls the store for its waiting readers.
fn polling_step<T>(now: u64, work: impl FnOnce(&Service<World>) -> T) -> T {
    step(now, |service| {
        service.env().set_polls(true);
        let result = work(service);
        service.env().set_polls(false);
        result
    })
}

/// Takes a step at `now`, milliseconds since 1970. One time serves the whole step: a host call for
/// each clock reading would cost as much as the rest of a small read.
fn step<T>(now: u64, step: impl FnOnce(&Service<World>) -> T) -> T {
    let service = service();
    service.env().set_now(Some(now));
    let result = step(&service);
    service.env().set_now(None);
    result
}
