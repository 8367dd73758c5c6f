//! The component: the service in a WebAssembly world.
//!
//! [`http`] serves `wasi:http/handler` and is what Spin and other platforms call; [`exchange`]
//! offers the steps themselves to a host that knows them. Both only convert and wait; neither
//! knows the protocol.

mod deliver;
mod env;
mod exchange;
mod http;
mod hub;
mod waits;

use self::env::World;
use crate::service::Service;
use std::cell::RefCell;
use std::rc::Rc;

mod bindings {
    wit_bindgen::generate!({ path: "src/wit", world: "imports", generate_all });
}

mod lane {
    wit_bindgen::generate!({ path: "src/wit", world: "lane", generate_all });
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

struct Component;

#[expect(unsafe_code, reason = "the export's entry points are generated")]
mod exports {
    use super::{Component, lane};
    lane::export!(Component with_types_in lane);
    spin_sdk::wasip3::http::service::export!(Component);
}
