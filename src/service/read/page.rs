//! Page responses (sections 5.6 and 5.7).

use super::found;
use super::found::Found;
use crate::limits::{PAGE_SEGMENTS, STEP_BYTES};
use crate::protocol::packed::Fields;
use crate::protocol::request::{Mode, Read};
use crate::protocol::response::{Cache, Head as ResponseHead, SANDBOX, cache_control};
use crate::protocol::{cursor, etag, headers, json, offset};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::exchange::{Answer, Cause, Cursor, Next, ResponseContext};
use crate::service::fault::{Fault, Refusal};
use crate::service::problems;
use crate::service::reply::closed_fields;
use crate::service::segments::{Page, Segments};
use crate::service::token::{Token, TokenMode};
use crate::stream::{Head, Position};

pub(super) fn page<E: Env>(
    core: &Core<E>,
    found: &Found,
    from: Position,
    read: &Read,
    common: &Fields,
) -> Result<Answer, Refusal> {
    let head = &found.head;
    let live = read.mode == Mode::LongPoll;
    let page = plan(core, head, from, core.config.page_bytes)?;
    if page.bytes == 0 && live {
        if head.closed.is_some() {
            let mut response = nothing(core, found, from);
            response.headers.append(common);
            return Ok(Answer::whole(response, Vec::new()));
        }
        let from_now = read.start.is_relative();
        let mode = TokenMode::LongPoll { from_now };
        let mut answer = found::wait(core, found, from, mode, found::poll_ms(core));
        answer.held = Some(ResponseContext {
            headers: common.clone(),
            cursor_floor: read.cursor,
            max_age_ms: Some(found::poll_ms(core)),
        });
        return Ok(answer);
    }
    let tag = (!read.start.is_relative()).then(|| tag(head, &page));
    let matched = match (&read.if_none_match, &tag) {
        (Some(field), Some(tag)) => etag::none_match(field, tag),
        _ => false,
    };
    let mut answer = match matched {
        true => Answer::whole(
            page_head(core, found, &page, tag.as_deref(), 304),
            Vec::new(),
        ),
        false => send_page(core, found, &page, tag.as_deref())?,
    };
    if live {
        let value = cursor::at(found.now, head.version);
        answer.cursor = Cursor::Header(cursor::above(value, read.cursor));
    }
    if let Some(response) = &mut answer.head {
        response.headers.append(common);
    }
    Ok(answer)
}

fn plan<E: Env>(core: &Core<E>, head: &Head, from: Position, limit: u64) -> Result<Page, Refusal> {
    let page = Segments::new(core, head).page(from, limit, PAGE_SEGMENTS)?;
    page.ok_or_else(|| Refusal::Problem(problems::no_such_place(&offset::format(from))))
}

/// The answer with a page, up to the bytes of the first step.
fn send_page<E: Env>(
    core: &Core<E>,
    found: &Found,
    page: &Page,
    tag: Option<&str>,
) -> Result<Answer, Refusal> {
    let response = page_head(core, found, page, tag, 200);
    let head = &found.head;
    let is_json = head.content_type.is_json();
    if page.bytes == 0 {
        let body = if is_json {
            json::EMPTY_PAGE.to_vec()
        } else {
            Vec::new()
        };
        return Ok(Answer::whole(response, body));
    }
    let mut body = Vec::new();
    if is_json {
        body.push(b'[');
    }
    let next = page_part(core, head, page.from, page.to, &mut body)?;
    Ok(Answer {
        next,
        ..Answer::whole(response, body)
    })
}

