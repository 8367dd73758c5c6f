//! Access control: the callers that are let in, and the facts that refused callers can find out.

use super::driver::{Ask, Response, Server, ask, call, resume, send, serve, start};
use super::forks::fork;
use super::world::{Faults, NEW_YEAR_MS, Quirk, World};
use crate::access::tests::hs256;
use crate::limits::CLOCK_SKEW_MS;
use crate::service::exchange::{Cause, Next};
use std::sync::Arc;

const SECRET: &str = "the secret of this server, 32 bytes or more";
const READER: &str = "reader-of-all-names";
const WRITER: &str = "writer-of-all-names";
const MANAGER: &str = "manager-of-the-server";
const TENANT: &str = "everything-below-a/b";
const NEIGHBOUR: &str = "everything-below-a/c";
const TOKENS: &str = r#"[
    {"token":"reader-of-all-names","scope":"read"},
    {"token":"writer-of-all-names","scope":"write"},
    {"token":"manager-of-the-server","scope":"manage"},
    {"token":"everything-below-a/b","scope":"read write manage","prefix":"a/b"},
    {"token":"everything-below-a/c","scope":"read write manage","prefix":"a/c"}
]"#;

fn setup() -> (Arc<World>, Server) {
    let world = World::new(Quirk::Guarded, 1);
    world.variable("auth_tokens", TOKENS);
    world.variable("auth_hs256_secret", SECRET);
    let server = serve(&world);
    (world, server)
}

fn with(token: &str, request: Ask) -> Ask {
    request.header("authorization", format!("Bearer {token}"))
}

