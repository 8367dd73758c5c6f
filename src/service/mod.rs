//! One HTTP exchange as synchronous steps over the store: the protocol, without waiting.
//!
//! [`Service::start`] takes a request, [`Service::resume`] goes on with one that waited. A step
//! reads the head of its stream, applies a transition of [`crate::stream`], and swaps the head; it
//! keeps nothing. The order of a small append: `start` here, [`append`], `Batch` in `stream`, one
//! swap.

mod access;
mod append;
mod attempt;
mod core;
mod create;
mod creation;
mod delete;
pub mod env;
pub mod exchange;
mod follow;
mod fork;
mod forking;
mod log;
mod names;
mod pages;
mod problems;
mod read;
mod reply;
mod subscription;
mod todo;
mod together;
mod token;
mod update;
mod work;

#[cfg(test)]
mod tests;

use self::attempt::{AppendAttempt, Attempt, ControlAttempt, CreateAttempt, DeleteAttempt};
use self::core::{Aside, Core, Fault};
use self::env::Env;
use self::exchange::{Answer, Cause, Next, Outcome, Worked};
use self::read::Refusal;
use self::reply::Reply;
use self::token::{Token, TokenMode};
use crate::access::{Access, Caller, Scope};
use crate::keys::{Keys, MARKERS, NameHash};
use crate::limits::Config;
use crate::protocol::name::{StreamName, encode};
use crate::protocol::packed::Fields;
use crate::protocol::problem::{Code, Problem};
use crate::protocol::request::{self, Action, Control, Operation, RawRequest};
use crate::protocol::response;
use crate::protocol::{headers, json, sse};
use crate::stream::{Append, ContentType, Create, InvalidMessages, Payload};
use std::borrow::Cow;
use std::cell::Cell;

/// The server, for one world.
#[derive(Debug)]
pub struct Service<E> {
    env: E,
    config: Config,
    access: Access,
    keys: Keys,
    /// Why no request can be served.
    malformed: Option<String>,
    /// Whether the marker was seen: the store is used as it always was.
    marked: Cell<bool>,
    /// The fields that every answer has, where they are the same for all requests.
    common: Option<Fields>,
    /// What the step under way has to say besides its answer; empty between steps.
    aside: Aside,
}

impl<E: Env> Service<E> {
    /// Reads the variables. A malformed one is logged, and answers every request from then on.
    pub fn new(env: E) -> Self {
        let read = Config::from_lookup(|name| env.variable(name))
            .and_then(|config| Access::new(&config).map(|access| (config, access)));
        let (mut config, access, malformed) = match read {
            Ok((config, access)) => (config, access, None),
            Err(malformed) => {
                log::malformed(&env, &malformed);
                (
                    Config::default(),
                    Access::default(),
                    Some(malformed.to_string()),
                )
            }
        };
        if access.is_on() {
            response::PRIVATE.clone_into(&mut config.cache_visibility);
        }
        let keys = Keys::new(&config.key_namespace);
        let common = response::common_to_all(&config, access.is_on());
        Self {
            env,
            config,
            access,
            keys,
            malformed,
            marked: Cell::new(false),
            common,
            aside: Aside::default(),
        }
    }

    /// The variables.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The world.
    pub const fn env(&self) -> &E {
        &self.env
    }

