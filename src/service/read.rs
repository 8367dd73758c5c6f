//! Reads (sections 5.5 to 5.7): metadata, pages, and the waiting of a long-poll.

use super::core::{Core, Fault, Place, Refusal};
use super::env::{Env, SwapError};
use super::exchange::{Answer, Cause, Cursor, Held, Next};
use super::pages::{Page, Segments};
use super::problems;
use super::reply::Reply;
use super::token::{Token, TokenMode};
use crate::keys::head::Record;
use crate::keys::{NameHash, Slot};
use crate::limits::{PAGE_SEGMENTS, STEP_BYTES};
use crate::protocol::packed::Fields;
use crate::protocol::request::{Mode, Read};
use crate::protocol::response::{Cache, Head as ResponseHead, cache_control};
use crate::protocol::{cursor, etag, headers, json, offset, sse, time};
use crate::stream::{Expiry, Head, Origin, Position, Presence, locate};

impl<E: Env> Core<'_, E> {
    /// The live stream `name`, with the time of this step.
    fn stream(&self, name: &str, slot: &Slot) -> Result<(u32, Head, u64), Refusal> {
        let not_found = || Refusal::Problem(problems::not_found(name));
        let (gate, envelope) = self.read(slot)?.ok_or_else(not_found)?;
        let record = Self::decode(slot, gate, &envelope)?;
        match record {
            Record::Live(head) if head.name == name => {
                let now = head.now_ms(self.env.now_ms());
                match head.presence(now) {
                    Presence::Here => Ok((gate, *head, now)),
                    Presence::Absent => Err(not_found()),
                    Presence::Gone => Err(Refusal::Problem(problems::gone(name))),
                    Presence::Expired => Err(Refusal::Problem(problems::expired())),
                }
            }
            Record::Live(_) | Record::Tombstone(_) => Err(not_found()),
        }
    }

    /// The same, for a step of a read: moves the sliding window if that is due.
    fn stream_read<'s>(&self, name: &str, slot: &'s Slot) -> Result<Found<'s>, Refusal> {
        let (gate, mut head, now) = self.stream(name, slot)?;
        if head.needs_touch(now) && self.touch(slot, &head, now) {
            head.touched_ms = now;
        }
        Ok(Found {
            slot,
            gate,
            head,
            now,
        })
    }

    /// Writes that the stream was read at `now_ms`. Tried once: whoever moved the head meanwhile
    /// nearly always touched it too, and where not, or where the store failed, the next read tries
    /// again. Says whether somebody moved the window, as far as is known.
    fn touch(&self, slot: &Slot, head: &Head, now_ms: u64) -> bool {
        let Ok(Place::Found { cas, envelope, .. }) = self.find(slot) else {
            return false;
        };
        if envelope.version != head.version {
            return true;
        }
        let mut touched = head.clone();
        touched.version = touched.version.saturating_add(1);
        touched.touched_ms = now_ms;
        let record = Record::Live(Box::new(touched));
        let swapped = self.env.swap(cas, &record.seal());
        !matches!(swapped, Err(SwapError::Store(_)))
    }

    /// `HEAD` (section 5.5). Does not count as a read.
    pub(super) fn metadata(&self, name: &str, slot: &Slot) -> Result<Reply, Refusal> {
        let (_, head, _) = self.stream(name, slot)?;
        let reply = Reply::write(200)
            .with(headers::CONTENT_TYPE, head.content_type.as_str())
            .with(headers::STREAM_NEXT_OFFSET, offset::format(head.tail()))
            .closed(head.closed.is_some());
        Ok(match head.expiry {
            Expiry::Never => reply,
            Expiry::Ttl { secs } => reply.with(headers::STREAM_TTL, secs.to_string()),
            Expiry::At { ms } => reply.with(headers::STREAM_EXPIRES_AT, time::format(ms)),
        })
    }

    /// Begins a read. `common` are the fields that every answer to this request has.
    pub(super) fn get(
        &self,
        name: &str,
        slot: &Slot,
        read: &Read,
        common: &Fields,
    ) -> Result<Answer, Refusal> {
        let found = self.stream_read(name, slot)?;
        let from = self.origin(&found.head, read.offset)?;
        match read.mode {
            Mode::CatchUp | Mode::LongPoll => self.page(&found, from, read, common),
            Mode::Sse => self.follow(&found, from, read, common),
        }
    }

    fn origin(&self, head: &Head, asked: offset::Offset) -> Result<Position, Refusal> {
        let asked = match asked {
            offset::Offset::Now => return Ok(head.tail()),
            offset::Offset::Start => None,
            offset::Offset::At(position) => Some(position),
        };
        match locate(head, asked) {
            Ok(Origin::Inside(position) | Origin::Ahead(position)) => Ok(position),
            Err(gone) => Err(Refusal::Problem(problems::offset_gone(gone))),
        }
    }

    fn page(
        &self,
        found: &Found,
        from: Position,
        read: &Read,
        common: &Fields,
    ) -> Result<Answer, Refusal> {
        let head = &found.head;
        let live = read.mode == Mode::LongPoll;
        let page = self.plan(head, from, self.config.page_bytes)?;
        if page.bytes == 0 && live {
            if head.closed.is_some() {
                let mut response = self.nothing(found, from);
                response.headers.append(common);
                return Ok(Answer::whole(response, Vec::new()));
            }
            let from_now = read.offset == offset::Offset::Now;
            let mode = TokenMode::LongPoll { from_now };
            let mut answer = self.wait(found, from, mode, self.poll_ms());
            answer.held = Some(Held {
                headers: common.clone(),
                cursor_floor: read.cursor,
                max_age_ms: Some(self.poll_ms()),
            });
            return Ok(answer);
        }
        let tagged = !matches!(read.offset, offset::Offset::Now);
        let tag = tagged.then(|| tag(head, &page));
        let matched = match (&read.if_none_match, &tag) {
            (Some(field), Some(tag)) => etag::none_match(field, tag),
            _ => false,
        };
        let mut answer = match matched {
            true => Answer::whole(
                self.page_head(found, &page, tag.as_deref(), 304),
                Vec::new(),
            ),
            false => self.send_page(found, &page, tag.as_deref())?,
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

    fn plan(&self, head: &Head, from: Position, limit: u64) -> Result<Page, Refusal> {
        let page = Segments::new(*self, head).page(from, limit, PAGE_SEGMENTS)?;
        page.ok_or_else(|| Refusal::Problem(problems::no_such_place(&offset::format(from))))
    }

    /// The answer with a page, up to its first step's bytes.
    fn send_page(&self, found: &Found, page: &Page, tag: Option<&str>) -> Result<Answer, Refusal> {
        let response = self.page_head(found, page, tag, 200);
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
        let next = self.page_part(head, page.from, page.to, &mut body)?;
        Ok(Answer {
            next,
            ..Answer::whole(response, body)
        })
    }

    /// Adds the next bytes of a page to `body`.
    fn page_part(
        &self,
        head: &Head,
        from: Position,
        to: Position,
        body: &mut Vec<u8>,
    ) -> Result<Next, Fault> {
        let part = Segments::new(*self, head).read(from, to, STEP_BYTES)?;
        let at = part.position(part.bytes.len()).unwrap_or(to);
        body.extend_from_slice(&part.bytes);
        if at < to && !part.bytes.is_empty() {
            let token = Token::of(head, at, TokenMode::Page { to });
            return Ok(Next::Ready(token.encode()));
        }
        if head.content_type.is_json() {
            // The comma after the last message.
            body.pop();
            body.push(b']');
        }
        Ok(Next::Done)
    }

    fn page_head(
        &self,
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
            // Without a tag it is what follows `now`, which is never the same.
            (0, _) | (_, None) => Cache::None,
            _ => Cache::Page {
                lives_ms: head.expires_ms().map(|end| end.saturating_sub(found.now)),
            },
        };
        let mut response = ResponseHead::new(status);
        if status != 304 {
            response.push(headers::CONTENT_TYPE, head.content_type.as_str());
            response.push(headers::CONTENT_LENGTH, length.to_string());
        }
        let mut response = response
            .with(
                headers::CACHE_CONTROL,
                cache_control(self.config, class).as_bytes(),
            )
            .with(headers::STREAM_NEXT_OFFSET, offset::format(page.to))
            .with_if(page.reached_tail, headers::STREAM_UP_TO_DATE, "true")
            .with_if(
                page.reached_tail && head.closed.is_some(),
                headers::STREAM_CLOSED,
                "true",
            );
        if let Some(tag) = tag {
            response.push(headers::ETAG, tag);
        }
        response
    }

    /// The head of a long-poll that ends with nothing.
    fn nothing(&self, found: &Found, at: Position) -> ResponseHead {
        ResponseHead::new(204)
            .with(
                headers::CACHE_CONTROL,
                cache_control(self.config, Cache::None).as_bytes(),
            )
            .with(headers::STREAM_NEXT_OFFSET, offset::format(at))
            .with(headers::STREAM_UP_TO_DATE, "true")
            .with_if(found.head.closed.is_some(), headers::STREAM_CLOSED, "true")
    }

    const fn poll_ms(&self) -> u64 {
        self.config.long_poll_timeout_secs.saturating_mul(1000)
    }

    /// Waits for a change of the head, at most `most_ms`.
    pub(super) fn wait(
        &self,
        found: &Found,
        at: Position,
        mode: TokenMode,
        most_ms: u64,
    ) -> Answer {
        let head = &found.head;
        Answer::only(Next::Change {
            token: Token::of(head, at, mode).encode(),
            key: found.slot.key(found.gate),
            max_wait_ms: head.max_wait_ms(found.now).unwrap_or(u64::MAX).min(most_ms),
        })
    }

    /// Goes on with a read.
    pub(super) fn resume(&self, token: &Token, cause: Cause) -> Result<Answer, Refusal> {
        let slot = self.keys.head(&NameHash::of(&token.name));
        let found = self.stream_read(&token.name, &slot)?;
        if found.head.incarnation != token.incarnation {
            return Err(Refusal::Problem(problems::not_found(&token.name)));
        }
        match token.mode {
            TokenMode::Page { to } => {
                let mut body = Vec::new();
                let next = self.page_part(&found.head, token.at, to, &mut body)?;
                Ok(Answer {
                    body,
                    ..Answer::only(next)
                })
            }
            TokenMode::LongPoll { .. } => self.poll_again(&found, token, cause),
            TokenMode::Sse => self.follow_on(&found, token.at, cause),
            TokenMode::SseEvent { to } => Ok(self.event_part(&found, token.at, to)?),
        }
    }

    fn poll_again(&self, found: &Found, token: &Token, cause: Cause) -> Result<Answer, Refusal> {
        let (head, at) = (&found.head, token.at);
        let page = self.plan(head, at, self.config.page_bytes)?;
        let cursor = Cursor::Header(cursor::at(found.now, head.version));
        if page.bytes > 0 {
            let from_now = token.mode == TokenMode::LongPoll { from_now: true };
            let tag = (!from_now).then(|| tag(head, &page));
            let answer = self.send_page(found, &page, tag.as_deref())?;
            return Ok(Answer { cursor, ..answer });
        }
        if head.closed.is_some() {
            return Ok(Answer::whole(self.nothing(found, at), Vec::new()));
        }
        match cause {
            Cause::Expired | Cause::Draining => {
                let answer = Answer::whole(self.nothing(found, at), Vec::new());
                Ok(Answer { cursor, ..answer })
            }
            Cause::Ready | Cause::Changed | Cause::Timeout => {
                Ok(self.wait(found, at, token.mode, self.poll_ms()))
            }
        }
    }

    /// Begins an SSE response (section 5.8).
    fn follow(
        &self,
        found: &Found,
        from: Position,
        read: &Read,
        common: &Fields,
    ) -> Result<Answer, Refusal> {
        let encoding = sse::Encoding::of(&found.head.content_type);
        let mut response = ResponseHead::new(200)
            .with(headers::CONTENT_TYPE, sse::MEDIA_TYPE)
            .with(
                headers::CACHE_CONTROL,
                cache_control(self.config, Cache::Sse).as_bytes(),
            )
            .with_if(
                encoding == sse::Encoding::Base64,
                headers::STREAM_SSE_DATA_ENCODING,
                "base64",
            );
        response.headers.append(common);
        let mut answer = self.event(found, from, true)?;
        answer.head = Some(response);
        answer.held = Some(Held {
            headers: Fields::default(),
            cursor_floor: read.cursor,
            max_age_ms: Some(self.config.sse_max_secs.saturating_mul(1000)),
        });
        Ok(answer)
    }
}

/// A live stream at one step of a read.
pub(super) struct Found<'a> {
    slot: &'a Slot,
    gate: u32,
    pub(super) head: Head,
    pub(super) now: u64,
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
