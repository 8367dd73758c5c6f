//! One HTTP exchange as synchronous steps over the store: the protocol, without waiting.
//!
//! [`Service::start`] takes a request, [`Service::resume`] continues one that waited. A step reads
//! the head of its stream, applies a transition of [`crate::stream`], and swaps the head. It keeps
//! no state. A small append passes through `start` here, `append`, `Batch` in `stream`, and one
//! swap.

mod access;
mod admission;
mod adopt;
mod append;
mod attempt;
mod calls;
mod core;
mod create;
mod delete;
mod dispatch;
mod effects;
mod ending;
pub mod env;
pub mod exchange;
mod fault;
mod fork;
mod heads;
mod lapse;
mod listing;
mod log;
mod places;
mod problems;
mod progress;
mod read;
mod records;
mod reply;
mod report;
mod segments;
mod sending;
mod subscription;
mod tick;
mod together;
mod token;
mod transient;
mod work;

#[cfg(test)]
mod tests;

use self::core::{Core, Variables};
use self::dispatch::Admitted;
use self::effects::Effects;
use self::env::Env;
use self::exchange::{Answer, Cause, DeliveryResult, Next, Worked};
use self::fault::{Fault, Refusal};
use self::reply::Reply;
use self::token::{Token, TokenMode};
use crate::access::Access;
use crate::keys::Keys;
use crate::limits::{Config, Malformed};
use crate::protocol::name::encode;
use crate::protocol::request::{Action, Operation, RawRequest};
use crate::protocol::response;
use crate::settings;
use std::cell::Cell;

/// The server, in one environment.
#[derive(Debug)]
pub struct Service<E> {
    core: Core<E>,
    /// Earliest time at which something is due, as far as the last steps found, milliseconds since
    /// 1970. An answer has no place for it, so the next piece of background work returns it.
    due_ms: Cell<Option<u64>>,
}

/// Validates the variables.
fn judge(given: settings::Variables) -> Result<(Config, Access), Malformed> {
    let given = settings::unpack(given)?;
    let config = Config::from_lookup(|name| given.get(name).cloned())?;
    let access = Access::new(&config)?;
    Ok((config, access))
}

impl<E: Env> Service<E> {
    /// Reads the variables. If one is malformed or can't be read, the service logs it and answers
    /// every request with an error.
    pub fn new(env: E) -> Self {
        let (read, variables) = match env.variables() {
            Ok(given) => match judge(given) {
                Ok(good) => (good, Variables::Good),
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
            core: Core {
                env,
                config,
                access,
                keys,
                variables,
                marked: Cell::new(false),
                common,
            },
            due_ms: Cell::new(None),
        }
    }

    /// Whether the platform returned the variables, valid or not. If it did not, the host tries
    /// another service with the next request.
    pub fn is_settled(&self) -> bool {
        self.core.variables != Variables::Unread
    }

    /// The variables.
    pub const fn config(&self) -> &Config {
        &self.core.config
    }

    /// The environment.
    pub const fn env(&self) -> &E {
        &self.core.env
    }

    /// The effects of a step, beginning with the due time that earlier steps found.
    fn effects(&self) -> Effects {
        Effects {
            due_ms: self.due_ms.take(),
            ..Effects::default()
        }
    }

    /// Begins the exchanges of requests for one stream or subscription: one request of any kind, or
    /// several POSTs with the same raw path. Returns one answer for each, in their order.
    pub fn start(&self, requests: &[RawRequest<'_>], attempt: Option<&[u8]>) -> Vec<Answer> {
        let core = &self.core;
        let mut effects = self.effects();
        let mut answers: Vec<Option<Answer>> = requests.iter().map(|_| None).collect();
        let mut appends = Vec::new();
        let own = attempt.and_then(together::split);
        for (index, (raw, answer)) in requests.iter().zip(&mut answers).enumerate() {
            match admission::parse(core, raw, attempt.is_some()) {
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
                    let request = Admitted {
                        raw,
                        caller: &caller,
                        attempt,
                    };
                    let done = dispatch::single(core, &mut effects, &request, operation);
                    *answer = Some(done);
                }
                Err(problem) => {
                    let reply = Reply::problem(&problem, raw.target);
                    *answer = Some(sending::finish(core, raw, "request", reply));
                }
            }
        }
        if let Some((_, name, _)) = appends.first() {
            // Requests with one raw path have one name; another name is a driver's mistake.
            let name = name.clone();
            appends.retain(|(_, other, _)| *other == name);
            let done = dispatch::append(core, &mut effects, requests, &name, appends, attempt);
            for (index, answer) in done {
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
            first.effects = effects.deliveries;
        }
        self.due_ms.set(effects.due_ms);
        answers
    }

    /// Continues a read.
    pub fn resume(&self, token: &[u8], cause: Cause) -> Answer {
        let Ok(token) = Token::decode(token) else {
            return Answer::only(Next::Reset);
        };
        let core = &self.core;
        let resumed = match admission::refused(core) {
            Some(problem) => Err(Refusal::Problem(problem)),
            None => read::resume(&self.core, &token, cause),
        };
        match resumed {
            Ok(answer) => sending::send(core, "poll", &token.name, answer),
            Err(refusal) => {
                let path = format!("{}/{}", core.config.base_path, encode(&token.name));
                // The fault is logged even if the client can't receive it any more.
                let reply = report::refusal(core, refusal, &path);
                match token.mode {
                    // The response head is out. A page that can't be completed must not look
                    // complete; an event stream ends between its events.
                    TokenMode::Page { .. } | TokenMode::SseEvent { .. } => {
                        Answer::only(Next::Reset)
                    }
                    TokenMode::Sse => Answer::only(Next::Done),
                    TokenMode::LongPoll { .. } => {
                        sending::log(core, "poll", &path, reply.head.status, reply.problem);
                        let Reply { mut head, body, .. } = reply;
                        sending::with_length(&mut head, body.len(), &Next::Done);
                        Answer::whole(head, body)
                    }
                }
            }
        }
    }

    /// Does one bounded piece of background work: any work that is due, or else a look at the place
    /// that `round` picks.
    pub fn work(&self, round: u64) -> Worked {
        let core = &self.core;
        if admission::refused(core).is_some() {
            return Worked::default();
        }
        let mut effects = self.effects();
        let worked = heads::check_marker(core).and_then(|()| work::work(core, &mut effects, round));
        self.worked(worked, effects)
    }

    /// Continues when the outcome of a delivery is known.
    pub fn delivered(&self, token: &[u8], outcome: &DeliveryResult) -> Worked {
        let core = &self.core;
        if admission::refused(core).is_some() {
            return Worked::default();
        }
        let mut effects = self.effects();
        let delivered = subscription::delivered(core, &mut effects, token, outcome);
        self.worked(delivered.map(|()| true), effects)
    }

    fn worked(&self, worked: Result<bool, Fault>, effects: Effects) -> Worked {
        let worked = worked.unwrap_or_else(|fault| {
            report::note_fault(&self.core, &fault);
            false
        });
        Worked {
            worked,
            effects: effects.deliveries,
            due_ms: effects.due_ms,
        }
    }
}
