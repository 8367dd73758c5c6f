//! Component for tests of the driver: one text per path, with appends and followers.
//!
//! `POST` and `PUT` append their body. `GET` returns the present text, with these options:
//!
//! - `?follow` continues like server-sent events;
//! - `?poll` waits for text like a long-poll;
//! - `?chunks` sends a byte a step;
//! - `?events` does not announce the length of the answer;
//! - `?touch` notes the read at `/touched`.
//!
//! Some paths have an effect: a path with the prefix `/break` breaks the instance, one with `/many`
//! in it reads many keys, `/again` asks for a retry, `/panic` panics, and `/block` blocks until the
//! gate opens. A `POST` below `/tell` sends a delivery to the URL in [`Script::hook`].

use super::Factory;
use crate::exchange::{
    Answer, Attempt, Cause, Cursor, Delivery, DeliveryResult, Head, Message, Next, PathHasher,
    Request, ResponseContext, Retry, StepError, Steps, Token, Wait, Worked,
};
use crate::store::{Store, StoreError, SwapError};
use crate::wasi::{Footprint, StoreView};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex};
use std::time::Duration;

/// Calls of all instances, and settings of their behavior.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) log: Mutex<Log>,
    pub(crate) max_wait: Mutex<Option<Duration>>,
    pub(crate) max_age: Mutex<Option<Duration>>,
    /// Number of instances that may still start; `None` for no limit.
    pub(crate) instances: Mutex<Option<usize>>,
    /// URL of deliveries.
    pub(crate) hook: Mutex<String>,
    gate: Mutex<bool>,
    opened: Condvar,
}

#[derive(Default)]
pub(crate) struct Log {
    /// Bodies passed with each start, and whether there was an attempt.
    pub(crate) starts: Vec<(Vec<Bytes>, bool)>,
    /// Path of each start, and the number of the instance.
    pub(crate) served: Vec<(String, usize)>,
    pub(crate) resumes: HashMap<&'static str, usize>,
    pub(crate) instances: usize,
    /// Outcomes of deliveries.
    pub(crate) outcomes: Vec<DeliveryResult>,
}

impl Script {
    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().expect("no test panicked")
    }

    pub(crate) fn resumes(&self, cause: &str) -> usize {
        self.log().resumes.get(cause).copied().unwrap_or_default()
    }

    pub(crate) fn open_gate(&self) {
        *self.gate.lock().expect("no test panicked") = true;
        self.opened.notify_all();
    }

    pub(crate) fn factory(self: &Arc<Self>, store: &Arc<dyn Store>) -> Factory {
        let (script, store) = (Arc::clone(self), Arc::clone(store));
        Box::new(move || {
            let mut left = script.instances.lock().expect("no test panicked");
            *left = match *left {
                Some(0) => return Err(StepError::NoInstance("no more".to_owned())),
                left => left.map(|left| left - 1),
            };
            let number = {
                let mut log = script.log();
                log.instances += 1;
                log.instances
            };
            Ok(Box::new(Fake {
                script: Arc::clone(&script),
                number,
                keys: StoreView::new(Arc::clone(&store)),
            }))
        })
    }
}

static HASHER: LazyLock<PathHasher> = LazyLock::new(PathHasher::default);

pub(crate) fn request(method: Method, target: &str, body: &str) -> Request {
    let request = http::Request::builder().method(method).uri(target).body(());
    let (parts, ()) = request.expect("a request").into_parts();
    Request {
        path_hash: HASHER.hash(parts.uri.path()),
        parts,
        body: Bytes::from(body.to_owned()),
        body_state: crate::exchange::BodyState::Complete,
        room: None,
        ticket: crate::length::Ticket::default(),
    }
}

struct Fake {
    script: Arc<Script>,
    /// Instance number, counted from one.
    number: usize,
    keys: StoreView,
}

fn answer(body: Bytes, next: Next) -> Answer {
    Answer {
        message: Message::new(None, body, Cursor::None),
        next,
        held: None,
        effects: Vec::new(),
    }
}

/// Adds a head to an answer.
fn headed(head: Option<Head>, mut answer: Answer) -> Answer {
    answer.message.head = head;
    answer
}

fn head(status: StatusCode) -> Option<Head> {
    let headers = HeaderMap::new();
    Some(Head { status, headers })
}

