//! Workers of a subscription: they claim it, ack, release, and sometimes disappear.
//! `wakes.rs` judges the claims and acks that they record.

use super::{Client, PATIENCE_US, enter, work_once};
use crate::driver::Request;
use crate::history::{Ask, From, Live};
use crate::plan::Topic;
use crate::sim::Sim;
use crate::wakes::AckResult;
use durable_streams_edge::protocol::packed::Fields;
use serde_json::{Value, json};
use std::rc::Rc;

/// The stream of wake events.
const WAKES: &str = "w";
const SUBSCRIPTION: &str = "__ds/subscriptions/one";

/// Rounds in which the workers must reach every tail after the last fault, and the least time
/// between two. All rounds together are longer than the longest pause between two tries of a wake.
const ROUNDS: u64 = 48;
const ROUND_MS: u64 = 3_000;

/// Creates the wake stream and the subscription, before any fault.
pub(super) fn subscribe(client: &Client<'_>) {
    let topic = wake_topic();
    client.create(&topic, crate::history::Ends::Never, false);
    let mut subscription = json!({
        "type": "pull-wake",
        "wake_stream": WAKES,
        "lease_ttl_ms": client.range(1, 3) * 1000,
    });
    let registry = client.sim().plan.variable("registry") == "true";
    if registry {
        subscription["pattern"] = json!("s*");
    } else {
        let topics = &client.sim().plan.topics;
        let names: Vec<&str> = topics.iter().map(|topic| &*topic.name).collect();
        subscription["streams"] = json!(names);
    }
    let (status, answer) = control(client, "PUT", "", None, Some(&subscription));
    assert_eq!(status, 201, "{answer}");
}

/// Removes the subscription and the wake stream.
pub(super) fn unsubscribe(client: &Client<'_>) {
    let (status, answer) = control(client, "DELETE", "", None, None);
    assert_eq!(status, 204, "{answer}");
    client.ask(&wake_topic(), Ask::Delete);
}

fn wake_topic() -> Topic {
    Topic {
        name: WAKES.to_owned(),
        content_type: "application/json",
        fill: 0,
        prefill: 0,
        mortal: false,
        fork: false,
        private: false,
    }
}

