//! Live reads.

use crate::batch::Format;
use crate::http::{self, Call, Failure, Http, lost};
use crate::retry::{Schedule, Verdict};
use crate::sse::{self, Control, Parser};
use crate::{Batch, Closed, Error, Offset, Start, Stream, headers, pages};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// SSE responses in a row that may end before their first event. After them, the read takes a proxy
/// to break SSE, and goes on by long-polls.
const SSE_TRIES: u32 = 3;

/// Shortest life of a live response after which the next one is asked for without a pause.
const SHORT: Duration = Duration::from_millis(500);

/// Way in which a live read waits for data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Live {
    /// Server-sent events.
    Sse,
    /// Long-polls.
    LongPoll,
}

/// Options of a live read.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// Way to begin with. SSE falls back to long-polls by itself. Default: SSE.
    pub live: Live,
    /// Whether text may be changed as SSE changes it: CR and CRLF become LF, and bytes that are not
    /// UTF-8 become U+FFFD. If not, the first text that may have been changed is read again by a
    /// long-poll, and so is all text after it. Default: no.
    pub is_text_approximate: bool,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            live: Live::Sse,
            is_text_approximate: false,
        }
    }
}

/// Live read of a stream: every byte once and in order, whatever connections are cut.
///
/// Data counts only with the offset after it. A page or a long-poll that is cut is asked for again,
/// and a data event without its control event is dropped. The read then goes on at the last offset.
#[derive(Debug)]
pub struct Follow {
    stream: Stream,
    /// With the longer timeout of live reads.
    http: Http,
    options: FollowOptions,
    start: Start,
    phase: Phase,
    live: Live,
    schedule: Schedule,
    format: Format,
    cursor: Option<String>,
    sse_failures: u32,
    /// Whether the caller knows that the data so far reached the tail.
    has_reported_tail: bool,
}

#[derive(Debug)]
enum Phase {
    Begin,
    CatchUp,
    Live,
    Sse(Box<Response>),
    Over,
}

/// An SSE response.
#[derive(Debug)]
struct Response {
    call: Call,
    response: reqwest::Response,
    begun: Instant,
    parser: Parser,
    is_base64: bool,
    /// Data events without their control event.
    data: Vec<Vec<u8>>,
    ready: VecDeque<sse::Event>,
    has_control: bool,
    has_progress: bool,
}

impl Follow {
    pub(crate) fn new(stream: Stream, start: Start, options: FollowOptions) -> Self {
        let shared = &stream.shared;
        let mut http = shared.http.clone();
        http.timeout = shared.options.live_timeout;
        Self {
            schedule: Schedule::new(&http.retry),
            live: options.live,
            http,
            options,
            start,
            phase: Phase::Begin,
            format: Format::Binary,
            cursor: None,
            sse_failures: 0,
            has_reported_tail: false,
            stream,
        }
    }

    /// Where the read would resume: everything before it was returned.
    #[must_use]
    pub fn position(&self) -> &Start {
        &self.start
    }

