//! A component instance behind [`Steps`]: calls the `lane` world, and converts its types to the
//! host's.

use super::inline::guarded;
use crate::engine::{ComponentError, Runtime, stop_when_stuck};
use crate::exchange::{
    Answer, Attempt, BodyState, Cause, Cursor, Delivery, DeliveryResult, Head, Message, Next,
    Request, ResponseContext, Retry, StepError, Steps, Token, Wait, Worked, pack_head,
    unpack_fields,
};
use crate::store::Store;
use crate::variables::Current;
use crate::wasi::{Footprint, InstanceState};
use bindings::exports::durable_streams::edge::exchange as wit;
use bytes::Bytes;
use http::StatusCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wasmtime::component::InstancePre;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../src/wit",
        world: "lane",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The interface, in the version of the bindings.
const EXCHANGE: &str = "durable-streams:edge/exchange@0.1.0";

/// A component that exports [`EXCHANGE`].
pub(crate) struct Guest {
    runtime: Runtime,
    pre: InstancePre<InstanceState>,
}

impl Guest {
    /// Checks that the component exports every function of the interface.
    ///
    /// # Errors
    ///
    /// The component is another build or has another version.
    pub(crate) fn new(runtime: Runtime) -> Result<Self, ComponentError> {
        runtime.check_export(EXCHANGE)?;
        let pre = runtime.pre().clone();
        bindings::LanePre::new(pre.clone())
            .map_err(|error| runtime.other_shape(EXCHANGE, &error))?;
        Ok(Self { runtime, pre })
    }

    /// Starts an instance, which is stopped after so many ticks without a call of the host.
    ///
    /// # Errors
    ///
    /// [`StepError::NoInstance`] if there is no room for an instance, or its functions have other
    /// types.
    pub(crate) fn start(
        &self,
        store: Arc<dyn Store>,
        variables: &Arc<Current>,
        most_ticks: u64,
    ) -> Result<Instance, StepError> {
        let version = variables.version();
        let mut store = self.runtime.new_store(store, variables.variables());
        stop_when_stuck(&mut store, most_ticks, false);
        let instance = guarded(self.pre.instantiate_async(&mut store)).map_err(no_instance)?;
        let lane = bindings::Lane::new(&mut store, &instance)
            .map_err(|error| self.runtime.other_shape(EXCHANGE, &error))
            .map_err(|error| StepError::NoInstance(error.to_string()))?;
        Ok(Instance {
            store,
            lane,
            variables: Arc::clone(variables),
            version,
        })
    }
}

/// Converts the error of an instance that broke before its first step.
fn no_instance(error: StepError) -> StepError {
    match error {
        StepError::Broken(reason) => StepError::NoInstance(reason),
        error => error,
    }
}

/// An instance called through [`EXCHANGE`].
pub(crate) struct Instance {
    store: wasmtime::Store<InstanceState>,
    lane: bindings::Lane,
    /// The variables in force, and the version of those that the instance has.
    variables: Arc<Current>,
    version: u64,
}

impl Steps for Instance {
    fn is_outdated(&self) -> bool {
        self.version != self.variables.version()
    }

    fn begin(&mut self, hurried: bool) {
        self.store.data_mut().keys_mut().begin(hurried);
    }

    fn end(&mut self) -> Footprint {
        self.store.data_mut().keys_mut().end()
    }

    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError> {
        let heads: Vec<_> = requests.iter().map(|request| pack_head(request)).collect();
        let lowered: Vec<_> = requests
            .iter()
            .zip(&heads)
            .map(|(request, head)| lower(request, head))
            .collect();
        let attempt = attempt.map(|attempt| attempt.0.as_ref());
        let exchange = self.lane.durable_streams_edge_exchange();
        let answers = guarded(exchange.call_start(&mut self.store, &lowered, attempt, now()))?;
        if answers.len() != requests.len() {
            return Err(StepError::Broken(
                "not one answer for each request".to_owned(),
            ));
        }
        Ok(answers.into_iter().map(lift).collect())
    }

    fn resume(&mut self, token: &Token, cause: Cause) -> Result<Answer, StepError> {
        let cause = match cause {
            Cause::Ready => wit::Cause::Ready,
            Cause::Changed => wit::Cause::Changed,
            Cause::Timeout => wit::Cause::Timeout,
            Cause::Expired => wit::Cause::Expired,
            Cause::Draining => wit::Cause::Draining,
        };
        let exchange = self.lane.durable_streams_edge_exchange();
        guarded(exchange.call_resume(&mut self.store, &token.0, cause, now())).map(lift)
    }

