//! One HTTP exchange as synchronous steps over the store: the protocol, without waiting.
//!
//! [`Service::start`] takes a request, [`Service::resume`] goes on with one that waited. A step
//! reads the head of its stream, applies a transition of [`crate::stream`], and swaps the head; it
//! keeps nothing. The order of a small append: `start` here, `append`, `Batch` in `stream`, one
//! swap.

mod access;
mod admission;
mod append;
mod attempt;
mod core;
mod create;
mod creation;
mod delete;
mod dispatch;
pub mod env;
pub mod exchange;
mod follow;
mod fork;
mod fork_bar;
mod fork_place;
mod forking;
mod log;
mod names;
mod pages;
mod problems;
mod read;
mod reply;
mod sending;
mod subscription;
mod tick;
mod todo;
mod together;
mod token;
mod update;
mod work;

#[cfg(test)]
mod tests;

use self::core::{Aside, Core, Fault, Refusal};
use self::env::Env;
use self::exchange::{Answer, Cause, Next, Outcome, Worked};
use self::reply::Reply;
use self::token::{Token, TokenMode};
use crate::access::Access;
use crate::keys::Keys;
use crate::limits::{Config, Malformed};
use crate::protocol::name::encode;
use crate::protocol::packed::Fields;
use crate::protocol::request::{Action, Operation, RawRequest};
use crate::protocol::response;
use crate::settings;
use std::cell::Cell;

/// Whether requests can be served with the variables as they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variables {
    Good,
    /// One of them has no meaning.
    Malformed,
    /// The platform could not tell one. Its default could turn access control off, or look for the
    /// streams of others.
    Unread,
}

/// The server, for one world.
#[derive(Debug)]
pub struct Service<E> {
    env: E,
    config: Config,
    access: Access,
    keys: Keys,
    variables: Variables,
    /// Whether the marker was seen: records are created as they always were in this store.
    marked: Cell<bool>,
    /// The fields that every answer has, where they are the same for all requests.
    common: Option<Fields>,
    /// What the step under way has to say besides its answer.
    aside: Aside,
}

/// Judges the variables.
fn read(given: settings::Variables) -> Result<(Config, Access), Malformed> {
    let given = settings::unpack(given)?;
    let config = Config::from_lookup(|name| given.get(name).cloned())?;
    let access = Access::new(&config)?;
    Ok((config, access))
}

impl<E: Env> Service<E> {
    /// Reads the variables. One that is malformed, or can't be read, is logged, and answers every
    /// request from then on.
    pub fn new(env: E) -> Self {
        let (read, variables) = match env.variables() {
            Ok(given) => match read(given) {
                Ok(read) => (read, Variables::Good),
                Err(malformed) => {
                    log::malformed(&env, &malformed);
                    (Default::default(), Variables::Malformed)
                }
            },
            Err(why) => {
                log::unread(&env, &why);
                (Default::default(), Variables::Unread)
            }
        };
        let (mut config, access) = read;
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
            variables,
            marked: Cell::new(false),
            common,
            aside: Aside::default(),
        }
    }

    /// Whether the platform told the variables, be they good or not. If it did not, another service
    /// is to be tried with the next request.
    pub fn is_settled(&self) -> bool {
        self.variables != Variables::Unread
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
            marked: &self.marked,
            is_open: !self.access.is_on(),
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

    /// Goes on with a read.
    pub fn resume(&self, token: &[u8], cause: Cause) -> Answer {
        let Ok(token) = Token::decode(token) else {
            return Answer::only(Next::Reset);
        };
        let resumed = match self.refused() {
            Some(problem) => Err(Refusal::Problem(problem)),
            None => self.core().resume(&token, cause),
        };
        match resumed {
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
                        sending::with_length(&mut head, body.len(), &Next::Done);
                        Answer::whole(head, body)
                    }
                }
            }
        }
    }

    /// One bounded piece of background work: what is to be done anywhere, or else a look at the
    /// place that `round` picks.
    pub fn work(&self, round: u64) -> Worked {
        if self.refused().is_some() {
            return Worked::default();
        }
        let core = self.core();
        let worked = core.check_marker().and_then(|()| core.work(round));
        self.worked(worked)
    }

    /// Goes on when the outcome of a delivery is known.
    pub fn delivered(&self, token: &[u8], outcome: &Outcome) -> Worked {
        if self.refused().is_some() {
            return Worked::default();
        }
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
}