/// A token to read and write, which ends `after_ms` after the new year.
fn until(after_ms: u64) -> String {
    let secs = (NEW_YEAR_MS + after_ms) as f64 / 1000.0;
    let claims = format!(r#"{{"exp":{secs},"scope":"read write"}}"#);
    hs256(r#"{"alg":"HS256"}"#, &claims, SECRET.as_bytes())
}

fn requests(name: &str) -> Vec<Ask> {
    let text = |method| ask(method, name).content_type("text/plain");
    let query = |query: &str| ask("GET", &format!("{name}?{query}"));
    vec![
        text("PUT"),
        text("POST").body("x"),
        text("POST").header("stream-closed", "true"),
        query(""),
        query("offset=now"),
        query("tail=1"),
        query("offset=-1").header("if-none-match", "*"),
        query("offset=-1&live=long-poll"),
        query("offset=-1&live=sse"),
        ask("HEAD", name),
        ask("DELETE", name),
    ]
}

fn is(response: &Response, status: u16, code: &str) {
    let answer = (response.status, &*response.code());
    assert_eq!(answer, (status, code), "{response:?}");
}

/// The status of an answer, whether or not the exchange goes on.
fn answered(server: &Server, request: Ask) -> u16 {
    let answer = start(server, &[request.raw()], |_| {}).remove(0);
    answer.head.map_or(0, |head| head.status)
}

#[test]
fn every_operation_needs_its_scope() {
    for (token, read, write) in [
        (READER, true, false),
        (WRITER, false, true),
        (MANAGER, false, false),
    ] {
        let (_, server) = setup();
        call(
            &server,
            with(WRITER, ask("PUT", "s").content_type("text/plain").body("x")),
        );
        for request in requests("s") {
            let reads = matches!(request.raw().method, "GET" | "HEAD");
            let status = answered(&server, with(token, request.clone()));
            let allowed = if reads { read } else { write };
            let expected = if allowed { 200..400 } else { 403..404 };
            assert!(
                expected.contains(&status),
                "{token}: {status} for {request:?}"
            );
        }
    }
}

#[test]
fn a_prefix_covers_whole_segments_in_every_spelling() {
    let (_, server) = setup();
    for (name, good) in [
        ("a/b", true),
        ("a/b/c", true),
        ("a%2Fb/c", true),
        ("a/bc", false),
        ("a", false),
        ("b/a/b", false),
        ("A/b/c", false),
        ("a%252Fb/c", false),
    ] {
        let made = call(&server, with(TENANT, ask("PUT", name)));
        assert_eq!(made.is_ok(), good, "{name}: {made:?}");
        assert!(good || made.status == 403);
    }
}

/// The store operations do not differ either, so neither does the response time.
#[test]
fn a_refusal_does_not_reveal_whether_a_name_is_taken() {
    let (_, server) = setup();
    let refused = |server: &Server| {
        let ops = server.env().ops();
        let mut answers = Vec::new();
        for (token, name) in [
            (None, "s"),
            (Some(TENANT), "s"),
            (Some(MANAGER), "s"),
            (Some("nobody-knows-this-one"), "s"),
        ] {
            for request in requests(name) {
                let request = match token {
                    Some(token) => with(token, request),
                    None => request,
                };
                let answer = call(server, request);
                assert!(matches!(answer.status, 401 | 403), "{answer:?}");
                answers.push(answer);
            }
        }
        assert_eq!(server.env().ops(), ops, "the store was asked");
        answers
    };
    // No request came before: a refused request does not even read the marker.
    let missing = refused(&server);
    let made = with(WRITER, ask("PUT", "s").content_type("text/plain").body("x"));
    assert_eq!(call(&server, made).status, 201);
    assert_eq!(refused(&server), missing);
}

#[test]
fn a_fork_of_a_forbidden_source_is_refused_like_one_of_a_missing_source() {
    let (world, server) = setup();
    let source = ask("PUT", "s").content_type("text/plain").body("x");
    call(&server, with(WRITER, source));
    let before = world.writes();
    for token in [TENANT, WRITER] {
        let hidden = call(&server, with(token, fork("a/b/f", "s")));
        is(&hidden, 404, "NOT_FOUND");
        if token == TENANT {
            let missing = call(&server, with(token, fork("a/b/f", "a/b/s")));
            let text = |response: &Response| response.text().replace("a/b/s", "s");
            assert_eq!(text(&missing), text(&hidden));
            let fields = |response: &Response| {
                let fields = response.headers.iter();
                let names = fields.filter(|field| field.0 != b"content-length");
                names
                    .map(|(name, value)| (name.to_vec(), value.to_vec()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(fields(&missing), fields(&hidden));
        }
    }
    assert_eq!(world.writes(), before, "a refused fork left something");
    let all = until(60_000);
    assert_eq!(call(&server, with(&all, fork("a/b/f", "s"))).status, 201);
    let inside = fork("a/b/g", "a/b/f");
    assert_eq!(call(&server, with(TENANT, inside)).status, 201);
}

#[test]
fn challenges_name_the_missing_credentials() {
    let (_, server) = setup();
    let get = || ask("GET", "s");
    let realm = "Bearer realm=\"durable-streams\"";
    let invalid = format!("{realm}, error=\"invalid_token\"");
    let expired = until(0);
    for (request, status, code, challenge) in [
        (get(), 401, "UNAUTHORIZED", realm.to_owned()),
        (
            get().header("authorization", "Basic YTpi"),
            401,
            "UNAUTHORIZED",
            realm.to_owned(),
        ),
        (
            with("nobody-knows-this-one", get()),
            401,
            "UNAUTHORIZED",
            invalid.clone(),
        ),
        (
            with(WRITER, get()),
            403,
            "INSUFFICIENT_SCOPE",
            format!("{realm}, error=\"insufficient_scope\", scope=\"read\""),
        ),
        (
            with(READER, with(READER, get())),
            400,
            "BAD_REQUEST",
            format!("{realm}, error=\"invalid_request\""),
        ),
    ] {
        let response = call(&server, request);
        is(&response, status, code);
        assert_eq!(response.get("www-authenticate"), challenge);
        assert_eq!(response.get("content-type"), "application/problem+json");
        assert_eq!(response.get("cache-control"), "no-store");
        assert_eq!(response.get("vary"), "authorization");
    }
    assert_eq!(call(&server, with(&expired, get())).status, 404);
    server.env().world().advance(10_000);
    let response = call(&server, with(&expired, get()));
    is(&response, 401, "UNAUTHORIZED");
    assert_eq!(response.get("www-authenticate"), invalid);
}

#[test]
fn browsers_and_probes_need_no_token() {
    let (_, server) = setup();
    for path in ["/health", "/healthz", "/readyz"] {
        assert_eq!(call(&server, ask("GET", "").at(path)).status, 200);
    }
    let preflight = ask("OPTIONS", "s")
        .header("origin", "https://a.example")
        .header("access-control-request-headers", "authorization");
    let response = call(&server, preflight);
    assert_eq!(response.status, 204);
    let allowed = response.get("access-control-allow-headers");
    assert!(allowed.split(", ").any(|name| name == "authorization"));
    let refused = call(
        &server,
        ask("GET", "s").header("origin", "https://a.example"),
    );
    assert_eq!(refused.get("access-control-allow-origin"), "*");
    let exposed = refused.get("access-control-expose-headers");
    assert!(exposed.split(", ").any(|name| name == "www-authenticate"));
}

#[test]
fn answers_to_reads_with_a_token_are_private() {
    let (_, server) = setup();
    let made = ask("PUT", "s").content_type("text/plain").body("x");
    call(&server, with(WRITER, made));
    let page = call(&server, with(READER, ask("GET", "s?offset=-1")));
    let expected = "private, max-age=60, stale-while-revalidate=300";
    assert_eq!(page.get("cache-control"), expected);
    assert_eq!(page.get("vary"), "authorization");
    let tagged = ask("GET", "s?offset=-1").header("if-none-match", page.get("etag"));
    let unchanged = call(&server, with(READER, tagged.clone()));
    assert_eq!(
        (unchanged.status, unchanged.get("vary")),
        (304, "authorization")
    );
    assert_eq!(call(&server, tagged.clone()).status, 401);
    assert_eq!(call(&server, with(WRITER, tagged)).status, 403);
    let follower = send(&server, with(READER, ask("GET", "s?offset=-1&live=sse"))).waiting();
    assert_eq!(follower.response.get("cache-control"), "private, no-cache");
    assert_eq!(follower.response.get("vary"), "authorization");
    let poll = ask("GET", "s?offset=now&live=long-poll");
    let waiting = send(&server, with(READER, poll)).waiting();
    let nothing = resume(&server, waiting, Cause::Expired).whole();
    assert_eq!(
        (nothing.status, nothing.get("vary")),
        (204, "authorization")
    );
}

/// The driver ends the read, because its steps are shared with readers that may stay: all of them
/// hold equal tokens.
#[test]
fn a_live_read_ends_with_its_token() {
    let (world, server) = setup();
    world.advance(2 * CLOCK_SKEW_MS);
    let made = ask("PUT", "s").content_type("text/plain");
    call(&server, with(WRITER, made));
    let read = |token: &str, mode: &str| {
        let target = format!("s?offset=0000000000000000_0000000000000000&live={mode}");
        send(&server, with(token, ask("GET", &target))).waiting()
    };
    for (mode, longest) in [("sse", 60_000), ("long-poll", 25_000)] {
        let forever = read(READER, mode);
        assert_eq!(forever.held.max_age_ms, Some(longest));
        // The age includes the clock skew: within the skew, a read that ended would begin again.
        for (left, age) in [(5_500, 5_500), (90_000, longest), (500, 500)] {
            let now = world.now_ms() - NEW_YEAR_MS;
            let ends = read(&until(now + left - CLOCK_SKEW_MS), mode);
            assert_eq!(ends.held.max_age_ms, Some(age));
            assert_eq!((&ends.token, &ends.key), (&forever.token, &forever.key));
            let ended = resume(&server, ends, Cause::Expired).whole();
            assert!(!ended.reset && ended.is_ok());
        }
        // A waiting reader is not judged again.
        world.advance(1_000_000);
        resume(&server, forever, Cause::Timeout).waiting();
    }
}

/// The second attempt of an append got 401, though the first attempt was applied.
#[test]
fn a_token_that_expires_between_two_attempts_does_not_hide_the_outcome() {
    let (world, server) = setup();
    let made = ask("PUT", "s").content_type("text/plain");
    call(&server, with(WRITER, made));
    let append = ask("POST", "s").content_type("text/plain").body("x");
    let append = with(&until(0), append);
    world.set_faults(Faults {
        after: 1000,
        ..Faults::default()
    });
    let first = server.start(&[append.raw()], None).remove(0);
    let Next::Again { attempt, .. } = first.next else {
        panic!("{first:?}");
    };
    world.set_faults(Faults::default());
    world.advance(4_000_000);
    assert_eq!(call(&server, append.clone()).status, 401);
    let second = server.start(&[append.raw()], Some(&attempt)).remove(0);
    let status = second.head.map(|head| head.status);
    assert!(!matches!(status, Some(401)), "{status:?}");
}

/// Later steps of other requests have the rights of their first step.
#[test]
fn a_read_of_several_steps_ends_with_its_token_in_each_of_them() {
    let (world, _) = setup();
    world.variable("inline_tail_bytes", "0");
    let server = serve(&world);
    let json = |method| ask(method, "s").content_type("application/json");
    call(&server, with(WRITER, json("PUT")));
    for _ in 0..40 {
        call(&server, with(WRITER, json("POST").body("1")));
    }
    world.advance(2 * CLOCK_SKEW_MS);
    let now = world.now_ms() - NEW_YEAR_MS;
    let token = until(now + 5_500 - CLOCK_SKEW_MS);
    let read = with(&token, ask("GET", "s?tail=30&live=sse"));
    let first = server.start(&[read.raw()], None).remove(0);
    let Next::Again { attempt, .. } = first.next else {
        panic!("{first:?}");
    };
    let second = server.start(&[read.raw()], Some(&attempt)).remove(0);
    let held = second.held.expect("a live read");
    assert_eq!(held.max_age_ms, Some(5_500));
    world.advance(6_000);
    let late = server.start(&[read.raw()], Some(&attempt)).remove(0);
    assert_eq!(late.head.map(|head| head.status), Some(401));
    let other = with(NEIGHBOUR, ask("GET", "s?tail=30"));
    let other = server.start(&[other.raw()], Some(&attempt)).remove(0);
    assert_eq!(other.head.map(|head| head.status), Some(403));
}

#[test]
fn requests_that_wait_together_are_judged_each() {
    let (_, server) = setup();
    let made = ask("PUT", "a/b").content_type("text/plain");
    call(&server, with(WRITER, made));
    let append = |token: &str| {
        let append = ask("POST", "a/b").content_type("text/plain").body(token);
        with(token, append)
    };
    let asked = [
        append(WRITER),
        append(READER),
        append(TENANT),
        append("nobody-knows-this-one"),
    ];
    let raw: Vec<_> = asked.iter().map(Ask::raw).collect();
    let answers = start(&server, &raw, |_| {});
    let statuses: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| Some(answer.head?.status))
        .collect();
    assert_eq!(statuses, [204, 403, 204, 401]);
    let page = call(&server, with(READER, ask("GET", "a/b")));
    assert_eq!(page.text(), format!("{WRITER}{TENANT}"));
}

#[test]
fn a_tick_is_for_its_own_token_and_for_managers() {
    let tick = || ask("POST", "__ds/tick");
    let (world, server) = setup();
    for (request, status) in [
        (tick(), 401),
        (with("nobody-knows-this-one", tick()), 401),
        (with(WRITER, tick()), 403),
        (with(MANAGER, tick()), 200),
    ] {
        assert_eq!(call(&server, request).status, status);
    }
    world.variable("tick_token", "clock");
    let server = serve(&world);
    for (token, status) in [
        ("clock", 200),
        ("clocks", 401),
        (MANAGER, 200),
        (READER, 403),
    ] {
        assert_eq!(call(&server, with(token, tick())).status, status, "{token}");
    }
    // The tick token allows nothing else.
    assert_eq!(call(&server, with("clock", ask("GET", "s"))).status, 401);
}

fn subscribe(pattern: &str, wake_stream: &str) -> Ask {
    let body =
        format!(r#"{{"type":"pull-wake","pattern":"{pattern}","wake_stream":"{wake_stream}"}}"#);
    let request = ask("PUT", "__ds/subscriptions/one");
    request.content_type("application/json").body(body)
}

#[test]
fn a_subscription_is_for_managers_and_keeps_within_the_rights_of_its_creator() {
    let (_, server) = setup();
    let inside = || subscribe("a/b/*", "a/b/wakes");
    assert_eq!(call(&server, inside()).status, 401);
    for (token, request, status) in [
        (READER, inside(), 403),
        (WRITER, inside(), 403),
        // A caller that may manage but not read can't have streams read for it.
        (MANAGER, inside(), 403),
        (TENANT, subscribe("a/**", "a/b/wakes"), 403),
        (TENANT, subscribe("**", "a/b/wakes"), 403),
        (TENANT, subscribe("a/bc/*", "a/b/wakes"), 403),
        (TENANT, subscribe("a/b/*", "wakes"), 403),
        (TENANT, inside(), 201),
        (TENANT, inside(), 200),
        (TENANT, subscribe("a/b/x", "a/b/wakes"), 409),
        // Each prefix has ids of its own.
        (NEIGHBOUR, subscribe("a/c/*", "a/c/wakes"), 201),
        (NEIGHBOUR, subscribe("a/c/*", "a/c/wakes"), 200),
    ] {
        let case = format!("{token}: {request:?}");
        assert_eq!(call(&server, with(token, request)).status, status, "{case}");
    }
}

#[test]
fn a_subscription_of_others_is_as_if_it_did_not_exist() {
    let (_, server) = setup();
    call(&server, with(TENANT, subscribe("a/b/*", "a/b/wakes")));
    let json = |method, path: &str, body: &str| {
        ask(method, path)
            .content_type("application/json")
            .body(body)
    };
    let one = "__ds/subscriptions/one";
    let calls = || {
        [
            ask("GET", one),
            json(
                "POST",
                &format!("{one}/streams"),
                r#"{"streams":["a/c/x"]}"#,
            ),
            ask("DELETE", &format!("{one}/streams/a/b/x")),
            json("POST", &format!("{one}/claim"), r#"{"worker":"w"}"#),
            ask("DELETE", one),
        ]
    };
    for request in calls() {
        let case = format!("{request:?}");
        let response = call(&server, with(NEIGHBOUR, request.clone()));
        assert_eq!(response.status, 404, "{case}");
        assert_eq!(
            call(&server, with(READER, request.clone())).status,
            403,
            "{case}"
        );
        assert_eq!(call(&server, request).status, 401, "{case}");
    }
    // Problems of the request itself come first, for an existing and a missing subscription alike.
    for path in [one, "__ds/subscriptions/none"] {
        let malformed = json("POST", &format!("{path}/streams"), "[");
        assert_eq!(call(&server, with(NEIGHBOUR, malformed)).status, 400);
    }
    for (request, status) in [(ask("GET", one), 200), (ask("DELETE", one), 204)] {
        assert_eq!(call(&server, with(MANAGER, request)).status, status);
    }
}

#[test]
fn a_claim_is_for_managers_and_its_token_is_all_that_a_worker_needs() {
    let (_, server) = setup();
    let json = |method, path: &str, body: String| {
        ask(method, path)
            .content_type("application/json")
            .body(body)
    };
    for name in ["a/b/wakes", "a/b/x"] {
        let made = ask("PUT", name).content_type("application/json");
        assert_eq!(call(&server, with(TENANT, made)).status, 201);
    }
    call(&server, with(TENANT, subscribe("a/b/x", "a/b/wakes")));
    let append = json("POST", "a/b/x", "[1]".to_owned());
    assert_eq!(call(&server, with(TENANT, append)).status, 204);
    let claim = json(
        "POST",
        "__ds/subscriptions/one/claim",
        r#"{"worker":"w"}"#.to_owned(),
    );
    let claimed = call(&server, with(TENANT, claim));
    assert_eq!(claimed.status, 200, "{claimed:?}");
    let claimed: serde_json::Value = serde_json::from_str(claimed.text()).unwrap();
    let text = |name: &str| claimed[name].as_str().unwrap_or_default().to_owned();
    let (wake, generation) = (text("wake_id"), &claimed["generation"]);
    let body = format!(r#"{{"wake_id":"{wake}","generation":{generation}}}"#);
    let release = || json("POST", "__ds/subscriptions/one/release", body.clone());
    assert_eq!(call(&server, release()).status, 401);
    assert_eq!(call(&server, with(TENANT, release())).status, 401);
    assert_eq!(call(&server, with(&text("token"), release())).status, 204);
    // The worker's token is good for nothing else.
    let read = with(&text("token"), ask("GET", "a/b/x"));
    assert_eq!(call(&server, read).status, 401);
}

#[test]
fn public_keys_need_no_token() {
    let (_, server) = setup();
    let keys = call(&server, ask("GET", "__ds/jwks.json"));
    assert_eq!(keys.status, 200, "{keys:?}");
    assert_eq!(call(&server, ask("POST", "__ds/jwks/rotate")).status, 401);
    let rotate = with(MANAGER, ask("POST", "__ds/jwks/rotate"));
    assert_eq!(call(&server, rotate).status, 200);
}

#[test]
fn the_warning_that_access_control_is_off_is_logged_once() {
    let world = World::new(Quirk::Guarded, 1);
    let server = serve(&world);
    call(&server, ask("PUT", "s"));
    call(&server, ask("GET", "s"));
    // On platforms that start instances on demand, each of them would log the line again.
    call(&serve(&world), ask("GET", "s"));
    let log = world.log_lines();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(
        log[0].contains("access control is off") && log[0].contains("\"warn\""),
        "{log:?}"
    );
    let (world, server) = setup();
    call(&server, ask("GET", "s"));
    assert_eq!(world.log_lines(), Vec::<String>::new());
}

#[test]
fn no_secret_is_in_an_answer_or_a_log() {
    let secret = "short-secret";
    for name in ["auth_tokens", "auth_hs256_secret", "auth_jwks"] {
        let world = World::new(Quirk::Guarded, 1);
        world.variable(name, secret);
        world.variable("log_level", "debug");
        let server = serve(&world);
        let response = call(&server, ask("GET", "s"));
        is(&response, 503, "MISCONFIGURED");
        let log = world.log_lines();
        assert!(log.iter().any(|line| line.contains(name)));
        for text in log.iter().map(String::as_str).chain([response.text()]) {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let (world, _) = setup();
    world.variable("log_level", "debug");
    let server = serve(&world);
    let token = until(0);
    for token in [READER, WRITER, &token, "nobody-knows-this-one"] {
        let response = call(&server, with(token, ask("GET", "s")));
        let log = world.log_lines();
        for text in log.iter().map(String::as_str).chain([response.text()]) {
            assert!(!text.contains(token), "{text}");
        }
    }
}
