//! Catch-up reads.

use crate::http::{self, Call, Reply};
use crate::{Batch, Closed, Error, Format, Offset, Start, Stream, headers};
use bytes::Bytes;
use headers::query;
use reqwest::{Method, StatusCode};

/// Read of a stream up to its present tail, page by page.
#[derive(Debug)]
pub struct Pages {
    stream: Stream,
    start: Start,
    is_over: bool,
}

impl Pages {
    pub(crate) fn new(stream: Stream, start: Start) -> Self {
        Self {
            stream,
            start,
            is_over: false,
        }
    }

    /// Reads the next page; `None` after the page that reached the tail. A page that is cut is read
    /// again, so each byte is returned once. The call may be dropped and repeated.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Gone`], [`Error::OffsetGone`], and the errors of every call.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        if self.is_over {
            return None;
        }
        let page = page(&self.stream, &self.start).await;
        match &page {
            Ok(page) => {
                self.start = Start::At(page.next_offset.clone());
                self.is_over = page.up_to_date;
            }
            Err(_) => self.is_over = true,
        }
        Some(page)
    }

    /// Where the next page begins.
    #[must_use]
    pub fn position(&self) -> &Start {
        &self.start
    }
}

/// Reads one page.
pub(crate) async fn page(stream: &Stream, start: &Start) -> Result<Batch, Error> {
    if let Start::Last(_) = start {
        stream.require("tail", "reads near the tail").await?;
    }
    let call = call(stream, start, None, None);
    let reply = stream.http().request(&call).await?;
    let mut batch = batch(&call, reply)?;
    // A server that sends neither data nor progress would be asked without end.
    let stands_still = *start == Start::At(batch.next_offset.clone());
    batch.up_to_date |= batch.is_empty() && stands_still;
    Ok(batch)
}

/// Builds the request of a read. The parameters are in the order of their names.
pub(crate) fn call(
    stream: &Stream,
    start: &Start,
    live: Option<&str>,
    cursor: Option<&str>,
) -> Call {
    let mut url = stream.url().clone();
    let (offset, tail) = match start {
        Start::Beginning => (Some("-1"), None),
        Start::Now => (Some("now"), None),
        Start::At(offset) => (Some(offset.as_str()), None),
        Start::Last(count) => (None, Some(count.to_string())),
    };
    let parameters = [
        (query::CURSOR, cursor),
        (query::LIVE, live),
        (query::OFFSET, offset),
        (query::TAIL, tail.as_deref()),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Call::new(Method::GET, url)
}

/// Reads the response to a catch-up read or a long-poll.
pub(crate) fn batch(call: &Call, reply: Reply) -> Result<Batch, Error> {
    let fields = &reply.headers;
    let next_offset: Option<Offset> = http::offset(fields);
    let closed: Option<Closed> = http::closed(fields);
    let has_data = reply.status != StatusCode::NO_CONTENT;
    let up_to_date = http::is_true(fields, headers::STREAM_UP_TO_DATE);
    Ok(Batch {
        format: Format::of(http::content_type(fields).unwrap_or_default()),
        next_offset: next_offset
            .ok_or_else(|| call.protocol_error("Stream-Next-Offset is missing"))?,
        up_to_date: up_to_date || closed.is_some() || !has_data,
        closed,
        data: match has_data {
            true => reply.body,
            false => Bytes::new(),
        },
    })
}
