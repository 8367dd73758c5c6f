//! The first step of a read, and its later steps.

use super::found::Found;
use super::sse;
use super::tail::{self, Search};
use super::{found, page};
use crate::keys::{NameHash, Slot};
use crate::protocol::packed::Fields;
use crate::protocol::problem::Problem;
use crate::protocol::request::{Mode, Read, Start};
use crate::protocol::{headers, offset, time};
use crate::service::attempt::{Attempt, TailAttempt};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::exchange::{Answer, Cause};
use crate::service::fault::{Fault, Refusal};
use crate::service::places::{self, Placed};
use crate::service::problems;
use crate::service::reply::Reply;
use crate::service::segments::Segments;
use crate::service::sending;
use crate::service::token::{Token, TokenMode};
use crate::stream::{Expiry, OffsetGone, Position};

/// `HEAD` (section 5.5). Does not count as a read.
pub(in crate::service) fn metadata<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
) -> Result<Reply, Refusal> {
    let Found { head, clock, .. } = found::stream(core, name, slot)?;
    let reply = Reply::write(200)
        .with(headers::CONTENT_TYPE, head.content_type.as_str())
        .with(headers::STREAM_NEXT_OFFSET, offset::format(head.tail()))
        .closed(head.closed.as_ref())
        .lease(head.lease, clock);
    Ok(match head.expiry {
        Expiry::Never => reply,
        Expiry::Ttl { secs } => reply.with(headers::STREAM_TTL, secs.to_string()),
        Expiry::At { ms } => reply.with(headers::STREAM_EXPIRES_AT, time::format(ms)),
    })
}

/// Begins a read. `common`: the header fields of every answer to this request. `search`: the search
/// for its start that an earlier step began.
pub(in crate::service) fn get<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    read: &Read,
    common: &Fields,
    search: Option<TailAttempt>,
) -> Result<Answer, Refusal> {
    let mut found = found::stream_read(core, name, slot)?;
    let answer = begin(core, &mut found, read, common, search);
    unless_gone(core, &mut found, answer)
}

fn begin<E: Env>(
    core: &Core<E>,
    found: &mut Found<'_>,
    read: &Read,
    common: &Fields,
    search: Option<TailAttempt>,
) -> Result<Answer, Refusal> {
    let from = match read.start {
        Start::Offset(asked) => origin(core, found, asked)?,
        Start::Tail(count) => match tail::search(core, &found.head, count, search)? {
            Search::Found(from) => from,
            Search::Again(search) => return Ok(sending::again(0, &Attempt::Tail(search))),
        },
    };
    match read.mode {
        Mode::CatchUp | Mode::LongPoll => page::page(core, found, from, read, common),
        Mode::Sse => sse::follow(core, found, from, read, common),
    }
}

/// Reads the head again if a part of the stream is missing. If the stream has ended since the first
/// read, its parts were removed with it, and there is no fault.
fn unless_gone<E: Env>(
    core: &Core<E>,
    found: &mut Found<'_>,
    answer: Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    if let Err(Refusal::Fault(Fault::Missing { .. })) = answer {
        found.read_again(core)?;
    }
    answer
}

/// The place where a read begins. In a JSON stream it must lie between two messages. From inside a
/// message the page would be invalid JSON, or have messages that were never written.
fn origin<E: Env>(
    core: &Core<E>,
    found: &mut Found<'_>,
    asked: offset::Offset,
) -> Result<Position, Refusal> {
    let asked = match asked {
        offset::Offset::Now => return Ok(found.head.tail()),
        offset::Offset::Start => None,
        offset::Offset::At(position) => Some(position),
    };
    let at = match place(core, found, asked)? {
        Placed::Here(at) => at,
        placed => return Err(Refusal::Problem(absent(core, found, placed))),
    };
    let head = &found.head;
    let known = !head.content_type.is_json() || at == head.tail();
    if known || Segments::new(core, head).is_message_end(at)? {
        return Ok(at);
    }
    Err(Refusal::Problem(problems::no_such_place(&offset::format(
        at,
    ))))
}

/// Judges a place. If it is beyond the tail, judges it by another read of the stream, because other
/// instances may have appended meanwhile.
fn place<E: Env>(
    core: &Core<E>,
    found: &mut Found<'_>,
    asked: Option<Position>,
) -> Result<Placed, Refusal> {
    match places::judge(core, &found.head, asked)? {
        Placed::Beyond => {
            found.read_again(core)?;
            Ok(places::judge(core, &found.head, asked)?)
        }
        placed => Ok(placed),
    }
}

/// The problem of a read from a place that does not exist.
fn absent<E: Env>(core: &Core<E>, found: &Found<'_>, placed: Placed) -> Problem {
    let gone = match placed {
        Placed::Later => return problems::later_timeline(),
        Placed::Beyond if core.config.kv_stale_reads => return problems::not_there_yet(),
        Placed::Gone(gone) => gone,
        Placed::Here(_) | Placed::Beyond => OffsetGone::Lost,
    };
    problems::offset_gone(gone, &found.head, found.now)
}

/// Continues a read.
pub(in crate::service) fn resume<E: Env>(
    core: &Core<E>,
    token: &Token,
    cause: Cause,
) -> Result<Answer, Refusal> {
    let slot = core.keys.head(&NameHash::of(&token.name));
    let mut found = found::stream_read(core, &token.name, &slot)?;
    found.failed_closes = token.failed_closes;
    if found.head.incarnation != token.incarnation {
        return Err(Refusal::Problem(problems::not_found(&token.name)));
    }
    let answer = go_on(core, &mut found, token, cause);
    unless_gone(core, &mut found, answer)
}

fn go_on<E: Env>(
    core: &Core<E>,
    found: &mut Found<'_>,
    token: &Token,
    cause: Cause,
) -> Result<Answer, Refusal> {
    // The store may have gone back since the last step. For a page under way this judges the end of
    // the page: if the end exists, so does the rest.
    let (needed, waits) = match token.mode {
        TokenMode::Page { to } | TokenMode::SseEvent { to } => (to, false),
        TokenMode::LongPoll { .. } | TokenMode::Sse => (token.at, true),
    };
    match place(core, found, Some(needed))? {
        Placed::Here(_) => {}
        // A read may be older than the last one; a later read shows the missing bytes.
        Placed::Beyond if waits && core.config.kv_stale_reads => {}
        placed => return Err(Refusal::Problem(absent(core, found, placed))),
    }
    match token.mode {
        TokenMode::Page { to } => {
            let mut body = Vec::new();
            let next = page::page_part(core, &found.head, token.at, to, &mut body)?;
            Ok(Answer {
                body,
                ..Answer::only(next)
            })
        }
        TokenMode::LongPoll { .. } => page::poll_again(core, found, token, cause),
        TokenMode::Sse => sse::follow_on(core, found, token.at, cause),
        TokenMode::SseEvent { to } => Ok(sse::event_part(core, found, token.at, to)?),
    }
}
