//! Clients that read page by page, and long-poll at the tail.

use super::http::Response;
use super::{Client, PATIENCE_US};
use crate::history::{Ask, CallResult, Event, From, Live, Offset, Page};
use crate::plan::Topic;

pub(super) fn query(from: From, live: Live) -> String {
    let from = match from {
        From::Start => "offset=-1".to_owned(),
        From::Now => "offset=now".to_owned(),
        From::At(offset) => format!("offset={offset}"),
        From::Tail(count) => format!("tail={count}"),
    };
    let live = match live {
        Live::No => "",
        Live::Poll => "&live=long-poll",
        Live::Sse => "&live=sse",
    };
    format!("?{from}{live}")
}

/// RunResult of one read.
pub(super) enum Came {
    /// A page up to `to`, and whether it is the last one.
    Page {
        to: Offset,
        at_tail: bool,
        ended: bool,
        /// Whether the page ends where a message does.
        whole: bool,
    },
    /// The stream is not there, or the offset belongs to an earlier life.
    Gone,
    /// The outcome is unknown.
    Nothing,
}

/// Reads one page and records it.
pub(super) fn read_page(
    client: &Client<'_>,
    topic: &Topic,
    run: u64,
    from: From,
    live: Live,
) -> Came {
    let began = client.cx.now_us();
    let ask = Ask::Read { from, live };
    let mut request = client.request(topic, &ask);
    if let (Live::Poll, true) = (live, client.chance(500)) {
        request.query += "&cursor=5";
    }
    let response = client.exchange(request, PATIENCE_US);
    match response.result() {
        CallResult::Done { .. } => note(client, topic, (run, from, began), response),
        result => {
            let gone = matches!(result, CallResult::Refused(404 | 410, _));
            client.sim().record(Event::Call(crate::history::Call {
                client: client.number,
                name: topic.name.clone(),
                ask,
                began,
                ended: client.cx.now_us(),
                result,
                reason: None,
            }));
            match gone {
                true => Came::Gone,
                false => Came::Nothing,
            }
        }
    }
}

fn note(
    client: &Client<'_>,
    topic: &Topic,
    (run, from, began): (u64, From, u64),
    response: Response,
) -> Came {
    let Some(to) = response.tail() else {
        return Came::Nothing;
    };
    let (at_tail, closed) = (response.up_to_date(), response.closed());
    let tag = response.header("etag").and_then(parse_tag);
    if at_tail {
        client.sim().saw_tail(topic, to);
    }
    let reason = response.reason();
    let whole = topic.is_json() || matches!(response.body.last(), None | Some(b'>'));
    client.sim().record(Event::Page(Page {
        name: topic.name.clone(),
        run,
        began,
        ended: client.cx.now_us(),
        from,
        tag,
        to,
        bytes: response.body,
        json: topic.is_json(),
        at_tail,
        closed,
        reason,
    }));
    Came::Page {
        to,
        at_tail,
        ended: at_tail && closed,
        whole,
    }
}

/// The life and the first offset of a page.
fn parse_tag(tag: &str) -> Option<(String, Offset)> {
    let mut parts = tag.trim_matches('"').split(':');
    let life = parts.next()?.to_owned();
    Some((life, Offset::parse(parts.next()?)?))
}

/// Reads from the start to the tail again and again. Some readers wait at the tail.
pub(super) fn read(client: &Client<'_>) {
    let polls = client.chance(600);
    let topic = &*client.any_topic();
    let mut from = From::Start;
    let mut run = client.sim().next_id();
    let mut requests = 0;
    loop {
        client.think();
        let ending = client.sim().ending.get();
        requests += 1;
        let live = match polls && !ending && client.chance(800) {
            true => Live::Poll,
            false => Live::No,
        };
        let mut tail = false;
        match read_page(client, topic, run, from, live) {
            Came::Page {
                to, at_tail, ended, ..
            } => {
                from = From::At(to);
                tail = at_tail;
                if ended {
                    // A closed stream has nothing new for a while.
                    client.cx.sleep_ms(client.range(20, 200));
                }
                if ended || client.chance(30) {
                    (from, run) = (From::Start, client.sim().next_id());
                } else if client.chance(30) {
                    (from, run) = (From::Now, client.sim().next_id());
                } else if topic.is_json() && client.chance(60) {
                    let count = client.range(1, 60);
                    (from, run) = (From::Tail(count), client.sim().next_id());
                    client.sim().reach("reads near the tail");
                }
            }
            Came::Gone => {
                tail = true;
                (from, run) = (From::Start, client.sim().next_id());
                client.cx.sleep_ms(20);
            }
            Came::Nothing => client.cx.sleep_ms(5),
        }
        let enough = match polls {
            true => ending,
            false => ending || requests > client.sim().plan.requests * 2,
        };
        if enough && (tail || requests > 2_000) {
            return;
        }
    }
}
