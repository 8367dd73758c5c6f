//! A store, a clock and random bits that never fail, for several instances in turn.

use durable_streams_edge::limits::MAX_VALUE_BYTES;
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::request::{BodyState, RawRequest};
use durable_streams_edge::service::Service;
use durable_streams_edge::service::env::{Env, StoreError, SwapError};
use durable_streams_edge::service::exchange::{Answer, Cause, Cursor, Next};
use durable_streams_edge::settings::Variables;
use kv_model::{Model, Quirks, Random, Seen};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// 2026-01-01T00:00:00Z in milliseconds.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

/// Shared state of all instances.
#[derive(Debug)]
pub(crate) struct World {
    model: RefCell<Model>,
    variables: RefCell<BTreeMap<String, String>>,
    now_ms: Cell<u64>,
    random: RefCell<Random>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Rc<Self> {
        let world = Self {
            model: RefCell::new(Model::new(Quirks::BY_VALUE, MAX_VALUE_BYTES)),
            variables: RefCell::default(),
            now_ms: Cell::new(NEW_YEAR_MS),
            random: RefCell::new(Random::new(seed)),
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
        let model = self.model.borrow();
        model.entries().map(|(key, _)| key.to_owned()).collect()
    }
}

/// One instance of the service.
pub(crate) type Server = Service<Instance>;

/// A new instance in a world.
pub(crate) fn serve(world: &Rc<World>) -> Server {
    Service::new(Instance(Rc::clone(world)))
}

/// A request, without the fields that a driver adds.
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

/// State of an exchange that has come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The exchange is over.
    Done,
    /// The exchange waits for a change, and goes on with this token.
    Waits { token: Vec<u8> },
    /// The connection is reset.
    Reset,
}

/// Runs an exchange to its end. It must not wait for a change.
pub(crate) fn call(server: &Server, ask: &Ask) -> Response {
    let (response, rest) = begin(server, ask);
    assert_eq!(rest, Rest::Done, "{ask:?}: {response:?}");
    response
}

/// Runs an exchange until it is over or waits for a change.
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

/// Resumes an exchange that waits.
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
    seen: RefCell<Option<Seen>>,
}

impl Env for Instance {
    type Cas = Handle;

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.model.borrow().see(key).value.map(Vec::from))
    }

    fn exists(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.0.model.borrow().exists(key))
    }

    fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.model.borrow_mut().set(key, value.to_vec());
        Ok(())
    }

    fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.model.borrow_mut().delete(key);
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
        let seen = self.0.model.borrow().see(&cas.key);
        let value = seen.value.clone().map(Vec::from);
        *cas.seen.borrow_mut() = Some(seen);
        Ok(value)
    }

    fn swap(&self, cas: Handle, value: &[u8]) -> Result<(), SwapError<Handle>> {
        let seen = cas.seen.take();
        let mut model = self.0.model.borrow_mut();
        match model.swap(&cas.key, seen.as_ref(), value.to_vec()) {
            Some(_) => Ok(()),
            None => Err(SwapError::Failed(cas)),
        }
    }

    fn now_ms(&self) -> u64 {
        self.0.now_ms()
    }

    fn random(&self) -> u64 {
        self.0.random.borrow_mut().next()
    }

    fn variables(&self) -> Result<Variables, String> {
        Ok(self.0.variables.borrow().clone())
    }

    fn instance(&self) -> u64 {
        1
    }

    fn log(&self, _line: &str) {}
}
