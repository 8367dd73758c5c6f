//! A store, a clock and random bits that never fail, for one instance after another.

use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::Service;
use durable_streams_edge::service::env::{Env, StoreError, SwapError};
use durable_streams_edge::service::exchange::{Answer, Cause, Cursor, Next};
use durable_streams_edge::settings::Variables;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// 2026-01-01T00:00:00Z in milliseconds.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

/// What all instances share.
#[derive(Debug)]
pub(crate) struct World {
    values: RefCell<BTreeMap<String, Vec<u8>>>,
    variables: RefCell<BTreeMap<String, String>>,
    now_ms: Cell<u64>,
    random: Cell<u64>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        let world = Self {
            values: RefCell::default(),
            variables: RefCell::default(),
            now_ms: Cell::new(NEW_YEAR_MS),
            random: Cell::new(seed),
        };
        world.variable("kv_guarded_create", "true");
        world.variable("log_level", "error");
        Rc::new(world)
    }

    pub(crate) fn variable(&self, name: &str, value: &str) {
        let mut variables = self.variables.borrow_mut();
        variables.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    pub(crate) fn advance(&self, ms: u64) {
        self.now_ms.set(self.now_ms.get().saturating_add(ms));
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.values.borrow().keys().cloned().collect()
    }
}

/// One instance of the service.
pub(crate) type Server = Service<Instance>;

/// A new instance in a world.
pub(crate) fn serve(world: &Rc<World>) -> Server {
    Service::new(Instance(Rc::clone(world)))
}

/// A request that asks for something, without what a driver knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &'static str, name: &str) -> Self {
        Self {
            method,
            target: format!("/v1/stream/{name}"),
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }
}

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Fields,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).map(std::str::from_utf8);
        value.and_then(Result::ok).unwrap_or_default()
    }
}

/// How an exchange came to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It is over.
    Done,
    /// It waits for a change, and goes on with this token.
    Waits { token: Vec<u8> },
    /// The connection is reset.
    Reset,
}

/// Does an exchange that does not wait for others.
pub(crate) fn call(server: &Server, ask: &Ask) -> Response {
    let (response, rest) = begin(server, ask);
    assert_eq!(rest, Rest::Done, "{ask:?}: {response:?}");
    response
}

/// Does an exchange until it is over or waits for others.
pub(crate) fn begin(server: &Server, ask: &Ask) -> (Response, Rest) {
    let raw = RawRequest {
        method: ask.method,
        scheme: Some("http"),
        authority: Some("a.example"),
        target: &ask.target,
        headers: ask.headers.as_packed(),
        body: &ask.body,
        body_state: BodyState::Complete,
    };
    let mut answer = server.start(&[raw], None).remove(0);
    while let Next::Again { wait_ms, attempt } = answer.next {
        server.env().0.advance(wait_ms);
        answer = server.start(&[raw], Some(&attempt)).remove(0);
    }
    let mut response = Response::default();
    let rest = go_on(server, &mut response, answer);
    (response, rest)
}

/// Goes on with an exchange that waits.
pub(crate) fn resume(server: &Server, response: &mut Response, token: &[u8], cause: Cause) -> Rest {
    go_on(server, response, server.resume(token, cause))
}

fn go_on(server: &Server, response: &mut Response, mut answer: Answer) -> Rest {
    loop {
        if let Some(head) = answer.head.take() {
            assert_eq!(response.status, 0, "a second head");
            (response.status, response.headers) = (head.status, head.headers);
        }
        response.body.append(&mut answer.body);
        match answer.cursor {
            Cursor::None => {}
            Cursor::Header(value) => response.headers.push("stream-cursor", value.to_string()),
            Cursor::Event(value, after) => {
                response.body.extend(value.to_string().into_bytes());
                response.body.extend(after);
            }
        }
        answer = match answer.next {
            Next::Done => return Rest::Done,
            Next::Reset => return Rest::Reset,
            Next::Ready(token) => server.resume(&token, Cause::Ready),
            Next::Change { token, .. } => return Rest::Waits { token },
            Next::Again { .. } => panic!("a resumed exchange is never started again"),
        };
    }
}

/// The world, as an instance sees it.
#[derive(Debug)]
pub(crate) struct Instance(pub(crate) Rc<World>);

/// A compare-and-swap handle.
#[derive(Debug)]
pub(crate) struct Handle {
    key: String,
    seen: RefCell<Option<Vec<u8>>>,
}

impl Env for Instance {
    type Cas = Handle;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.values.borrow().get(key).cloned())
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.0.values.borrow().contains_key(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        let mut values = self.0.values.borrow_mut();
        values.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.values.borrow_mut().remove(key);
        Ok(())
    }

    fn increment(&self, key: &str, _delta: i64) -> Result<i64, StoreError> {
        panic!("{key} is counted, though swaps of absent keys are guarded")
    }

    fn cas(&self, key: &str) -> Result<Handle, StoreError> {
        Ok(Handle {
            key: key.to_owned(),
            seen: RefCell::new(None),
        })
    }

    fn current(&self, cas: &Handle) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.get(&cas.key)?;
        cas.seen.borrow_mut().clone_from(&value);
        Ok(value)
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let mut values = self.0.values.borrow_mut();
        if values.get(&cas.key) != cas.seen.borrow().as_ref() {
            drop(values);
            return Err(SwapError::Failed(cas));
        }
        values.insert(cas.key, value.to_vec());
        Ok(())
    }

    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn random(&self) -> u64 {
        let state = self.0.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn variables(&self) -> Result<Variables, String> {
        Ok(self.0.variables.borrow().clone())
    }

    fn instance(&self) -> u64 {
        1
    }

    fn log(&self, _line: &str) {}
}