fn token(kind: &str, path: &str, position: usize) -> Token {
    Token(Bytes::from(format!("{kind} {path} {position}")))
}

impl Fake {
    fn text(&mut self, path: &str) -> Result<Bytes, StoreError> {
        Ok(self.keys.get(path)?.value.unwrap_or_default())
    }

    fn append(&mut self, path: &str, bodies: &[&Bytes]) -> Result<(), StoreError> {
        loop {
            let seen = self.keys.get(path)?;
            let mut text = BytesMut::from(seen.value.clone().unwrap_or_default().as_ref());
            bodies.iter().for_each(|body| text.put_slice(body));
            match self.keys.swap(path, Some(&seen), text.freeze()) {
                Ok(()) => return Ok(()),
                Err(SwapError::Conflict) => {}
                Err(SwapError::Store(error)) => return Err(error),
            }
        }
    }

    fn wait(&self, kind: &str, path: &str, position: usize) -> Next {
        let max_wait = *self.script.max_wait.lock().expect("no test panicked");
        Next::Change(Wait {
            token: token(kind, path, position),
            key: path.into(),
            max_wait: max_wait.unwrap_or(Duration::from_secs(600)),
        })
    }

    fn read(&mut self, path: &str, kind: &str) -> Result<Answer, StoreError> {
        let text = self.text(path)?;
        let held = Some(ResponseContext {
            headers: HeaderMap::from_iter([(
                http::header::VARY,
                HeaderValue::from_static("origin"),
            )]),
            cursor_floor: None,
            max_age: *self.script.max_age.lock().expect("no test panicked"),
        });
        let begun = |answer| Answer {
            held: held.clone(),
            ..headed(head(StatusCode::OK), answer)
        };
        Ok(match kind {
            "follow" => begun(answer(text.clone(), self.wait("follow", path, text.len()))),
            "chunks" => begun(answer(Bytes::new(), Next::Ready(token("chunks", path, 0)))),
            "poll" => Answer {
                held,
                ..answer(Bytes::new(), self.wait("poll", path, text.len()))
            },
            "reset" => answer(Bytes::new(), Next::Reset),
            "events" => headed(head(StatusCode::OK), answer(text, Next::Done)),
            _ => {
                let length = HeaderValue::from(text.len());
                let head = Head {
                    status: StatusCode::OK,
                    headers: HeaderMap::from_iter([(http::header::CONTENT_LENGTH, length)]),
                };
                headed(Some(head), answer(text, Next::Done))
            }
        })
    }

    fn delivery(&self, body: &Bytes) -> Delivery {
        Delivery {
            url: self.script.hook.lock().expect("no test panicked").clone(),
            headers: HeaderMap::new(),
            body: body.clone(),
            timeout: Duration::from_secs(30),
            token: token("told", "/tell", 0),
        }
    }

    fn answers(&mut self, requests: &[&Request]) -> Result<Vec<Answer>, StoreError> {
        let first = requests.first().expect("at least one request");
        let path = first.path();
        if !first.parts.method.is_safe() {
            let bodies: Vec<&Bytes> = requests.iter().map(|one| &one.body).collect();
            self.append(path, &bodies)?;
            let done = |_: &&Request| status(StatusCode::NO_CONTENT);
            let mut answers: Vec<Answer> = requests.iter().map(done).collect();
            if path.starts_with("/tell") {
                let deliveries = requests.iter().map(|one| self.delivery(&one.body));
                for (answer, delivery) in answers.iter_mut().zip(deliveries) {
                    answer.effects.push(delivery);
                }
            }
            return Ok(answers);
        }
        let kind = first.parts.uri.query().unwrap_or_default();
        if kind == "touch" {
            self.append("/touched", &[&Bytes::from_static(b"x")])?;
        }
        Ok(vec![self.read(path, kind)?])
    }
}

fn status(status: StatusCode) -> Answer {
    headed(head(status), answer(Bytes::new(), Next::Done))
}

impl Steps for Fake {
    fn is_outdated(&self) -> bool {
        false
    }

    fn begin(&mut self, hurried: bool) {
        self.keys.begin(hurried);
    }

    fn end(&mut self) -> Footprint {
        self.keys.end()
    }