/// A control call. The status is 0 if the outcome is unknown.
fn control(
    client: &Client<'_>,
    method: &'static str,
    call: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> (u16, Value) {
    let mut headers = Fields::default();
    if body.is_some() {
        headers.push("content-type", "application/json");
    }
    if let Some(token) = token {
        headers.push("authorization", format!("Bearer {token}"));
    }
    let request = Request {
        method,
        name: format!("{SUBSCRIPTION}{call}"),
        query: String::new(),
        headers,
        body: body.map_or_else(Vec::new, |body| body.to_string().into_bytes()),
        at: None,
    };
    let response = client.exchange(request, PATIENCE_US);
    let status = match response.whole && response.none.is_none() {
        true => response.status,
        false => 0,
    };
    let answer = serde_json::from_slice(&response.body).unwrap_or_default();
    (status, answer)
}

/// A claimed wake.
struct Claim {
    token: String,
    fence: Value,
    /// Paths and tails of the pending streams.
    pending: Vec<(String, String)>,
}

fn claim(client: &Client<'_>) -> Result<Claim, u16> {
    let worker = json!({ "worker": format!("worker {}", client.number) });
    let (status, answer) = control(client, "POST", "/claim", None, Some(&worker));
    if status != 200 {
        return Err(status);
    }
    client.sim().reach("wakes claimed");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut pending = Vec::new();
    for stream in answer["streams"].as_array().into_iter().flatten() {
        let path = text(&stream["path"]);
        let mut wakes = client.sim().wakes.borrow_mut();
        wakes.cursor(&path, &text(&stream["acked_offset"]));
        if stream["has_pending"] == true {
            pending.push((path, text(&stream["tail_offset"])));
        }
    }
    Ok(Claim {
        token: text(&answer["token"]),
        fence: json!({ "wake_id": answer["wake_id"], "generation": answer["generation"] }),
        pending,
    })
}

/// Acks some of the pending streams.
fn ack(client: &Client<'_>, claim: &Claim, acked: &[(String, String)], done: bool) -> u16 {
    let acks = acked
        .iter()
        .map(|(path, offset)| json!({ "stream": path, "offset": offset }));
    let mut body = claim.fence.clone();
    body["acks"] = acks.collect();
    body["done"] = json!(done);
    // Recorded before it is sent: an ack may be done and never answered.
    let first = {
        let mut wakes = client.sim().wakes.borrow_mut();
        wakes.acks(acked)
    };
    let (status, answer) = control(client, "POST", "/ack", Some(&claim.token), Some(&body));
    let result = match (status, answer["error"]["code"].as_str()) {
        (409, Some("FENCED")) => AckResult::Fenced,
        (200, _) => AckResult::Done,
        _ => AckResult::Unknown,
    };
    client.sim().reach(match result {
        AckResult::Done => "acks done",
        AckResult::Fenced => "acks fenced",
        AckResult::Unknown => "acks of unknown outcome",
    });
    client.sim().wakes.borrow_mut().answered(first, result);
    status
}

/// Claims and acks until the run ends.
pub(super) fn serve(client: &Client<'_>) {
    while !client.sim().ending.get() {
        client.cx.sleep_ms(client.range(5, 500));
        let Ok(claim) = claim(client) else { continue };
        let mut acked = claim.pending.clone();
        acked.retain(|_| client.chance(800));
        // Sometimes the worker pauses for longer than the lease.
        if client.chance(300) {
            client.cx.sleep_ms(client.range(1, 5_000));
        }
        match client.range(0, 9) {
            // The worker disappears.
            0 | 1 => {}
            2 => {
                let token = Some(&*claim.token);
                control(client, "POST", "/release", token, Some(&claim.fence));
            }
            3 | 4 => {
                ack(client, &claim, &acked, false);
                client.cx.sleep_ms(client.range(1, 3_000));
                ack(client, &claim, &[], true);
            }
            _ => drop(ack(client, &claim, &acked, true)),
        }
    }
}

/// Runs after the last fault. A worker that follows the wake stream, and claims only after a wake
/// event, gets to the tail of every stream.
pub(crate) fn drain(sim: &Rc<Sim>) {
    if !sim.plan.subscribed {
        return;
    }
    enter(sim, sim.plan.clients, 0, |client| {
        let cx = client.cx;
        let pause_ms = ROUND_MS + cx.sim.plan.skew_ms / (ROUNDS / 2);
        let mut handled = 0;
        for round in 0..ROUNDS {
            let announced = generations(client).into_iter().max().unwrap_or(0);
            if announced > handled
                && let Ok(claim) = claim(client)
                && ack(client, &claim, &claim.pending, true) == 200
            {
                handled = claim.fence["generation"].as_u64().unwrap_or(handled);
            }
            for piece in 0..48 {
                work_once(cx, 0, round * 48 + piece);
            }
            cx.sleep_ms(pause_ms);
        }
        let generations = generations(client);
        let ends = ends(client);
        let mut wakes = cx.sim.wakes.borrow_mut();
        (wakes.generations, wakes.ends) = (generations, ends);
        drop(wakes);
    });
}

/// The generations in the wake stream, in its order.
fn generations(client: &Client<'_>) -> Vec<u64> {
    let topic = wake_topic();
    let mut found = Vec::new();
    let mut from = From::Start;
    loop {
        let query = super::reader::query(from, Live::No);
        let mut request = client.request(&topic, &Ask::Head);
        (request.method, request.query) = ("GET", query);
        let response = client.exchange(request, PATIENCE_US);
        let events: Vec<Value> = serde_json::from_slice(&response.body).unwrap_or_default();
        found.extend(
            events
                .iter()
                .filter_map(|event| event["generation"].as_u64()),
        );
        match response.tail() {
            Some(to) if !response.up_to_date() => from = From::At(to),
            _ => return found,
        }
    }
}

/// Each existing stream with its tail, and the subscription's cursor for it.
fn ends(client: &Client<'_>) -> Vec<(String, String, Option<String>)> {
    let (_, document) = control(client, "GET", "", None, None);
    let streams = document["streams"].as_array().cloned().unwrap_or_default();
    let cursor = |name: &str| {
        let stream = streams.iter().find(|stream| stream["path"] == name)?;
        Some(stream["acked_offset"].as_str()?.to_owned())
    };
    let mut ends = Vec::new();
    for topic in &client.sim().plan.topics {
        let response = client.exchange(client.request(topic, &Ask::Head), PATIENCE_US);
        if let Some(tail) = response.tail().filter(|_| response.status == 200) {
            ends.push((topic.name.clone(), tail.to_string(), cursor(&topic.name)));
        }
    }
    ends
}
