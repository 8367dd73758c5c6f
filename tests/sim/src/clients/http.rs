//! Requests and responses in the form of the wire.

use super::{Client, reader};
use crate::driver::{Part, Request};
use crate::faults::Fault;
use crate::history::{Ask, Body, CallResult, Ends, Fork, From, Offset, message};
use crate::plan::Topic;
use crate::planted::Planted;
use crate::sim::NEW_YEAR_MS;
use durable_streams_edge::limits::SEGMENTS;
use durable_streams_edge::protocol::packed::Fields;
use durable_streams_edge::protocol::time;
use durable_streams_edge::stream::Position;

/// A whole response.
#[derive(Debug, Clone, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Fields,
    pub(super) body: Vec<u8>,
    /// Whether the body is complete.
    pub(super) whole: bool,
    /// Why there is no response: no instance took the request, or the host has no answer from its
    /// instance.
    pub(super) none: Option<&'static str>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?).ok()
    }

    pub(super) fn tail(&self) -> Option<Offset> {
        Offset::parse(self.header("stream-next-offset")?)
    }

    pub(super) fn closed(&self) -> bool {
        self.header("stream-closed") == Some("true")
    }

    /// Why the stream was closed.
    pub(super) fn reason(&self) -> Option<String> {
        self.header("stream-closed-reason").map(str::to_owned)
    }

    pub(super) fn up_to_date(&self) -> bool {
        self.header("stream-up-to-date") == Some("true")
    }

    /// The code of a problem document.
    pub(super) fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn result(&self) -> CallResult {
        match (self.none, self.status) {
            (Some("NO_CONNECTION"), _) => CallResult::Refused(0, "NO_CONNECTION".to_owned()),
            (Some(why), _) => CallResult::Unknown(why.to_owned()),
            (None, 200..=299) if self.whole => CallResult::Done {
                status: self.status,
                tail: self.tail(),
                closed: self.closed(),
            },
            (None, 0..=299) => CallResult::Unknown("DISCONNECTED".to_owned()),
            (None, status) => match &*self.code() {
                // The answer to a HEAD has no document.
                "" if status < 500 => CallResult::Refused(status, String::new()),
                code @ ("OUTCOME_UNKNOWN" | "INTERNAL" | "") => {
                    CallResult::Unknown(code.to_owned())
                }
                code => CallResult::Refused(status, code.to_owned()),
            },
        }
    }
}

