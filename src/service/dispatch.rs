//! Dispatches each operation to the file that performs it.

use super::access;
use super::attempt::{
    AdoptAttempt, AppendAttempt, Attempt, ControlAttempt, CreateAttempt, DeleteAttempt,
};
use super::core::Core;
use super::effects::Effects;
use super::env::Env;
use super::exchange::{Answer, Next};
use super::fault::{Fault, Refusal};
use super::records::{names, update};
use super::reply::Reply;
use super::sending::{Done, again};
use super::{
    adopt, append, calls, create, delete, listing, log, problems, read, report, sending,
    subscription, tick, work,
};
use crate::access::{Caller, Scope};
use crate::keys::NameHash;
use crate::protocol::name::StreamName;
use crate::protocol::request::{self, Action, Control, Operation, RawRequest};
use crate::protocol::{headers, response};

/// A request that was parsed and admitted.
pub(super) struct Admitted<'a> {
    pub(super) raw: &'a RawRequest<'a>,
    pub(super) caller: &'a Caller,
    /// The attempt of an earlier step, if any.
    pub(super) attempt: Option<&'a [u8]>,
}

/// Performs one operation other than an append: [`append`] takes all appends to a stream together.
pub(super) fn single<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    request: &Admitted<'_>,
    operation: Operation,
) -> Answer {
    let label = log::operation_name(&operation);
    let raw = request.raw;
    let ended = match operation {
        Operation::Health => Done::Reply(text(200, "ok")),
        Operation::Ready => Done::Reply(ready(core, raw)),
        Operation::Preflight => Done::Answer(Answer::whole(
            response::preflight(&core.config, raw),
            Vec::new(),
        )),
        Operation::Tick { .. } => tick::tick(core, effects, raw, request.attempt),
        Operation::Listing(asked) => {
            let rights = &request.caller.rights;
            Done::Reply(listing::answer(core, raw, rights, &asked))
        }
        Operation::Adopt(name) => adopt(core, request, &name),
        Operation::Control(asked) => control(core, effects, request, &asked),
        Operation::Stream { name, action } => {
            let attempt = request
                .attempt
                .and_then(|bytes| Attempt::decode(bytes).ok());
            match action {
                Action::Create(asked) => create(core, effects, request, &name, asked, attempt),
                Action::Delete => delete(core, effects, raw, &name, attempt),
                Action::Head => Done::Reply(head(core, raw, &name)),
                Action::Read(asked) => match read(core, request, &name, &asked, attempt) {
                    Ok(answer) => Done::Answer(sending::send(core, label, raw.target, answer)),
                    Err(refusal) => Done::Reply(report::refusal(core, refusal, raw.target)),
                },
                // `start` takes appends together.
                Action::Append(_) => Done::Answer(Answer::only(Next::Reset)),
            }
        }
    };
    match ended {
        Done::Reply(reply) => sending::finish(core, raw, label, reply),
        Done::Answer(answer) => answer,
    }
}

fn ready<E: Env>(core: &Core<E>, raw: &RawRequest<'_>) -> Reply {
    match core.env.get(&core.keys.marker()) {
        Ok(_) => text(200, "ready"),
        Err(error) => report::fault(core, &Fault::Store(error), raw.target),
    }
}

/// Performs a call of the subscription APIs. `Done::Answer`: the call needs another step.
fn control<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    request: &Admitted<'_>,
    control: &Control,
) -> Done {
    let raw = request.raw;
    let attempt = match request.attempt.map(Attempt::decode) {
        Some(Ok(Attempt::Control(attempt))) => attempt,
        _ => Box::new(ControlAttempt::new(
            &core.config,
            core.env.now_ms(),
            core.env.random(),
        )),
    };
    let call = subscription::Call {
        raw,
        control,
        rights: &request.caller.rights,
        origin: &calls::origin(core, raw),
    };
    match subscription::control(core, effects, &call, attempt) {
        subscription::ControlResult::Reply(reply) => {
            if let Control::Subscription { id, .. } = control {
                // Each request also does some of the work that is due.
                let _ = work::work_todo(core, effects, NameHash::of_subscription(id).shard());
            }
            Done::Reply(reply)
        }
        subscription::ControlResult::Again(wait_ms, attempt) => {
            Done::Answer(again(wait_ms, &Attempt::Control(attempt)))
        }
    }
}

/// Adopts producers. `Done::Answer`: the adoption needs another step.
fn adopt<E: Env>(core: &Core<E>, request: &Admitted<'_>, name: &StreamName) -> Done {
    let attempt = match request.attempt.map(Attempt::decode) {
        Some(Ok(Attempt::Adopt(attempt))) => attempt,
        _ => AdoptAttempt::new(&core.config, core.env.now_ms()),
    };
    let slot = core.keys.head(&NameHash::of(name.as_str()));
    match adopt::adopt(core, request.raw, name.as_str(), &slot, attempt) {
        adopt::AdoptResult::Reply(reply) => Done::Reply(reply),
        adopt::AdoptResult::Again(wait_ms, attempt) => {
            Done::Answer(again(wait_ms, &Attempt::Adopt(attempt)))
        }
    }
}

