//! Requests and checks that tests of subscriptions share: the subscription `s`, and a wake stream
//! `wake/pool`.

use super::driver::{Ask, Response, Server, ask, call, serve};
use super::world::{Quirk, World};
use crate::service::exchange::Delivery;
use serde_json::{Value, json};
use std::sync::Arc;

/// A control call.
pub(super) fn ds(method: &str, path: &str) -> Ask {
    ask(method, &format!("__ds/{path}"))
}

/// A control call with a JSON body.
pub(super) fn ds_json(method: &str, path: &str, body: &Value) -> Ask {
    ds(method, path).body(body.to_string())
}

pub(super) fn pull(id: &str, pattern: &str) -> Ask {
    let body = json!({"type": "pull-wake", "pattern": pattern, "wake_stream": "wake/pool"});
    ds_json("PUT", &format!("subscriptions/{id}"), &body)
}

pub(super) fn webhook(id: &str, pattern: &str) -> Ask {
    let hook = json!({"url": "https://worker.example/hooks"});
    let body = json!({"type": "webhook", "pattern": pattern, "webhook": hook});
    ds_json("PUT", &format!("subscriptions/{id}"), &body)
}

pub(super) fn append(name: &str, body: &str) -> Ask {
    ask("POST", name).content_type("text/plain").body(body)
}

pub(super) fn create(name: &str, body: &str) -> Ask {
    ask("PUT", name).content_type("text/plain").body(body)
}

pub(super) fn json_of(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

/// The code of an error of a control call.
pub(super) fn error_code(response: &Response) -> String {
    json_of(response)["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

pub(super) fn ok(response: Response) -> Response {
    assert!(response.is_ok(), "{response:?}");
    response
}

/// A server with a wake stream.
pub(super) fn server(world: &Arc<World>) -> Server {
    let server = serve(world);
    let wake = ask("PUT", "wake/pool").content_type("application/json");
    ok(call(&server, wake));
    server
}

/// The paths of the streams of the subscription `s`.
pub(super) fn paths(server: &Server) -> Vec<String> {
    let page = read(server, "s");
    let streams = page["streams"].as_array().unwrap();
    let path = |one: &Value| one["path"].as_str().unwrap().to_owned();
    streams.iter().map(path).collect()
}

/// The generations in the events of the wake stream.
pub(super) fn woken(server: &Server) -> Vec<u64> {
    let page = ok(call(server, ask("GET", "wake/pool")));
    let events: Vec<Value> = serde_json::from_slice(&page.body).unwrap();
    let generation = |event: &Value| event["generation"].as_u64().unwrap();
    events.iter().map(generation).collect()
}

pub(super) fn claim(server: &Server, id: &str, worker: &str) -> Response {
    let path = format!("subscriptions/{id}/claim");
    call(server, ds_json("POST", &path, &json!({"worker": worker})))
}

/// An ack of everything in the answer to a claim.
pub(super) fn ack_all(server: &Server, id: &str, claimed: &Value, done: bool) -> Response {
    let acks: Vec<Value> = claimed["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stream| json!({"stream": stream["path"], "offset": stream["tail_offset"]}))
        .collect();
    let body = json!({
        "wake_id": claimed["wake_id"],
        "generation": claimed["generation"],
        "acks": acks,
        "done": done,
    });
    let token = claimed["token"].as_str().unwrap();
    let path = format!("subscriptions/{id}/ack");
    let request = ds_json("POST", &path, &body);
    call(
        server,
        request.header("authorization", format!("Bearer {token}")),
    )
}

pub(super) fn read(server: &Server, id: &str) -> Value {
    json_of(&ok(call(server, ds("GET", &format!("subscriptions/{id}")))))
}

/// One exchange, with the deliveries that it asks for.
pub(super) fn deliveries(server: &Server, ask: Ask) -> (u16, Vec<Delivery>) {
    let answer = server.start(&[ask.raw()], None).remove(0);
    let status = answer.head.as_ref().map_or(0, |head| head.status);
    (status, answer.effects)
}

/// A server with a wake stream over each kind of store.
pub(super) fn servers() -> impl Iterator<Item = (Quirk, Arc<World>, Server)> {
    Quirk::ALL.into_iter().map(|quirk| {
        let world = World::new(quirk, 1);
        let server = server(&world);
        (quirk, world, server)
    })
}

/// The answer to the claim of a worker.
pub(super) fn claimed_by(server: &Server, worker: &str) -> Value {
    json_of(&ok(claim(server, "s", worker)))
}

/// A worker claims, and acks everything.
pub(super) fn take_all(server: &Server) {
    ok(ack_all(server, "s", &claimed_by(server, "w"), true));
}

/// Checks the status and the code of an error of a control call.
#[track_caller]
pub(super) fn assert_refused(response: &Response, status: u16, expected: &str) {
    assert_eq!(
        (response.status, &*error_code(response)),
        (status, expected),
        "{response:?}"
    );
}
