//! Clients that write: plainly, with `Stream-Seq`, or as producers. They also create, close and
//! delete.

use super::Client;
use crate::history::{Ask, CallResult, Ends, Mark};
use crate::plan::Topic;

/// Most tries of one append of a producer.
const TRIES: u64 = 8;

/// Creates, appends to, closes, deletes and inspects streams.
pub(super) fn write(client: &Client<'_>) {
    // A client's own sequence would fall behind that of other clients, so all use the time.
    let sequences = client.chance(300);
    for _ in 0..client.sim().plan.requests {
        client.think();
        let topic = &*client.any_topic();
        let dice = client.range(0, 99);
        match dice {
            0..5 if topic.mortal => drop(client.ask(topic, Ask::Delete)),
            5..9 if topic.mortal => close(client, topic),
            9..14 => create(client, topic),
            14..20 => drop(client.ask(topic, Ask::Head)),
            20..23 if client.sim().plan.leases && topic.mortal => {
                let secs = if client.chance(200) {
                    0
                } else {
                    client.lease()
                };
                client.ask(topic, Ask::heartbeat(secs));
            }
            _ => {
                let mut append = client.append();
                let conditional = client.chance(200);
                if let Ask::Append { seq, expected, .. } = &mut append {
                    *seq = sequences.then(|| client.cx.now_us());
                    *expected = client.seen_tail(topic).filter(|_| conditional);
                }
                let (result, _) = client.ask(topic, append);
                replace(client, topic, &result);
            }
        }
    }
}

/// Restores a stream that has ended: creates it again, or deletes it if it is closed.
fn replace(client: &Client<'_>, topic: &Topic, result: &CallResult) {
    match result {
        CallResult::Refused(404, _) => create(client, topic),
        CallResult::Refused(_, code) if code == "STREAM_CLOSED" && topic.mortal => {
            client.ask(topic, Ask::Delete);
        }
        _ => {}
    }
}

fn create(client: &Client<'_>, topic: &Topic) {
    if topic.fork {
        return;
    }
    let ends = match (topic.mortal, client.range(0, 9)) {
        (true, 0 | 1) => Ends::Idle(client.range(1, 8) * 1000),
        (true, 2) => Ends::At(client.cx.now_us() / 1000 + client.range(100, 20_000)),
        _ => Ends::Never,
    };
    let close = topic.mortal && client.chance(50);
    client.create(topic, ends, close);
}

/// Closes a stream, with or without a last append.
pub(super) fn close(client: &Client<'_>, topic: &Topic) {
    let stopped = client.chance(300);
    let mut close = Ask::close(match client.chance(600) {
        true => Some(if stopped {
            "stopped"
        } else {
            any_reason(client)
        }),
        false => None,
    });
    if let Ask::Append { body, .. } = &mut close {
        *body = client.chance(600).then(|| client.body());
    }
    client.ask(topic, close);
}

/// A reason that a client gives for a close.
pub(super) fn any_reason(client: &Client<'_>) -> &'static str {
    let reasons = ["done", "failed", "v1.2_x"];
    reasons[client.range(0, reasons.len() as u64 - 1) as usize]
}

/// A producer that repeats each append until it gets an answer. Some producers share a name, and
/// fence each other off.
pub(super) fn produce(client: &Client<'_>) {
    let topic = &*client.any_topic();
    let shared = client.chance(300);
    let producer = match shared {
        true => "shared".to_owned(),
        false => format!("p{}", client.number),
    };
    let own = client.number as u64;
    // No two clients ever use the same epoch.
    let next_epoch = |above: u64| (above / 16 + 1) * 16 + own;
    let (mut epoch, mut next) = (own, 0);
    for _ in 0..client.sim().plan.requests * 2 {
        client.think();
        if client.chance(30) {
            (epoch, next) = (next_epoch(epoch), 0);
        }
        let mark = Mark {
            producer: producer.clone(),
            epoch,
            seq: next,
        };
        let mut append = client.append();
        if let Ask::Append {
            mark: marked,
            close,
            ..
        } = &mut append
        {
            *marked = Some(mark);
            *close = topic.mortal && client.chance(20);
        }
        match insist(client, topic, &append) {
            Next::Done => next += 1,
            Next::Anew(above) => (epoch, next) = (next_epoch(above.max(epoch)), 0),
        }
        if client.chance(100) {
            // A late duplicate.
            client.cx.sleep_ms(client.range(0, 2_000));
            client.ask(topic, append);
        }
    }
}

enum Next {
    Done,
    /// The producer needs a new epoch above this one.
    Anew(u64),
}

fn insist(client: &Client<'_>, topic: &Topic, append: &Ask) -> Next {
    for _ in 0..TRIES {
        let (result, response) = client.ask(topic, append.clone());
        match &result {
            CallResult::Done { .. } => return Next::Done,
            CallResult::Refused(403, _) => {
                let current = response.header("producer-epoch");
                let current = current.and_then(|epoch| epoch.parse().ok());
                return Next::Anew(current.unwrap_or_default());
            }
            CallResult::Refused(400..500, _) => {
                replace(client, topic, &result);
                return Next::Anew(0);
            }
            CallResult::Refused(..) | CallResult::Unknown(_) => client.think(),
        }
    }
    Next::Anew(0)
}