/// Creates a stream. `Done::Answer`: the creation needs another step.
fn create<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    request: &Admitted<'_>,
    name: &StreamName,
    asked: request::Create,
    attempt: Option<Attempt>,
) -> Done {
    let raw = request.raw;
    let attempt = match attempt {
        Some(Attempt::Create(attempt)) => attempt,
        _ => CreateAttempt::new(&core.config, core.env.now_ms(), || core.env.random()),
    };
    let call = match calls::creation(core, raw, name, asked) {
        Ok(call) => call,
        Err(problem) => return Done::Reply(Reply::problem(&problem, raw.target)),
    };
    if let Some(fork) = &call.fork
        && !request
            .caller
            .rights
            .allow(Scope::Read, fork.source.as_str())
    {
        let problem = problems::not_found(fork.source.as_str());
        return Done::Reply(Reply::problem(&problem, raw.target));
    }
    let hash = NameHash::of(name.as_str());
    match create::put(core, &core.keys.head(&hash), &call, attempt) {
        create::CreateResult::Reply(reply) => {
            // Each request also continues some of the work that was left.
            let _ = work::work_todo(core, effects, hash.shard());
            if matches!(reply.head.status, 200 | 201) {
                subscription::greet(core, effects, name.as_str());
            }
            Done::Reply(reply)
        }
        create::CreateResult::Again(wait_ms, attempt) => {
            Done::Answer(again(wait_ms, &Attempt::Create(*attempt)))
        }
    }
}

/// Deletes a stream. `Done::Answer`: the deletion needs another step.
fn delete<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    raw: &RawRequest<'_>,
    name: &StreamName,
    attempt: Option<Attempt>,
) -> Done {
    let attempt = match attempt {
        Some(Attempt::Delete(attempt)) => attempt,
        _ => DeleteAttempt::new(&core.config, core.env.now_ms()),
    };
    let hash = NameHash::of(name.as_str());
    let slot = core.keys.head(&hash);
    match delete::delete(core, name.as_str(), &slot, raw.target, attempt) {
        delete::DeleteResult::Reply(reply) => {
            if reply.head.status == 204 {
                // The first steps of the removal. If they stop, background work continues it.
                let _ = work::work_todo(core, effects, hash.shard());
            }
            Done::Reply(reply)
        }
        delete::DeleteResult::Again(wait_ms, attempt) => {
            Done::Answer(again(wait_ms, &Attempt::Delete(attempt)))
        }
    }
}

fn head<E: Env>(core: &Core<E>, raw: &RawRequest<'_>, name: &StreamName) -> Reply {
    let slot = core.keys.head(&NameHash::of(name.as_str()));
    match read::metadata(core, name.as_str(), &slot) {
        Ok(reply) => reply,
        Err(refusal) => report::refusal(core, refusal, raw.target),
    }
}

fn read<E: Env>(
    core: &Core<E>,
    request: &Admitted<'_>,
    name: &StreamName,
    asked: &request::Read,
    attempt: Option<Attempt>,
) -> Result<Answer, Refusal> {
    let search = match attempt {
        Some(Attempt::Tail(search)) => Some(search),
        _ => None,
    };
    let slot = core.keys.head(&NameHash::of(name.as_str()));
    let common = sending::common(core, request.raw);
    let answer = read::get(core, name.as_str(), &slot, asked, &common, search)?;
    Ok(access::until(core, answer, request.caller))
}

/// Appends to the stream `name` for all requests that wait for it.
pub(super) fn append<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    requests: &[RawRequest<'_>],
    name: &StreamName,
    appends: Vec<(usize, StreamName, request::Append)>,
    attempt: Option<&[u8]>,
) -> Vec<(usize, Answer)> {
    let attempt = match attempt.map(Attempt::decode) {
        Some(Ok(Attempt::Append(attempt))) => attempt,
        _ => AppendAttempt::new(&core.config, core.env.now_ms()),
    };
    let slot = core.keys.head(&NameHash::of(name.as_str()));
    let (calls, places): (Vec<_>, Vec<_>) = appends
        .into_iter()
        .filter_map(|(index, _, append)| {
            let raw = requests.get(index)?;
            let append = calls::framed(raw, append);
            Some((
                append::Call {
                    append,
                    instance: raw.target,
                },
                (index, raw),
            ))
        })
        .unzip();
    match append::append(core, name.as_str(), &slot, &calls, attempt) {
        append::AppendResult::Replies(replies, after) => {
            if let Some(news) = after.news {
                subscription::spread(core, effects, news);
            }
            if let Some(lease) = after.lease {
                note_lease(core, effects, name, &lease);
            }
            places
                .into_iter()
                .zip(replies)
                .map(|((index, raw), reply)| (index, sending::finish(core, raw, "append", reply)))
                .collect()
        }
        append::AppendResult::Again(wait_ms, attempt) => {
            let answer = again(wait_ms, &Attempt::Append(attempt));
            places
                .into_iter()
                .map(|(index, _)| (index, answer.clone()))
                .collect()
        }
    }
}

/// Notes in the registry when a lease lapses, so that background work closes a stream without
/// readers. The append is committed, so a fault is only logged: the walk through the registry finds
/// the lease.
fn note_lease<E: Env>(
    core: &Core<E>,
    effects: &mut Effects,
    name: &StreamName,
    lease: &append::LeaseNote,
) {
    let hash = NameHash::of(name.as_str());
    effects.expect(Some(lease.lapses_ms));
    let mut shared = update::drawn_patience(core);
    let noted = names::expect(
        core,
        &hash,
        lease.leaf,
        lease.incarnation,
        lease.lapses_ms,
        &mut shared,
    );
    if let Err(fault) = noted {
        report::note_fault(core, &fault);
    }
}

fn text(status: u16, body: &str) -> Reply {
    let mut reply = Reply::write(status).with(headers::CONTENT_TYPE, "text/plain");
    reply.body = body.as_bytes().to_vec();
    reply
}