/// Adds the next bytes of a page to `body`.
pub(super) fn page_part<E: Env>(
    core: &Core<E>,
    head: &Head,
    from: Position,
    to: Position,
    body: &mut Vec<u8>,
) -> Result<Next, Fault> {
    let part = Segments::new(core, head).read(from, to, STEP_BYTES)?;
    let at = part.position(part.bytes.len()).unwrap_or(to);
    body.extend_from_slice(&part.bytes);
    if at < to && !part.bytes.is_empty() {
        let token = Token::of(head, at, TokenMode::Page { to });
        return Ok(Next::Ready(token.encode()));
    }
    if head.content_type.is_json() {
        // Replaces the comma after the last message.
        body.pop();
        body.push(b']');
    }
    Ok(Next::Done)
}

fn page_head<E: Env>(
    core: &Core<E>,
    found: &Found,
    page: &Page,
    tag: Option<&str>,
    status: u16,
) -> ResponseHead {
    let head = &found.head;
    let extra = u64::from(head.content_type.is_json());
    let length = match page.bytes {
        0 => extra.saturating_mul(2),
        bytes => bytes.saturating_add(extra),
    };
    let class = match (page.bytes, tag) {
        // Without a tag the page begins at a place that differs with each read.
        (0, _) | (_, None) => Cache::None,
        _ => Cache::Page {
            lives_ms: head
                .expires_ms(found.now)
                .map(|end| end.saturating_sub(found.now)),
        },
    };
    let mut response = ResponseHead::new(status);
    if status != 304 {
        response.push(headers::CONTENT_TYPE, head.content_type.as_str());
        // Opened as a page, the content of a stream must not script its origin.
        response.push(headers::CONTENT_SECURITY_POLICY, SANDBOX);
        response.push(headers::CONTENT_LENGTH, length.to_string());
    }
    let mut response = response
        .with(
            headers::CACHE_CONTROL,
            cache_control(&core.config, class).as_bytes(),
        )
        .with(headers::STREAM_NEXT_OFFSET, offset::format(page.to))
        .with_if(page.reached_tail, headers::STREAM_UP_TO_DATE, "true");
    let closed = head.closed.as_ref().filter(|_| page.reached_tail);
    closed_fields(&mut response, closed);
    if let Some(tag) = tag {
        response.push(headers::ETAG, tag);
    }
    response
}

/// The response head of a long-poll that ends without data.
fn nothing<E: Env>(core: &Core<E>, found: &Found, at: Position) -> ResponseHead {
    let mut response = ResponseHead::new(204)
        .with(
            headers::CACHE_CONTROL,
            cache_control(&core.config, Cache::None).as_bytes(),
        )
        .with(headers::STREAM_NEXT_OFFSET, offset::format(at))
        .with(headers::STREAM_UP_TO_DATE, "true");
    closed_fields(&mut response, found.head.closed.as_ref());
    response
}

pub(super) fn poll_again<E: Env>(
    core: &Core<E>,
    found: &Found,
    token: &Token,
    cause: Cause,
) -> Result<Answer, Refusal> {
    let (head, at) = (&found.head, token.at);
    let page = plan(core, head, at, core.config.page_bytes)?;
    let cursor = Cursor::Header(cursor::at(found.now, head.version));
    if page.bytes > 0 {
        let from_now = token.mode == TokenMode::LongPoll { from_now: true };
        let tag = (!from_now).then(|| tag(head, &page));
        let answer = send_page(core, found, &page, tag.as_deref())?;
        return Ok(Answer { cursor, ..answer });
    }
    if head.closed.is_some() {
        return Ok(Answer::whole(nothing(core, found, at), Vec::new()));
    }
    match cause {
        Cause::Expired | Cause::Draining => {
            let answer = Answer::whole(nothing(core, found, at), Vec::new());
            Ok(Answer { cursor, ..answer })
        }
        Cause::Ready | Cause::Changed | Cause::Timeout => Ok(found::wait(
            core,
            found,
            at,
            token.mode,
            found::poll_ms(core),
        )),
    }
}

fn tag(head: &Head, page: &Page) -> String {
    etag::tag(
        head.incarnation,
        page.from,
        page.to,
        page.reached_tail,
        head.closed.is_some(),
    )
}