    fn start(
        &mut self,
        requests: &[&Request],
        attempt: Option<&Attempt>,
    ) -> Result<Vec<Answer>, StepError> {
        let bodies: Vec<Bytes> = requests.iter().map(|one| one.body.clone()).collect();
        let first = requests.first().expect("at least one request");
        let path = first.path();
        {
            let mut log = self.script.log();
            log.starts.push((bodies, attempt.is_some()));
            log.served.push((path.to_owned(), self.number));
        }
        if path.contains("/many") {
            for _ in 0..1000 {
                let read = self.text(path);
                assert!(read.is_ok(), "the store answers");
            }
        }
        if path.starts_with("/break") {
            return Err(StepError::Broken("as asked".to_owned()));
        }
        assert!(!path.starts_with("/panic"), "as asked");
        if path.starts_with("/block") {
            let gate = self.script.gate.lock().expect("no test panicked");
            drop(self.script.opened.wait_while(gate, |open| !*open));
        }
        if path.starts_with("/again") && attempt.is_none() {
            let read = self.text(path);
            assert!(read.is_ok(), "the attempt begins with a look");
            let wait = Duration::from_millis(1);
            let attempt = Attempt(Bytes::from_static(b"attempt"));
            // Only every second request asks for a retry.
            let next = |index: usize| match index % 2 {
                0 => Next::Again(Retry {
                    wait,
                    attempt: attempt.clone(),
                }),
                _ => Next::Done,
            };
            let answers = (0..requests.len()).map(|index| {
                let head = (index % 2 == 1).then(|| head(StatusCode::CONFLICT));
                headed(head.flatten(), answer(Bytes::new(), next(index)))
            });
            return Ok(answers.collect());
        }
        let refused = |_| status(StatusCode::SERVICE_UNAVAILABLE);
        Ok(match self.answers(requests) {
            Ok(answers) => answers,
            Err(_) => requests.iter().map(refused).collect(),
        })
    }

    fn resume(&mut self, token_: &Token, cause: Cause) -> Result<Answer, StepError> {
        let name = match cause {
            Cause::Ready => "ready",
            Cause::Changed => "changed",
            Cause::Timeout => "timeout",
            Cause::Expired => "expired",
            Cause::Draining => "draining",
        };
        *self.script.log().resumes.entry(name).or_default() += 1;
        let text = std::str::from_utf8(&token_.0).expect("our own token");
        let parts: Vec<&str> = text.split(' ').collect();
        let [kind, path, position] = parts.as_slice() else {
            panic!("not our token: {text}");
        };
        let position: usize = position.parse().expect("our own token");
        let Ok(text) = self.text(path) else {
            return Ok(answer(Bytes::new(), Next::Reset));
        };
        if path.starts_with("/brittle") && !text.is_empty() && self.script.log().instances == 1 {
            return Err(StepError::Broken("as asked".to_owned()));
        }
        let new = text.slice(position.min(text.len())..);
        Ok(match (*kind, cause) {
            ("chunks", _) if new.is_empty() => answer(new, Next::Done),
            ("chunks", _) => answer(
                new.slice(..1),
                Next::Ready(token("chunks", path, position + 1)),
            ),
            ("poll", _) => {
                let nothing = new.is_empty() && cause == Cause::Changed;
                let status = if new.is_empty() {
                    StatusCode::NO_CONTENT
                } else {
                    StatusCode::OK
                };
                match nothing {
                    true => answer(new, self.wait("poll", path, position)),
                    false => headed(head(status), answer(new, Next::Done)),
                }
            }
            (_, Cause::Timeout) => answer(
                Bytes::from_static(b":"),
                self.wait("follow", path, position),
            ),
            (_, Cause::Expired | Cause::Draining) => answer(new, Next::Done),
            _ => answer(new, self.wait("follow", path, text.len())),
        })
    }

    fn delivered(&mut self, _: &Token, outcome: &DeliveryResult) -> Result<Worked, StepError> {
        self.script.log().outcomes.push(outcome.clone());
        Ok(Worked::default())
    }

    fn work(&mut self, round: u64) -> Result<Worked, StepError> {
        Ok(Worked {
            worked: round < 2,
            ..Worked::default()
        })
    }
}
