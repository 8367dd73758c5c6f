//! The parts of every driver: start, wait, start again, resume. No protocol.

use super::schedule::Baton;
use super::world::{Instance, World};
use crate::protocol::cursor;
use crate::protocol::packed::Fields;
use crate::protocol::request::{BodyState, RawRequest};
use crate::service::Service;
use crate::service::exchange::{Answer, Cause, Cursor, Next, ResponseContext};
use std::sync::Arc;

/// A request under construction.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: String,
    authority: Option<&'static str>,
    target: String,
    headers: Fields,
    body: Vec<u8>,
}

/// A request to the stream `name`, with an optional query.
pub(super) fn ask(method: &str, name: &str) -> Ask {
    Ask {
        method: method.to_owned(),
        authority: Some("a.example"),
        target: format!("/v1/stream/{name}"),
        headers: Fields::default(),
        body: Vec::new(),
    }
}

impl Ask {
    /// The request without a host.
    pub(super) fn without_host(mut self) -> Self {
        self.authority = None;
        self
    }

    pub(super) fn at(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push(name, value.to_string());
        self
    }

    pub(super) fn content_type(self, value: &str) -> Self {
        self.header("content-type", value)
    }

    pub(super) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(super) fn producer(self, id: &str, epoch: u64, seq: u64) -> Self {
        self.header("producer-id", id)
            .header("producer-epoch", epoch)
            .header("producer-seq", seq)
    }

    pub(super) fn raw(&self) -> RawRequest<'_> {
        RawRequest {
            method: &self.method,
            scheme: Some("http"),
            authority: self.authority,
            target: &self.target,
            headers: self.headers.as_packed(),
            body: &self.body,
            body_state: BodyState::Complete,
        }
    }
}

/// A response that was received.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Fields,
    pub(super) body: Vec<u8>,
    /// Whether the connection was reset.
    pub(super) reset: bool,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{} reset: {}", self.status, self.reset)?;
        for (name, value) in self.headers.iter() {
            let text = String::from_utf8_lossy;
            write!(f, "\n{}: {}", text(name), text(value))?;
        }
        write!(f, "\n\n{}", body.chars().take(500).collect::<String>())
    }
}

impl Response {
    pub(super) fn get(&self, name: &str) -> &str {
        let name = name.as_bytes();
        let mut same = self.headers.iter().filter(|field| field.0 == name);
        let value = same.next().map_or(&b""[..], |field| field.1);
        assert!(same.next().is_none(), "{name:?} is there twice");
        std::str::from_utf8(value).unwrap()
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The code of a problem document; empty if there is none.
    pub(super) fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn offset(&self) -> &str {
        self.get("stream-next-offset")
    }

    pub(super) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A waiting reader.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    /// The response so far; status 0 without a head.
    pub(super) response: Response,
    pub(super) token: Vec<u8>,
    pub(super) key: String,
    pub(super) max_wait_ms: u64,
    pub(super) held: ResponseContext,
}

/// How far an exchange got.
#[derive(Debug, Clone)]
pub(super) enum Came {
    Whole(Response),
    Waits(Box<Waiting>),
}

impl Came {
    pub(super) fn whole(self) -> Response {
        match self {
            Self::Whole(response) => response,
            Self::Waits(waiting) => panic!("it waits: {waiting:?}"),
        }
    }

