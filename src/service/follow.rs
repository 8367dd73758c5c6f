//! Steps of an SSE response (section 5.8): a data event and its control event each.

use super::core::{Core, Fault, Refusal};
use super::env::Env;
use super::exchange::{Answer, Cause, Cursor, Next};
use super::pages::{Page, Part, Segments};
use super::problems;
use super::read::Found;
use super::token::{Token, TokenMode};
use crate::limits::{STEP_BYTES, STEP_SEGMENTS};
use crate::protocol::sse::{self, Encoding};
use crate::protocol::{cursor, offset};
use crate::stream::Position;

impl<E: Env> Core<'_, E> {
    /// Goes on behind an event pair.
    pub(super) fn follow_on(
        &self,
        found: &Found,
        at: Position,
        cause: Cause,
    ) -> Result<Answer, Refusal> {
        match cause {
            Cause::Expired | Cause::Draining => Ok(Answer::only(Next::Done)),
            Cause::Ready | Cause::Changed => self.event(found, at, false),
            Cause::Timeout => {
                let mut answer = self.event(found, at, false)?;
                if answer.body.is_empty() {
                    answer.body = sse::HEARTBEAT.to_vec();
                }
                Ok(answer)
            }
        }
    }

    /// The next event pair from `at` on. Where there is no data the control event stands alone if
    /// the stream is closed or `first` asks for one; else the reader waits.
    pub(super) fn event(
        &self,
        found: &Found,
        at: Position,
        first: bool,
    ) -> Result<Answer, Refusal> {
        let head = &found.head;
        let encoding = Encoding::of(&head.content_type);
        let (mut page, mut part) = self.event_data(found, at, STEP_BYTES)?;
        let ended = page.reached_tail && head.closed.is_some();
        if encoding == Encoding::Text && !ended {
            // What is cut off comes with the bytes that follow it, or was all that came yet.
            let mut cut = unfinished(&page, &part);
            if cut == part.bytes.len() && !page.reached_tail {
                (page, part) = self.event_data(found, at, STEP_BYTES.saturating_mul(2))?;
                cut = unfinished(&page, &part);
            }
            part.bytes.truncate(part.bytes.len().saturating_sub(cut));
        }
        if part.bytes.is_empty() {
            return Ok(match first || ended {
                true => self.control(found, at, Vec::new(), true, ended),
                false => self.wait_on(found, at),
            });
        }
        let reached = part.position(part.bytes.len()).unwrap_or(page.to);
        let mut body = Vec::new();
        sse::data_begin(&mut body, encoding);
        if encoding == Encoding::Json && reached < page.to {
            sse::data_part(&mut body, encoding, &part.bytes);
            return Ok(self.event_goes_on(found, body, reached, page.to));
        }
        self.end_event(found, body, &mut part, page.reached_tail, reached)
            .map_err(Refusal::Fault)
    }

    fn event_data(
        &self,
        found: &Found,
        at: Position,
        most: usize,
    ) -> Result<(Page, Part), Refusal> {
        let mut segments = Segments::new(*self, &found.head);
        let page = segments
            .page(at, most as u64, STEP_SEGMENTS)?
            .ok_or_else(|| Refusal::Problem(problems::no_such_place(&offset::format(at))))?;
        let part = segments.read(page.from, page.to, most)?;
        Ok((page, part))
    }

    /// The next bytes of an event that is larger than a step, a JSON message.
    pub(super) fn event_part(
        &self,
        found: &Found,
        at: Position,
        to: Position,
    ) -> Result<Answer, Fault> {
        let mut part = Segments::new(*self, &found.head).read(at, to, STEP_BYTES)?;
        let reached = part.position(part.bytes.len()).unwrap_or(to);
        let mut body = Vec::new();
        if reached < to && !part.bytes.is_empty() {
            sse::data_part(&mut body, Encoding::Json, &part.bytes);
            return Ok(self.event_goes_on(found, body, reached, to));
        }
        let at_tail = reached == found.head.tail();
        self.end_event(found, body, &mut part, at_tail, reached)
    }

    fn event_goes_on(&self, found: &Found, body: Vec<u8>, at: Position, to: Position) -> Answer {
        let mode = TokenMode::SseEvent { to };
        let next = Next::Ready(Token::of(&found.head, at, mode).encode());
        Answer {
            body,
            ..Answer::only(next)
        }
    }

    fn end_event(
        &self,
        found: &Found,
        mut body: Vec<u8>,
        part: &mut Part,
        at_tail: bool,
        reached: Position,
    ) -> Result<Answer, Fault> {
        let encoding = Encoding::of(&found.head.content_type);
        if encoding == Encoding::Json {
            // The comma after the last message.
            part.bytes.pop();
        }
        sse::data_part(&mut body, encoding, &part.bytes);
        sse::data_end(&mut body, encoding);
        let closed = at_tail && found.head.closed.is_some();
        Ok(self.control(found, reached, body, at_tail, closed))
    }

    /// Adds the control event, and says how it goes on behind it.
    fn control(
        &self,
        found: &Found,
        at: Position,
        mut body: Vec<u8>,
        up_to_date: bool,
        closed: bool,
    ) -> Answer {
        let control = sse::control(&offset::format(at), up_to_date, closed);
        body.extend_from_slice(&control.before);
        if closed {
            return Answer {
                body,
                ..Answer::only(Next::Done)
            };
        }
        let value = cursor::at(found.now, found.head.version);
        let cursor = Cursor::Event(value, control.after);
        let answer = match up_to_date {
            true => self.wait_on(found, at),
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

    fn wait_on(&self, found: &Found, at: Position) -> Answer {
        let heartbeat = self.config.sse_heartbeat_secs.saturating_mul(1000);
        self.wait(found, at, TokenMode::Sse, heartbeat)
    }
}

/// Bytes at the end of a part of text that wait for what follows them.
fn unfinished(page: &Page, part: &Part) -> usize {
    match page.reached_tail {
        true => sse::dangling(&part.bytes),
        false => sse::unfinished(&part.bytes),
    }
}
