//! Clients that follow an event stream, and connect again at their offset when it ends.

use super::sse::{Parser, SseEvent, decode};
use super::{Client, PATIENCE_US};
use crate::driver::Part;
use crate::history::{Ask, Event, From, Live, Offset, Page};
use crate::plan::Topic;

/// Follows any stream until the run ends.
pub(super) fn follow(client: &Client<'_>, from_now: bool) {
    let topic = &*client.any_topic();
    let begin = if from_now { From::Now } else { From::Start };
    let mut follower = Follower::new(client, topic, begin);
    while !client.sim().ending.get() {
        client.think();
        if !follower.connect() {
            follower.run = client.sim().next_id();
            follower.from = begin;
            client.cx.sleep_ms(client.range(5, 200));
        }
    }
}

/// Follows a stream until it is closed, or the run ends.
pub(super) fn follow_to_end(client: &Client<'_>, topic: &Topic) {
    let mut follower = Follower::new(client, topic, From::Start);
    while !follower.saw_close && !client.sim().ending.get() {
        if !follower.connect() && !follower.saw_close {
            follower = Follower::new(client, topic, From::Start);
            client.cx.sleep_ms(client.range(5, 200));
        }
    }
}

struct Follower<'c> {
    client: &'c Client<'c>,
    topic: &'c Topic,
    run: u64,
    from: From,
    saw_close: bool,
}

impl<'c> Follower<'c> {
    fn new(client: &'c Client<'c>, topic: &'c Topic, from: From) -> Self {
        Self {
            client,
            topic,
            run: client.sim().next_id(),
            from,
            saw_close: false,
        }
    }

    /// Follows until the response ends. False if the next connection begins a new run.
    fn connect(&mut self) -> bool {
        let client = self.client;
        let ask = Ask::Read {
            from: self.from,
            live: Live::Sse,
        };
        let began = client.cx.now_us();
        // Some clients leave before the server ends the response.
        let patience_us = match client.chance(200) {
            true => client.range(1_000, 10_000_000),
            false => PATIENCE_US,
        };
        let connection = client.connect(client.request(self.topic, &ask));
        let mut parser = Parser::default();
        let mut data = None;
        let until = began + patience_us;
        let goes_on = loop {
            match connection.next(client.cx, until) {
                Some(Part::Head(200, _)) => {}
                Some(Part::Head(status, _)) => break !matches!(status, 404 | 410),
                Some(Part::Bytes(bytes)) => {
                    for event in parser.push(&bytes) {
                        if self.take(event, &mut data, began) {
                            connection.leave();
                            return false;
                        }
                    }
                }
                Some(Part::End | Part::Reset | Part::NoConnection | Part::Lost) => break true,
                None => break true,
            }
            if client.sim().ending.get() {
                break true;
            }
        };
        connection.leave();
        goes_on
    }

    /// Takes one event; a control event completes a page. True if the stream ended.
    fn take(&mut self, event: SseEvent, data: &mut Option<String>, began: u64) -> bool {
        if event.kind == "data" {
            *data = Some(event.data);
            return false;
        }
        let control: serde_json::Value = serde_json::from_str(&event.data).unwrap_or_default();
        let to = control["streamNextOffset"].as_str().and_then(Offset::parse);
        let Some(to) = to else { return false };
        let flag = |name: &str| control[name].as_bool().unwrap_or_default();
        let (at_tail, closed) = (flag("upToDate"), flag("streamClosed"));
        let reason = control["streamClosedReason"].as_str().map(str::to_owned);
        let bytes = match data.take() {
            None => Vec::new(),
            Some(text) if self.topic.content_type == "application/octet-stream" => {
                decode(&text).unwrap_or_else(|| b"not base64".to_vec())
            }
            Some(text) => text.into_bytes(),
        };
        let client = self.client;
        client.sim().record(Event::Page(Page {
            name: self.topic.name.clone(),
            run: self.run,
            began,
            ended: client.cx.now_us(),
            from: self.from,
            tag: None,
            to,
            bytes,
            json: self.topic.is_json(),
            at_tail: at_tail || closed,
            closed,
            reason,
        }));
        self.from = From::At(to);
        self.saw_close = closed;
        closed
    }
}