impl Client<'_> {
    /// Sends a request and reads the whole response.
    pub(super) fn exchange(&self, request: Request, patience_us: u64) -> Response {
        let rates = self.sim().rates.get();
        let patience_us = match self.sim().strikes(Fault::ClientTimeout, rates.timeout) {
            true => self.range(100, 1_000_000),
            false => patience_us,
        };
        let until = self.cx.now_us() + patience_us;
        let connection = self.connect(request);
        let mut response = Response::default();
        loop {
            match connection.next(self.cx, until) {
                Some(Part::Head(status, headers)) => {
                    assert_eq!(response.status, 0, "driver: a second head");
                    response.status = status;
                    response.headers = headers;
                }
                Some(Part::Bytes(bytes)) => response.body.extend(bytes),
                Some(Part::NoConnection) => response.none = Some("NO_CONNECTION"),
                Some(Part::Lost) => response.none = Some("LOST"),
                Some(Part::End) => {
                    let length = response.header("content-length");
                    let length = length.and_then(|length| length.parse::<usize>().ok());
                    let fits = length.is_none_or(|length| length == response.body.len());
                    response.whole = response.status != 0 && (fits || response.body.is_empty());
                    return response;
                }
                Some(Part::Reset) => return response,
                None => {
                    connection.leave();
                    response.whole = false;
                    response.none = Some("TIMEOUT");
                    return response;
                }
            }
            if response.none.is_some() {
                return response;
            }
        }
    }

    /// The request for `ask` on the wire.
    pub(super) fn request(&self, topic: &Topic, ask: &Ask) -> Request {
        let mut headers = Fields::default();
        let mut request = Request {
            method: "GET",
            name: topic.name.clone(),
            query: String::new(),
            headers: Fields::default(),
            body: Vec::new(),
            at: None,
        };
        match ask {
            Ask::Create {
                body,
                ends,
                close,
                fork,
                lease,
            } => {
                request.method = "PUT";
                headers.push("content-type", topic.content_type);
                if let Some(secs) = lease {
                    headers.push("stream-lease", secs.to_string());
                }
                if let Some(fork) = fork {
                    self.add_fork(&mut headers, fork);
                }
                match *ends {
                    Ends::Never => {}
                    Ends::Idle(ms) => headers.push("stream-ttl", (ms / 1000).to_string()),
                    Ends::At(ms) => {
                        headers.push("stream-expires-at", time::format(NEW_YEAR_MS + ms));
                    }
                }
                if *close {
                    headers.push("stream-closed", "true");
                }
                if fork.is_none() || !self.sim().plants(Planted::ForkBodyForgotten, 500) {
                    request.body = self.bytes(topic, *body);
                }
            }
            Ask::Append {
                body,
                mark,
                seq,
                close,
                reason,
                lease,
                expected,
            } => {
                request.method = "POST";
                request.body = self.bytes(topic, *body);
                if body.is_some() {
                    headers.push("content-type", topic.content_type);
                }
                let known = !self.sim().plants(Planted::ProducerNotKnown, 300);
                if let (Some(mark), true) = (mark, known) {
                    headers.push("producer-id", &mark.producer);
                    headers.push("producer-epoch", mark.epoch.to_string());
                    headers.push("producer-seq", mark.seq.to_string());
                }
                if let Some(seq) = seq {
                    headers.push("stream-seq", format!("{seq:08}"));
                }
                let alone = body.is_none();
                if *close && (alone || !self.sim().plants(Planted::CloseForgotten, 500)) {
                    headers.push("stream-closed", "true");
                    if let Some(reason) = reason {
                        headers.push("stream-closed-reason", *reason);
                    }
                }
                if let Some(secs) = lease {
                    headers.push("stream-lease", secs.to_string());
                }
                if let Some(offset) = expected
                    && !self.sim().plants(Planted::ConditionForgotten, 500)
                {
                    headers.push("if-match", format!("\"{offset}\""));
                }
            }
            Ask::Delete => request.method = "DELETE",
            Ask::Head => request.method = "HEAD",
            Ask::Read { from, live } => {
                request.at = match from {
                    From::At(offset) => Some(*offset),
                    From::Start => Some(Offset::ZERO),
                    From::Now | From::Tail(_) => None,
                };
                request.query = reader::query(self.forged(*from), *live);
            }
        }
        request.headers = headers;
        request
    }

    /// The offset as a planted bug changes it.
    fn forged(&self, from: From) -> From {
        match from {
            From::At(Offset(segment, byte))
                if self.sim().plants(Planted::TimelineNotCompared, 1000) =>
            {
                let newest = Position::on(self.sim().timeline.get(), segment % SEGMENTS, 0);
                From::At(Offset(newest.segment, byte))
            }
            from => from,
        }
    }

    fn add_fork(&self, headers: &mut Fields, fork: &Fork) {
        let source = format!("/v1/stream/{}", fork.source);
        headers.push("stream-forked-from", source);
        let forgotten = self.sim().plants(Planted::ForkOffsetForgotten, 500);
        if let (Some(offset), false) = (fork.at, forgotten) {
            headers.push("stream-fork-offset", offset.to_string());
        }
        if fork.skip > 0 {
            headers.push("stream-fork-sub-offset", fork.skip.to_string());
        }
    }

    fn bytes(&self, topic: &Topic, body: Option<Body>) -> Vec<u8> {
        let Some(body) = body else { return Vec::new() };
        // Each retry has the same filler.
        let fill = (body.id.wrapping_mul(0x9e37_79b9) >> 8) % (topic.fill + 1);
        let messages = (0..body.messages).map(|part| {
            let fill = if part == 0 { fill as usize } else { 0 };
            message(body, part, fill, topic.is_json())
        });
        let messages: Vec<String> = messages.collect();
        match topic.is_json() {
            true => format!("[{}]", messages.join(",")).into_bytes(),
            false => messages.concat().into_bytes(),
        }
    }
}
