//! Steps of an SSE response (section 5.8): each sends a data event and its control event.

use super::found;
use super::found::Found;
use crate::limits::{STEP_BYTES, STEP_SEGMENTS};
use crate::protocol::headers;
use crate::protocol::packed::Fields;
use crate::protocol::request::Read;
use crate::protocol::response::{Cache, Head as ResponseHead, SANDBOX, cache_control};
use crate::protocol::sse::{self, Encoding};
use crate::protocol::{cursor, offset};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::exchange::{Answer, Cause, Cursor, Next, ResponseContext};
use crate::service::fault::{Fault, Refusal};
use crate::service::problems;
use crate::service::segments::{Page, Part, Segments};
use crate::service::token::{Token, TokenMode};
use crate::stream::Position;

/// Continues after an event pair.
pub(in crate::service) fn follow_on<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    cause: Cause,
) -> Result<Answer, Refusal> {
    match cause {
        Cause::Expired | Cause::Draining => Ok(Answer::only(Next::Done)),
        Cause::Ready | Cause::Changed => event(core, found, at, false),
        Cause::Timeout => {
            let mut answer = event(core, found, at, false)?;
            if answer.body.is_empty() {
                answer.body = sse::HEARTBEAT.to_vec();
            }
            Ok(answer)
        }
    }
}

/// The next event pair from `at` on. Without data the control event stands alone if the stream is
/// closed or `first` asks for one; otherwise the reader waits.
pub(in crate::service) fn event<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    first: bool,
) -> Result<Answer, Refusal> {
    let head = &found.head;
    let encoding = Encoding::of(&head.content_type);
    let (mut page, mut part) = event_data(core, found, at, STEP_BYTES)?;
    let ended = page.reached_tail && head.closed.is_some();
    if encoding == Encoding::Text && !ended {
        // A later step sends the bytes cut off, together with the bytes that complete them. If
        // nothing else is left, this step reads further, or waits at the tail.
        let mut cut = unfinished(&page, &part);
        if cut == part.bytes.len() && !page.reached_tail {
            (page, part) = event_data(core, found, at, STEP_BYTES.saturating_mul(2))?;
            cut = unfinished(&page, &part);
        }
        part.bytes.truncate(part.bytes.len().saturating_sub(cut));
    }
    if part.bytes.is_empty() {
        return Ok(match first || ended {
            true => control_event(core, found, at, Vec::new(), true, ended),
            false => wait_on(core, found, at),
        });
    }
    let reached = part.position(part.bytes.len()).unwrap_or(page.to);
    let mut body = Vec::new();
    sse::data_begin(&mut body, encoding);
    if encoding == Encoding::Json && reached < page.to {
        sse::data_part(&mut body, encoding, &part.bytes);
        return Ok(event_goes_on(core, found, body, reached, page.to));
    }
    end_event(core, found, body, &mut part, page.reached_tail, reached).map_err(Refusal::Fault)
}

fn event_data<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    most: usize,
) -> Result<(Page, Part), Refusal> {
    let mut segments = Segments::new(core, &found.head);
    let page = segments
        .page(at, most as u64, STEP_SEGMENTS)?
        .ok_or_else(|| Refusal::Problem(problems::no_such_place(&offset::format(at))))?;
    let part = segments.read(page.from, page.to, most)?;
    Ok((page, part))
}

/// The next bytes of an event that is larger than a step, which is a JSON message.
pub(in crate::service) fn event_part<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    to: Position,
) -> Result<Answer, Fault> {
    let mut part = Segments::new(core, &found.head).read(at, to, STEP_BYTES)?;
    let reached = part.position(part.bytes.len()).unwrap_or(to);
    let mut body = Vec::new();
    if reached < to && !part.bytes.is_empty() {
        sse::data_part(&mut body, Encoding::Json, &part.bytes);
        return Ok(event_goes_on(core, found, body, reached, to));
    }
    let at_tail = reached == found.head.tail();
    end_event(core, found, body, &mut part, at_tail, reached)
}

fn event_goes_on<E: Env>(
    _core: &Core<E>,
    found: &Found,
    body: Vec<u8>,
    at: Position,
    to: Position,
) -> Answer {
    let mode = TokenMode::SseEvent { to };
    let next = Next::Ready(Token::of(&found.head, at, mode).encode());
    Answer {
        body,
        ..Answer::only(next)
    }
}

fn end_event<E: Env>(
    core: &Core<E>,
    found: &Found,
    mut body: Vec<u8>,
    part: &mut Part,
    at_tail: bool,
    reached: Position,
) -> Result<Answer, Fault> {
    let encoding = Encoding::of(&found.head.content_type);
    if encoding == Encoding::Json {
        // Drops the comma after the last message.
        part.bytes.pop();
    }
    sse::data_part(&mut body, encoding, &part.bytes);
    sse::data_end(&mut body, encoding);
    let closed = at_tail && found.head.closed.is_some();
    Ok(control_event(core, found, reached, body, at_tail, closed))
}

/// Adds the control event, and decides how the exchange goes on after it.
fn control_event<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    mut body: Vec<u8>,
    up_to_date: bool,
    closed: bool,
) -> Answer {
    let closed = found.head.closed.as_ref().filter(|_| closed);
    let reason = closed.map(|_| found.head.close_reason());
    let control = sse::control(&offset::format(at), up_to_date, reason);
    body.extend_from_slice(&control.before);
    if closed.is_some() {
        return Answer {
            body,
            ..Answer::only(Next::Done)
        };
    }
    let value = cursor::at(found.now, found.head.version);
    let cursor = Cursor::Event(value, control.after);
    let answer = match up_to_date {
        true => wait_on(core, found, at),
        false => Answer::only(Next::Ready(
            Token::of(&found.head, at, TokenMode::Sse).encode(),
        )),
    };
    Answer {
        body,
        cursor,
        ..answer
    }
}

fn wait_on<E: Env>(core: &Core<E>, found: &Found, at: Position) -> Answer {
    let heartbeat = core.config.sse_heartbeat_secs.saturating_mul(1000);
    found::wait(core, found, at, TokenMode::Sse, heartbeat)
}

/// Number of bytes at the end of a text part that wait for the bytes after them.
fn unfinished(page: &Page, part: &Part) -> usize {
    match page.reached_tail {
        true => sse::dangling(&part.bytes),
        false => sse::unfinished(&part.bytes),
    }
}

/// Begins an SSE response (section 5.8).
pub(super) fn follow<E: Env>(
    core: &Core<E>,
    found: &Found,
    from: Position,
    read: &Read,
    common: &Fields,
) -> Result<Answer, Refusal> {
    let encoding = Encoding::of(&found.head.content_type);
    let mut response = ResponseHead::new(200)
        .with(headers::CONTENT_TYPE, sse::MEDIA_TYPE)
        .with(headers::CONTENT_SECURITY_POLICY, SANDBOX)
        // nginx and other proxies hold answers back until a buffer is full.
        .with(headers::X_ACCEL_BUFFERING, "no")
        .with(
            headers::CACHE_CONTROL,
            cache_control(&core.config, Cache::Sse).as_bytes(),
        )
        .with_if(
            encoding == Encoding::Base64,
            headers::STREAM_SSE_DATA_ENCODING,
            "base64",
        );
    response.headers.append(common);
    let mut answer = event(core, found, from, true)?;
    answer.head = Some(response);
    answer.held = Some(ResponseContext {
        headers: Fields::default(),
        cursor_floor: read.cursor,
        max_age_ms: Some(core.config.sse_max_secs.saturating_mul(1000)),
    });
    Ok(answer)
}