    const fn core(&self) -> Core<'_, E> {
        Core {
            env: &self.env,
            config: &self.config,
            keys: &self.keys,
            aside: &self.aside,
        }
    }

    /// Begins the exchanges of requests that wait for one stream or subscription: one request of any
    /// kind, or several POSTs with the same raw path. One answer each, in their order.
    pub fn start(&self, requests: &[RawRequest<'_>], attempt: Option<&[u8]>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut appends = Vec::new();
        let own = attempt.and_then(together::split);
        for (index, (raw, answer)) in requests.iter().zip(&mut answers).enumerate() {
            match self.parse(raw, attempt.is_some()) {
                Ok((
                    Operation::Stream {
                        name,
                        action: Action::Append(append),
                    },
                    _,
                )) => {
                    appends.push((index, name, append));
                }
                Ok((operation, caller)) => {
                    let attempt = match &own {
                        Some(own) => own.get(index).map(Vec::as_slice),
                        None => attempt,
                    };
                    *answer = Some(self.single(raw, operation, &caller, attempt));
                }
                Err(problem) => {
                    let reply = Reply::problem(&problem, raw.target);
                    *answer = Some(self.finish(raw, "request", reply));
                }
            }
        }
        if let Some((_, name, _)) = appends.first() {
            // Requests with one raw path have one name; any other would be a driver's mistake.
            let name = name.clone();
            appends.retain(|(_, other, _)| *other == name);
            for (index, answer) in self.append(requests, &name, appends, attempt) {
                if let Some(place) = answers.get_mut(index) {
                    *place = Some(answer);
                }
            }
        }
        let lost = || Answer::only(Next::Reset);
        let answers = answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(lost));
        let mut answers: Vec<Answer> = answers.collect();
        together::join(&mut answers);
        if let Some(first) = answers.first_mut() {
            first.effects = self.aside.effects.take();
        }
        answers
    }

    /// What a request asks for, and who asks. `begun` says that this was judged already.
    fn parse(&self, raw: &RawRequest<'_>, begun: bool) -> Result<(Operation, Caller), Problem> {
        let operation = request::parse(raw, &self.config);
        if matches!(operation, Ok(Operation::Health)) {
            return Ok((Operation::Health, Caller::anyone()));
        }
        // Before any other problem: with other variables the request may have none.
        if let Some(malformed) = &self.malformed {
            return Err(Problem::new(
                Code::Misconfigured,
                format!("The server is misconfigured: {malformed}"),
            ));
        }
        let operation = operation?;
        // Before the store is asked anything. A commit that may have been applied is told how it
        // went, also if the token expired meanwhile; but a subscription keeps its creator's rights,
        // in whichever step it is written.
        let keeps_rights = matches!(operation, Operation::Control(_));
        let caller = match begun && !keeps_rights {
            true => Caller::anyone(),
            false => self.admit(raw, &operation)?,
        };
        if matches!(
            operation,
            Operation::Stream { .. } | Operation::Tick { .. } | Operation::Control(_)
        ) {
            self.check_marker()?;
        }
        Ok((operation, caller))
    }

    /// Sees to it that the store is used either with guarded or with unguarded creation.
    fn check_marker(&self) -> Result<(), Problem> {
        if self.marked.get() {
            return Ok(());
        }
        let [gates, swap] = MARKERS;
        let ours = if self.config.kv_guarded_create {
            swap
        } else {
            gates
        };
        let key = self.keys.marker();
        let refuse = |error: env::StoreError| {
            let fault = Fault::Store(error);
            let problem = problems::fault(&fault);
            log::fault(&self.env, &self.config, &fault, &problem);
            problem
        };
        match self.env.get(&key).map_err(refuse)? {
            Some(value) if value == ours => {}
            Some(_) => {
                return Err(Problem::new(
                    Code::Misconfigured,
                    "The server is misconfigured: this store was first used with another value of \
                     kv_guarded_create. Give it a store of its own.",
                ));
            }
            None => {
                self.env.set(&key, ours).map_err(refuse)?;
                // At the first use of a store: instances come and go by the second.
                if !self.access.is_on() {
                    log::open(&self.env, &self.config);
                }
            }
        }
        self.marked.set(true);
        Ok(())
    }

    fn single(
        &self,
        raw: &RawRequest<'_>,
        operation: Operation,
        caller: &Caller,
        attempt: Option<&[u8]>,
    ) -> Answer {
        let label = log::operation_name(&operation);
        match operation {
            Operation::Health => self.finish(raw, label, text(200, "ok")),
            Operation::Ready => self.finish(raw, label, self.ready(raw)),
            Operation::Preflight => {
                let head = response::preflight(&self.config, raw);
                Answer::whole(head, Vec::new())
            }
            Operation::Tick { .. } => self.finish(raw, label, self.tick(raw)),
            Operation::Control(control) => self.control(raw, label, &control, caller, attempt),
            Operation::Stream { name, action } => {
                self.stream(raw, label, &name, action, caller, attempt)
            }
        }
    }

    fn ready(&self, raw: &RawRequest<'_>) -> Reply {
        match self.env.get(&self.keys.marker()) {
            Ok(_) => text(200, "ready"),
            Err(error) => self.core().fault(&Fault::Store(error), raw.target),
        }
    }

    /// A call of the subscription APIs.
    fn control(
        &self,
        raw: &RawRequest<'_>,
        label: &str,
        control: &Control,
        caller: &Caller,
        attempt: Option<&[u8]>,
    ) -> Answer {
        let attempt = match attempt.map(Attempt::decode) {
            Some(Ok(Attempt::Control(attempt))) => attempt,
            _ => Box::new(ControlAttempt::new(
                &self.config,
                self.env.now_ms(),
                self.env.random(),
            )),
        };
        let call = subscription::Call {
            raw,
            control,
            rights: &caller.rights,
            origin: &self.origin(raw),
        };
        match subscription::control(self.core(), &call, attempt) {
            subscription::Outcome::Reply(reply) => {
                if let Control::Subscription { id, .. } = control {
                    // A request passes by: what is due is done.
                    let _ = self.core().work_todo(NameHash::of(id).shard());
                }
                self.finish(raw, label, reply)
            }
            subscription::Outcome::Again(wait_ms, attempt) => {
                again(wait_ms, &Attempt::Control(attempt))
            }
        }
    }

    /// One piece of background work, asked for over HTTP.
    fn tick(&self, raw: &RawRequest<'_>) -> Reply {
        match self.core().work(self.env.random()) {
            Ok(worked) => {
                let mut reply = Reply::write(200).with(headers::CONTENT_TYPE, "application/json");
                let due_ms = self.aside.due_ms.take();
                let due_ms = due_ms.map_or_else(String::new, |ms| format!(",\"due_ms\":{ms}"));
                let body = format!("{{\"worked\":{worked}{due_ms}}}");
                reply.body = body.into_bytes();
                reply
            }
            Err(fault) => self.core().fault(&fault, raw.target),
        }
    }

    fn stream(
        &self,
        raw: &RawRequest<'_>,
        label: &str,
        name: &StreamName,
        action: Action,
        caller: &Caller,
        attempt: Option<&[u8]>,
    ) -> Answer {
        let core = self.core();
        let slot = self.keys.head(&NameHash::of(name.as_str()));
        let attempt = attempt.and_then(|bytes| Attempt::decode(bytes).ok());
        let reply = match action {
            Action::Create(create) => {
                let attempt = match attempt {
                    Some(Attempt::Create(attempt)) => attempt,
                    _ => CreateAttempt::new(&self.config, self.env.now_ms(), || self.env.random()),
                };
                let call = match self.creation(raw, name, create) {
                    Ok(call) => call,
                    Err(problem) => {
                        let reply = Reply::problem(&problem, raw.target);
                        return self.finish(raw, label, reply);
                    }
                };
                if let Some(fork) = &call.fork
                    && !caller.rights.allow(Scope::Read, fork.source.as_str())
                {
                    let problem = problems::not_found(fork.source.as_str());
                    return self.finish(raw, label, Reply::problem(&problem, raw.target));
                }
                match create::put(core, &slot, &call, attempt) {
                    create::Outcome::Reply(reply) => {
                        if matches!(reply.head.status, 200 | 201) {
                            core.greet(name.as_str());
                        }
                        reply
                    }
                    create::Outcome::Again(wait_ms, attempt) => {
                        return again(wait_ms, &Attempt::Create(*attempt));
                    }
                }
            }
            Action::Delete => {
                let attempt = match attempt {
                    Some(Attempt::Delete(attempt)) => attempt,
                    _ => DeleteAttempt::new(&self.config, self.env.now_ms()),
                };
                match delete::delete(core, name.as_str(), &slot, raw.target, attempt) {
                    delete::Outcome::Reply(reply) => reply,
                    delete::Outcome::Again(wait_ms, attempt) => {
                        return again(wait_ms, &Attempt::Delete(attempt));
                    }
                }
            }
            Action::Head => match core.metadata(name.as_str(), &slot) {
                Ok(reply) => reply,
                Err(refusal) => self.refuse(refusal, raw.target),
            },
            Action::Read(read) => match core.get(name.as_str(), &slot, &read, &self.common(raw)) {
                Ok(answer) => return self.send(label, raw.target, self.until(answer, caller)),
                Err(refusal) => self.refuse(refusal, raw.target),
            },
            // Appends are taken together by `start`.
            Action::Append(_) => return Answer::only(Next::Reset),
        };
        self.finish(raw, label, reply)
    }

    /// What a PUT asks for, with its body framed.
    fn creation<'a>(
        &self,
        raw: &RawRequest<'a>,
        name: &'a StreamName,
        asked: request::Create,
    ) -> Result<create::Call<'a>, Problem> {
        let given = asked.content_type.clone();
        let content_type = asked.content_type.unwrap_or_else(ContentType::octets);
        let fork = asked.fork.map(|fork| forking::Fork {
            source: fork.source,
            asked: fork.asked,
            content_type: given,
        });
        let payload = match content_type.is_json() && !raw.body.is_empty() {
            // An empty array is an empty stream (section 9.1.3).
            true => match json::frame(raw.body) {
                Ok(json::Messages { bytes, ends }) => Payload::Messages { bytes, ends },
                Err(error) => {
                    return Err(problems::messages(&InvalidMessages::NotJson(
                        error.to_string(),
                    )));
                }
            },
            false => Payload::Bytes(raw.body.to_vec()),
        };
        let create = Create {
            content_type,
            expiry: asked.expiry,
            close: asked.close,
        };
        let location = self.location(raw, name);
        Ok(create::Call {
            name: name.as_str(),
            create,
            payload,
            fork,
            location,
            instance: raw.target,
        })
    }

    /// The stream's URL: under `public_url`, or where the request was sent to.
    fn location(&self, raw: &RawRequest<'_>, name: &StreamName) -> String {
        let (origin, base) = (self.origin(raw), &self.config.base_path);
        format!("{origin}{base}/{}", name.encoded())
    }

    /// Scheme and authority of the server's URLs; nothing where they are not known.
    fn origin(&self, raw: &RawRequest<'_>) -> String {
        match (&*self.config.public_url, raw.authority) {
            ("", Some(authority)) => {
                let scheme = raw.scheme.unwrap_or("http");
                format!("{scheme}://{authority}")
            }
            ("", None) => String::new(),
            (public, _) => public.to_owned(),
        }
    }

    fn append(
        &self,
        requests: &[RawRequest<'_>],
        name: &StreamName,
        appends: Vec<(usize, StreamName, request::Append)>,
        attempt: Option<&[u8]>,
    ) -> Vec<(usize, Answer)> {
        let attempt = match attempt.map(Attempt::decode) {
            Some(Ok(Attempt::Append(attempt))) => attempt,
            _ => AppendAttempt::new(&self.config, self.env.now_ms()),
        };
        let slot = self.keys.head(&NameHash::of(name.as_str()));
        let (calls, places): (Vec<_>, Vec<_>) = appends
            .into_iter()
            .filter_map(|(index, _, append)| {
                let raw = requests.get(index)?;
                let append = framed(raw, append);
                Some((
                    append::Call {
                        append,
                        instance: raw.target,
                    },
                    (index, raw),
                ))
            })
            .unzip();
        match append::append(self.core(), name.as_str(), &slot, &calls, attempt) {
            append::Outcome::Replies(replies, news) => {
                if let Some(news) = news {
                    self.core().spread(news);
                }
                places
                    .into_iter()
                    .zip(replies)
                    .map(|((index, raw), reply)| (index, self.finish(raw, "append", reply)))
                    .collect()
            }
            append::Outcome::Again(wait_ms, attempt) => {
                let answer = again(wait_ms, &Attempt::Append(attempt));
                places
                    .into_iter()
                    .map(|(index, _)| (index, answer.clone()))
                    .collect()
            }
        }
    }

    /// Goes on with a read.
    pub fn resume(&self, token: &[u8], cause: Cause) -> Answer {
        let Ok(token) = Token::decode(token) else {
            return Answer::only(Next::Reset);
        };
        match self.core().resume(&token, cause) {
            Ok(answer) => self.send("poll", &token.name, answer),
            Err(refusal) => {
                let path = format!("{}/{}", self.config.base_path, encode(&token.name));
                // A fault is logged, also where it can't be told any more.
                let reply = self.refuse(refusal, &path);
                match token.mode {
                    // The response head is out. A page that can't be completed must not look
                    // complete; an event stream ends between its events.
                    TokenMode::Page { .. } | TokenMode::SseEvent { .. } => {
                        Answer::only(Next::Reset)
                    }
                    TokenMode::Sse => Answer::only(Next::Done),
                    TokenMode::LongPoll { .. } => {
                        self.log("poll", &path, reply.head.status, reply.problem);
                        let Reply { mut head, body, .. } = reply;
                        with_length(&mut head, body.len(), &Next::Done);
                        Answer::whole(head, body)
                    }
                }
            }
        }
    }

    /// One bounded piece of background work: what is to be done anywhere, or else a look at the
    /// place that `round` picks.
    pub fn work(&self, round: u64) -> Worked {
        if self.malformed.is_some() || self.check_marker().is_err() {
            return Worked::default();
        }
        let worked = self.core().work(round);
        self.worked(worked)
    }

    /// Goes on when the outcome of a delivery is known.
    pub fn delivered(&self, token: &[u8], outcome: &Outcome) -> Worked {
        let delivered = self.core().delivered(token, outcome);
        self.worked(delivered.map(|()| true))
    }

    fn worked(&self, worked: Result<bool, Fault>) -> Worked {
        let worked = worked.unwrap_or_else(|fault| {
            self.core().note_fault(&fault);
            false
        });
        Worked {
            worked,
            effects: self.aside.effects.take(),
            due_ms: self.aside.due_ms.take(),
        }
    }

    fn refuse(&self, refusal: Refusal, instance: &str) -> Reply {
        match refusal {
            Refusal::Problem(problem) => Reply::problem(&problem, instance),
            Refusal::Fault(fault) => self.core().fault(&fault, instance),
        }
    }

    /// The fields that every answer to this request has.
    fn common(&self, raw: &RawRequest<'_>) -> Cow<'_, Fields> {
        match &self.common {
            Some(common) => Cow::Borrowed(common),
            None => Cow::Owned(response::common(&self.config, raw, self.access.is_on())),
        }
    }

    /// A reply on its way out.
    fn finish(&self, raw: &RawRequest<'_>, label: &str, reply: Reply) -> Answer {
        let Reply {
            mut head,
            body,
            problem,
        } = reply;
        self.log(label, raw.target, head.status, problem);
        head.headers.append(&self.common(raw));
        with_length(&mut head, body.len(), &Next::Done);
        let body = if raw.method == "HEAD" {
            Vec::new()
        } else {
            body
        };
        Answer::whole(head, body)
    }

    /// An answer of a read on its way out.
    fn send(&self, label: &str, path: &str, mut answer: Answer) -> Answer {
        if let Some(head) = &mut answer.head {
            self.log(label, path, head.status, None);
            with_length(head, answer.body.len(), &answer.next);
        }
        answer
    }

    fn log(&self, label: &str, path: &str, status: u16, problem: Option<&str>) {
        log::response(&self.env, &self.config, label, path, status, problem);
    }
}

/// Adds the length of a body that is all there, unless it was announced already. Event streams
/// have none, however short: clients take them for what they are by their form.
fn with_length(head: &mut response::Head, length: usize, next: &Next) {
    let without = matches!(head.status, 204 | 304)
        || head.get(headers::CONTENT_TYPE) == Some(sse::MEDIA_TYPE.as_bytes());
    if !without && matches!(next, Next::Done) && head.get(headers::CONTENT_LENGTH).is_none() {
        head.push(headers::CONTENT_LENGTH, length.to_string());
    }
}

fn text(status: u16, body: &str) -> Reply {
    let mut reply = Reply::write(status).with(headers::CONTENT_TYPE, "text/plain");
    reply.body = body.as_bytes().to_vec();
    reply
}

fn again(wait_ms: u64, attempt: &Attempt) -> Answer {
    Answer::only(Next::Again {
        wait_ms,
        attempt: attempt.encode(),
    })
}

/// An append with its body as it is stored.
fn framed(raw: &RawRequest<'_>, append: request::Append) -> Append {
    let request::Append {
        content_type,
        seq,
        producer,
        close,
    } = append;
    let is_json = content_type.as_ref().is_some_and(ContentType::is_json);
    let payload = match (raw.body.is_empty(), is_json) {
        (true, _) => None,
        (false, false) => Some(Ok(Payload::Bytes(raw.body.to_vec()))),
        (false, true) => Some(match json::frame(raw.body) {
            Ok(messages) if messages.bytes.is_empty() => Err(InvalidMessages::EmptyArray),
            Ok(json::Messages { bytes, ends }) => Ok(Payload::Messages { bytes, ends }),
            Err(error) => Err(InvalidMessages::NotJson(error.to_string())),
        }),
    };
    Append {
        payload,
        content_type,
        seq,
        producer,
        close,
    }
}