    fn delivered(&mut self, token: &Token, outcome: &DeliveryResult) -> Result<Worked, StepError> {
        let outcome = match outcome {
            DeliveryResult::Answered(status, body) => wit::Outcome::Answered((*status, &body[..])),
            DeliveryResult::Failed => wit::Outcome::Failed,
        };
        let exchange = self.lane.durable_streams_edge_exchange();
        let call = exchange.call_delivered(&mut self.store, &token.0, outcome, now());
        guarded(call).map(lift_worked)
    }

    fn work(&mut self, round: u64) -> Result<Worked, StepError> {
        let exchange = self.lane.durable_streams_edge_exchange();
        guarded(exchange.call_work(&mut self.store, round, now())).map(lift_worked)
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn lower<'a>(request: &'a Request, head: &'a [u8]) -> wit::Request<'a> {
    wit::Request {
        head,
        body: &request.body,
        body_state: match request.body_state {
            BodyState::Complete => wit::BodyState::Complete,
            BodyState::TooLarge => wit::BodyState::TooLarge,
            BodyState::NoRoom => wit::BodyState::NoRoom,
        },
    }
}

fn lift(answer: wit::Answer) -> Answer {
    let head = answer.head.map(|head| Head {
        // An invalid status is an error of the component.
        status: StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: unpack_fields(head.headers),
    });
    let cursor = match answer.cursor {
        wit::Cursor::None => Cursor::None,
        wit::Cursor::Header(value) => Cursor::Header(value),
        wit::Cursor::Event((value, after)) => Cursor::Event(value, Bytes::from(after)),
    };
    Answer {
        message: Message::new(head, Bytes::from(answer.body), cursor),
        next: match answer.next {
            wit::Next::Done => Next::Done,
            wit::Next::Ready(token) => Next::Ready(Token(Bytes::from(token))),
            wit::Next::Change(wait) => Next::Change(Wait {
                token: Token(Bytes::from(wait.token)),
                key: wait.key.into_boxed_str(),
                max_wait: Duration::from_millis(wait.max_wait_ms),
            }),
            wit::Next::Again(retry) => Next::Again(Retry {
                wait: Duration::from_millis(retry.wait_ms),
                attempt: Attempt(Bytes::from(retry.attempt)),
            }),
            wit::Next::Reset => Next::Reset,
        },
        held: answer.held.map(|held| ResponseContext {
            headers: unpack_fields(held.headers),
            cursor_floor: held.cursor_floor,
            max_age: held.max_age_ms.map(Duration::from_millis),
        }),
        effects: answer.effects.into_iter().map(lift_delivery).collect(),
    }
}

fn lift_delivery(delivery: wit::Delivery) -> Delivery {
    Delivery {
        url: delivery.url,
        headers: unpack_fields(delivery.headers),
        body: Bytes::from(delivery.body),
        timeout: Duration::from_millis(delivery.timeout_ms),
        token: Token(Bytes::from(delivery.token)),
    }
}

fn lift_worked(worked: wit::Worked) -> Worked {
    Worked {
        worked: worked.worked,
        effects: worked.effects.into_iter().map(lift_delivery).collect(),
        due_ms: worked.due_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ComponentSource;
    use crate::store::MemoryStore;

    /// A component that exports the interface with these members.
    fn component(members: &str) -> Runtime {
        let text = format!(
            r#"(component
                (core module $code (func (export "nothing")))
                (core instance $code (instantiate $code))
                (func $nothing (canon lift (core func $code "nothing")))
                (instance $exchange {members})
                (export "{EXCHANGE}" (instance $exchange)))"#
        );
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("component.wasm");
        std::fs::write(&file, wat::parse_str(text).expect("a component")).expect("written");
        Runtime::load(&ComponentSource::File(file)).expect("it imports nothing")
    }

    #[test]
    fn the_version_that_is_asked_for_is_the_version_of_the_interface() {
        let wit = include_str!("../../../src/wit/exchange.wit");
        let package = wit.lines().next().expect("a package");
        let (_, version) = EXCHANGE.split_once('@').expect("a version");
        assert_eq!(package, format!("package durable-streams:edge@{version};"));
    }

    #[test]
    fn a_component_that_lacks_a_function_is_refused() {
        let refused = Guest::new(component("")).err().expect("it is refused");
        let text = refused.to_string();
        assert!(
            matches!(refused, ComponentError::OtherShape { .. }),
            "{text}"
        );
        assert!(text.contains("from one release"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn a_component_whose_functions_have_other_types_is_refused() {
        let functions = ["start", "resume", "delivered", "work"];
        let members = functions.map(|name| format!(r#"(export "{name}" (func $nothing))"#));
        let guest = Guest::new(component(&members.concat())).expect("all functions are there");
        let started = guest.start(Arc::new(MemoryStore::new()), &Arc::default(), 1);
        let Err(StepError::NoInstance(text)) = started.map(|_| ()) else {
            panic!("it was started");
        };
        assert!(text.contains("from one release"), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}