    /// Way in which the read waits at present.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live
    }

    /// Waits for the next data, for the tail, or for the close. Returns `None` after the close, and
    /// after an error. The call may be dropped and repeated.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] and [`Error::Gone`] if the stream was deleted, [`Error::OffsetGone`], and
    /// the errors of every call.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        loop {
            let step = match &mut self.phase {
                Phase::Over => return None,
                Phase::Begin => self.begin().await,
                Phase::CatchUp => self.catch_up().await,
                Phase::Live => match self.live {
                    Live::Sse => self.open().await,
                    Live::LongPoll => self.poll().await,
                },
                Phase::Sse(_) => self.listen().await,
            };
            match step {
                Ok(Some(batch)) => {
                    if let Some(batch) = self.accept(batch) {
                        return Some(Ok(batch));
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.phase = Phase::Over;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Moves the position behind the batch. Returns the batch if it tells the caller anything.
    fn accept(&mut self, batch: Batch) -> Option<Batch> {
        self.start = Start::At(batch.next_offset.clone());
        if batch.closed.is_some() {
            self.phase = Phase::Over;
        }
        let is_news = !batch.is_empty()
            || batch.closed.is_some()
            || (batch.up_to_date && !self.has_reported_tail);
        self.has_reported_tail = batch.up_to_date;
        is_news.then_some(batch)
    }

    /// Finds the tail, for a read that begins there.
    async fn begin(&mut self) -> Result<Option<Batch>, Error> {
        if self.start != Start::Now {
            self.phase = Phase::CatchUp;
            return Ok(None);
        }
        let metadata = self.stream.head().await?;
        self.format = metadata.format();
        self.phase = Phase::Live;
        Ok(Some(Batch {
            data: Bytes::new(),
            format: self.format,
            up_to_date: true,
            closed: metadata.close(),
            next_offset: metadata.next_offset,
        }))
    }

    /// Reads a page. Pages are cheaper than live responses, and caches can answer them.
    async fn catch_up(&mut self) -> Result<Option<Batch>, Error> {
        let page = pages::page(&self.stream, &self.start).await?;
        self.format = page.format;
        if page.up_to_date {
            self.phase = Phase::Live;
        }
        Ok(Some(page))
    }

    /// Waits before the next try, or gives up with the failure's error.
    async fn pause(&mut self, failure: Failure) -> Result<(), Error> {
        if failure.verdict == Verdict::Final {
            return Err(failure.error);
        }
        match self.schedule.next(failure.retry_after, Instant::now()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(failure.error),
        }
    }

    /// Goes on by long-polls, at the last offset.
    fn fall_back(&mut self) {
        self.live = Live::LongPoll;
        self.phase = Phase::Live;
    }

    async fn poll(&mut self) -> Result<Option<Batch>, Error> {
        let cursor = self.cursor.as_deref();
        let call = pages::call(&self.stream, &self.start, Some("long-poll"), cursor);
        let begun = Instant::now();
        let reply = match self.http.attempt(&call).await {
            Ok(reply) => reply,
            Err(failure) => {
                self.pause(failure).await?;
                return Ok(None);
            }
        };
        let cursor = http::text(&reply.headers, headers::STREAM_CURSOR);
        let cursor = cursor.map(str::to_owned);
        let mut batch = pages::batch(&call, reply)?;
        batch.format = self.format;
        self.cursor = cursor.or_else(|| self.cursor.take());
        let has_progress = !batch.is_empty() || batch.closed.is_some();
        if has_progress || begun.elapsed() >= SHORT {
            self.schedule.progressed();
        } else {
            // A server or a proxy that answers at once without data would be asked without end.
            let error = call.protocol_error("long-polls end at once without data");
            self.pause(Failure::new(Verdict::Unknown, error)).await?;
        }
        Ok(Some(batch))
    }

    /// Asks for an SSE response.
    async fn open(&mut self) -> Result<Option<Batch>, Error> {
        let cursor = self.cursor.as_deref();
        let call = pages::call(&self.stream, &self.start, Some("sse"), cursor);
        let call = call.with("accept", sse::MEDIA_TYPE)?;
        let begun = Instant::now();
        let patience = self.stream.shared.options.sse_patience;
        let response = match self.http.open(&call, patience).await {
            Ok(response) => response,
            Err(failure) if lacks_sse(&failure.error) || begun.elapsed() >= patience => {
                self.fall_back();
                return Ok(None);
            }
            Err(failure) => {
                let is_cut = failure.verdict == Verdict::Unknown;
                return self.failed(failure, is_cut).await;
            }
        };
        let fields = response.headers();
        let is_base64 = http::text(fields, headers::STREAM_SSE_DATA_ENCODING)
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"));
        let content_type = http::content_type(fields).unwrap_or_default();
        let is_sse = content_type.starts_with(sse::MEDIA_TYPE);
        if !is_sse || is_base64 != (self.format == Format::Binary) {
            self.fall_back();
            return Ok(None);
        }
        self.phase = Phase::Sse(Box::new(Response {
            call,
            response,
            begun,
            parser: Parser::default(),
            is_base64,
            data: Vec::new(),
            ready: VecDeque::new(),
            has_control: false,
            has_progress: false,
        }));
        Ok(None)
    }

    /// Pauses after an SSE response that failed. Too many of them in a row end SSE.
    async fn failed(&mut self, failure: Failure, is_cut: bool) -> Result<Option<Batch>, Error> {
        self.phase = Phase::Live;
        if is_cut {
            self.sse_failures = self.sse_failures.saturating_add(1);
            if self.sse_failures >= SSE_TRIES {
                self.fall_back();
                return Ok(None);
            }
        }
        self.pause(failure).await?;
        Ok(None)
    }

    /// Waits for the next control event of the SSE response.
    async fn listen(&mut self) -> Result<Option<Batch>, Error> {
        let options = &self.stream.shared.options;
        let Phase::Sse(sse) = &mut self.phase else {
            return Ok(None);
        };
        while let Some(event) = sse.ready.pop_front() {
            match event.kind.as_slice() {
                b"data" => sse.data.push(event.data),
                b"control" => {
                    let batch = sse.control(&event.data, self.format, &self.options);
                    let Some((batch, cursor)) = batch else {
                        self.fall_back();
                        return Ok(None);
                    };
                    sse.has_control = true;
                    sse.has_progress |= self.start != Start::At(batch.next_offset.clone());
                    self.cursor = cursor.or_else(|| self.cursor.take());
                    self.sse_failures = 0;
                    self.schedule.progressed();
                    return Ok(Some(batch));
                }
                _ => {}
            }
        }
        let patience = match sse.has_control {
            true => options.live_timeout,
            // From the request on: a trickle of comments is no event.
            false => options.sse_patience.saturating_sub(sse.begun.elapsed()),
        };
        let error = match timeout(patience, sse.response.chunk()).await {
            Ok(Ok(Some(part))) => {
                let events = sse.parser.push(&part);
                sse.ready.extend(events);
                return Ok(None);
            }
            Err(_) if !sse.has_control => {
                self.fall_back();
                return Ok(None);
            }
            Ok(Ok(None)) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => {
                self.phase = Phase::Live;
                return Ok(None);
            }
        };
        // Servers end SSE responses now and then.
        if sse.has_progress || (sse.has_control && sse.begun.elapsed() >= SHORT) {
            self.phase = Phase::Live;
            return Ok(None);
        }
        let is_cut = !sse.has_control;
        let failure = match error {
            Some(error) => lost(&sse.call, error),
            None => {
                let error = sse.call.protocol_error("the SSE response ended at once");
                Failure::new(Verdict::Unknown, error)
            }
        };
        self.failed(failure, is_cut).await
    }
}

impl Response {
    /// Reads a control event and the data before it. Returns `None` if they can't be used as they
    /// are, and have to be read in another way.
    fn control(
        &mut self,
        text: &[u8],
        format: Format,
        options: &FollowOptions,
    ) -> Option<(Batch, Option<String>)> {
        let control: Control = serde_json::from_slice(text).ok()?;
        let mut events = std::mem::take(&mut self.data).into_iter();
        let text = events.next().unwrap_or_default();
        if events.next().is_some() {
            // Each data event has a control event of its own.
            return None;
        }
        let is_exact = format != Format::Text || options.is_text_approximate;
        if !is_exact && !sse::is_exact(&text) {
            return None;
        }
        let data = match self.is_base64 {
            true => sse::decode_base64(&text).ok()?,
            false => Bytes::from(text),
        };
        let closed = control.stream_closed.then_some(Closed {
            reason: control.stream_closed_reason,
        });
        let batch = Batch {
            data,
            format,
            next_offset: Offset::new(control.stream_next_offset),
            up_to_date: control.up_to_date || closed.is_some(),
            closed,
        };
        Some((batch, control.stream_cursor))
    }
}

/// Whether the server says that it has no SSE for this stream.
fn lacks_sse(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if matches!(refusal.status, 400 | 405 | 406 | 415 | 501))
}
