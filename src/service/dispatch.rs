//! Each operation is handed to the file that does it, with what it needs.

use super::attempt::{AppendAttempt, Attempt, ControlAttempt, CreateAttempt, DeleteAttempt};
use super::core::Fault;
use super::env::Env;
use super::exchange::{Answer, Next};
use super::reply::Reply;
use super::sending::again;
use super::{Service, append, create, delete, forking, log, problems, subscription};
use crate::access::{Caller, Scope};
use crate::keys::NameHash;
use crate::protocol::name::StreamName;
use crate::protocol::problem::Problem;
use crate::protocol::request::{self, Action, Control, Operation, RawRequest};
use crate::protocol::{headers, json, response};
use crate::stream::{Append, ContentType, Create, InvalidMessages, Payload};

impl<E: Env> Service<E> {
    pub(super) fn single(
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
            Operation::Tick { .. } => self.tick(raw, label, attempt),
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

    pub(super) fn append(
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

fn text(status: u16, body: &str) -> Reply {
    let mut reply = Reply::write(status).with(headers::CONTENT_TYPE, "text/plain");
    reply.body = body.as_bytes().to_vec();
    reply
}