    pub(super) fn waiting(self) -> Waiting {
        match self {
            Self::Waits(waiting) => *waiting,
            Self::Whole(response) => panic!("it is over: {response:?}"),
        }
    }
}

/// An instance that serves.
pub(super) type Server = Service<Instance>;

pub(super) fn serve(world: &Arc<World>) -> Server {
    Service::new(world.instance())
}

/// One exchange from its start to its end, or until it waits for a change.
pub(super) fn send(server: &Server, ask: Ask) -> Came {
    let wait = |ms| server.env().world().advance(ms);
    let answer = start(server, &[ask.raw()], wait).remove(0);
    go_on(
        server,
        Response::default(),
        ResponseContext::default(),
        answer,
    )
}

/// One exchange that ends without waiting for a change.
pub(super) fn call(server: &Server, ask: Ask) -> Response {
    send(server, ask).whole()
}

/// Starts requests together until none of them has to start again.
pub(super) fn start(
    server: &Server,
    requests: &[RawRequest<'_>],
    wait: impl Fn(u64),
) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
    let mut open: Vec<usize> = (0..requests.len()).collect();
    let mut attempt: Option<Vec<u8>> = None;
    while !open.is_empty() {
        let these: Vec<_> = open.iter().map(|index| requests[*index]).collect();
        let came = server.start(&these, attempt.as_deref());
        let mut next = None;
        let mut again = Vec::new();
        for (index, answer) in open.iter().zip(came) {
            match &answer.next {
                Next::Again { wait_ms, attempt } => {
                    let one = (*wait_ms, attempt.clone());
                    assert!(next.as_ref().is_none_or(|other| *other == one));
                    next = Some(one);
                    again.push(*index);
                }
                _ => answers[*index] = Some(answer),
            }
        }
        open = again;
        if let Some((wait_ms, bytes)) = next {
            attempt = Some(bytes);
            wait(wait_ms);
        }
    }
    answers.into_iter().flatten().collect()
}

/// One exchange of a thread that takes turns.
pub(super) fn call_in_turn(server: &Server, baton: &Baton, place: usize, ask: Ask) -> Response {
    let answer = start(server, &[ask.raw()], |ms| baton.sleep(place, ms)).remove(0);
    go_on(
        server,
        Response::default(),
        ResponseContext::default(),
        answer,
    )
    .whole()
}

/// Resumes a waiting reader.
pub(super) fn resume(server: &Server, waiting: Waiting, cause: Cause) -> Came {
    let answer = server.resume(&waiting.token, cause);
    go_on(server, waiting.response, waiting.held, answer)
}

/// Takes answers until the exchange waits or ends.
pub(super) fn go_on(
    server: &Server,
    mut response: Response,
    mut held: ResponseContext,
    mut answer: Answer,
) -> Came {
    loop {
        if let Some(given) = answer.held.take() {
            held = given;
        }
        if let Some(head) = answer.head.take() {
            assert_eq!(response.status, 0, "a second head");
            response.status = head.status;
            response.headers = head.headers;
            response.headers.append(&held.headers);
        }
        response.body.append(&mut answer.body);
        match answer.cursor {
            Cursor::None => {}
            Cursor::Header(value) => {
                let value = cursor::above(value, held.cursor_floor);
                response.headers.push("stream-cursor", value.to_string());
            }
            Cursor::Event(value, after) => {
                let value = cursor::above(value, held.cursor_floor);
                response.body.extend(value.to_string().into_bytes());
                response.body.extend(after);
            }
        }
        match answer.next {
            Next::Done => {
                let length = response.get("content-length").parse::<usize>();
                if let (Ok(length), false) = (length, response.body.is_empty()) {
                    assert_eq!(response.body.len(), length, "{response:?}");
                }
                return Came::Whole(response);
            }
            Next::Reset => {
                response.reset = true;
                return Came::Whole(response);
            }
            Next::Ready(token) => answer = server.resume(&token, Cause::Ready),
            Next::Change {
                token,
                key,
                max_wait_ms,
            } => {
                return Came::Waits(Box::new(Waiting {
                    response,
                    token,
                    key,
                    max_wait_ms,
                    held,
                }));
            }
            Next::Again { .. } => panic!("a resumed exchange is never started again"),
        }
    }
}

/// The whole content of the stream `name`, page by page.
pub(super) fn read_all(server: &Server, name: &str) -> Vec<u8> {
    let mut offset = "-1".to_owned();
    let mut all = Vec::new();
    loop {
        let page = call(server, ask("GET", &format!("{name}?offset={offset}")));
        assert_eq!(page.status, 200, "{page:?}");
        assert!(!page.reset);
        assert!(offset == "-1" || *page.offset() >= *offset);
        all.extend_from_slice(&page.body);
        if !page.get("stream-up-to-date").is_empty() {
            return all;
        }
        offset = page.offset().to_owned();
    }
}
