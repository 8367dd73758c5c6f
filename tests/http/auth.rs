//! Access control and rate limits: a table of requests with their statuses, and cases that only a
//! real server shows.

use crate::common::{Request, ServerUnderTest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "the secret of this server, 32 bytes or more";
const NAMED_SECRET: &[u8] = b"another secret, which has a name: 2026-01";
const TOKENS: &str = r#"[
    {"token":"reader-of-all-names","scope":"read"},
    {"token":"writer-of-all-names","scope":"write"},
    {"token":"manager-of-the-server","scope":"manage"},
    {"token":"everything-below-a/b","scope":"read write","prefix":"a/b"}
]"#;
const READER: &str = "reader-of-all-names";
const WRITER: &str = "writer-of-all-names";
const MANAGER: &str = "manager-of-the-server";
const TENANT: &str = "everything-below-a/b";

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
const EDDSA: &str = r#"{"alg":"EdDSA","typ":"JWT"}"#;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn hs256(header: &str, claims: &str, secret: &[u8]) -> String {
    token(header, claims, |message| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    })
}

fn eddsa(header: &str, claims: &str, key: &SigningKey) -> String {
    token(header, claims, |message| {
        key.sign(message).to_bytes().to_vec()
    })
}

/// Claims that are valid for a minute; `rest` begins with a comma.
fn claims(rest: &str) -> String {
    format!(r#"{{"exp":{},"aud":"streams"{rest}}}"#, now() + 60)
}

fn now() -> u64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH);
    age.expect("after 1970").as_secs()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn server() -> Option<ServerUnderTest> {
    let public = encode(key().verifying_key().as_bytes());
    let set = format!(
        r#"{{"keys":[{{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"}},
                     {{"kty":"oct","kid":"2026-01","k":"{}"}}]}}"#,
        encode(NAMED_SECRET)
    );
    ServerUnderTest::start(&[
        ("auth_tokens", TOKENS),
        ("auth_hs256_secret", SECRET),
        ("auth_eddsa_key", &public),
        ("auth_jwks", &set),
        ("auth_audience", "streams"),
        ("tick_token", "the-clock"),
    ])
}

fn bearer(token: impl AsRef<str>) -> Vec<Vec<u8>> {
    vec![format!("Bearer {}", token.as_ref()).into_bytes()]
}

/// Description, method, path below the base, `Authorization` fields, status.
type Row = (&'static str, &'static str, &'static str, Vec<Vec<u8>>, u16);

fn listed() -> Vec<Row> {
    vec![
        ("no token", "GET", "s", vec![], 401),
        ("no token, no such stream", "GET", "none", vec![], 401),
        ("no token", "PUT", "new", vec![], 401),
        ("no token", "POST", "s", vec![], 401),
        ("no token", "DELETE", "s", vec![], 401),
        ("no token", "HEAD", "s", vec![], 401),
        ("a preflight without a token", "OPTIONS", "s", vec![], 204),
        (
            "another scheme",
            "GET",
            "s",
            vec![b"Basic YTpi".to_vec()],
            401,
        ),
        ("the token alone", "GET", "s", vec![READER.into()], 401),
        ("an empty token", "GET", "s", bearer(""), 401),
        (
            "an unknown token",
            "GET",
            "s",
            bearer("nobody-knows-this-one"),
            401,
        ),
        (
            "the begin of a token",
            "GET",
            "s",
            bearer(&READER[..18]),
            401,
        ),
        (
            "a token and more",
            "GET",
            "s",
            bearer(format!("{READER}x")),
            401,
        ),
        (
            "a token in capitals",
            "GET",
            "s",
            bearer(READER.to_uppercase()),
            401,
        ),
        (
            "no text",
            "GET",
            "s",
            vec![b"Bearer \xff\xfe\xfd".to_vec()],
            401,
        ),
        (
            "two tokens",
            "GET",
            "s",
            [bearer(READER), bearer(WRITER)].concat(),
            400,
        ),
        (
            "the same token twice",
            "GET",
            "s",
            [bearer(READER), bearer(READER)].concat(),
            400,
        ),
        (
            "two tokens in one field",
            "GET",
            "s",
            bearer(format!("{READER}, Bearer {WRITER}")),
            401,
        ),
        ("read may read", "GET", "s", bearer(READER), 200),
        ("read may read", "HEAD", "s", bearer(READER), 200),
        ("read, no such stream", "GET", "none", bearer(READER), 404),
        ("read may not create", "PUT", "new", bearer(READER), 403),
        ("read may not append", "POST", "s", bearer(READER), 403),
        ("read may not delete", "DELETE", "s", bearer(READER), 403),
        ("write may append", "POST", "s", bearer(WRITER), 204),
        ("write may not read", "GET", "s", bearer(WRITER), 403),
        (
            "write may not read, no such stream",
            "GET",
            "none",
            bearer(WRITER),
            403,
        ),
        ("within the prefix", "PUT", "a/b/c", bearer(TENANT), 201),
        ("within, escaped", "GET", "a%2Fb/c", bearer(TENANT), 200),
        ("the prefix itself", "PUT", "a/b", bearer(TENANT), 201),
        ("half a segment", "GET", "a/bc", bearer(TENANT), 403),
        ("above the prefix", "GET", "a", bearer(TENANT), 403),
        ("outside the prefix", "GET", "s", bearer(TENANT), 403),
        (
            "outside, no such stream",
            "GET",
            "none",
            bearer(TENANT),
            403,
        ),
        ("manage may not read", "GET", "s", bearer(MANAGER), 403),
        ("a tick without a token", "POST", "__ds/tick", vec![], 401),
        (
            "a tick of a writer",
            "POST",
            "__ds/tick",
            bearer(WRITER),
            403,
        ),
        (
            "a tick of a manager",
            "POST",
            "__ds/tick",
            bearer(MANAGER),
            200,
        ),
        (
            "a tick with its own token",
            "POST",
            "__ds/tick",
            bearer("the-clock"),
            200,
        ),
        (
            "the tick token elsewhere",
            "GET",
            "s",
            bearer("the-clock"),
            401,
        ),
    ]
}

fn signed() -> Vec<Row> {
    let secret = SECRET.as_bytes();
    let read = claims(r#","scope":"read""#);
    let good = hs256(HS256, &read, secret);
    let get = |case, token: String, status| (case, "GET", "s", bearer(token), status);
    let with = |case, claims: String, status| get(case, hs256(HS256, &claims, secret), status);
    let head = |case, header, status| get(case, hs256(header, &read, secret), status);
    let none = token(r#"{"alg":"none"}"#, &read, |_| Vec::new());
    let public = key().verifying_key();
    let [header, _, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("not three parts");
    };
    let forged = format!(
        "{header}.{}.{signature}",
        encode(claims(r#","scope":"write""#))
    );
    vec![
        get("HS256", good.clone(), 200),
        get("EdDSA", eddsa(EDDSA, &read, &key()), 200),
        get(
            "a key by its name",
            hs256(r#"{"alg":"HS256","kid":"2026-01"}"#, &read, NAMED_SECRET),
            200,
        ),
        head("an unknown kid", r#"{"alg":"HS256","kid":"2025-12"}"#, 401),
        head(
            "a kid of another key",
            r#"{"alg":"HS256","kid":"2026-01"}"#,
            401,
        ),
        get(
            "no kid where there is one",
            hs256(HS256, &read, NAMED_SECRET),
            401,
        ),
        get("another secret", hs256(HS256, &read, b"a guess"), 401),
        get(
            "another Ed25519 key",
            eddsa(EDDSA, &read, &SigningKey::from_bytes(&[8; 32])),
            401,
        ),
        get("alg none", none.clone(), 401),
        get(
            "alg none, two parts",
            none.trim_end_matches('.').to_owned(),
            401,
        ),
        head("alg none, signed", r#"{"alg":"none"}"#, 401),
        head("HS512", r#"{"alg":"HS512"}"#, 401),
        get(
            "HS256 by the public key",
            hs256(HS256, &read, public.as_bytes()),
            401,
        ),
        get(
            "HS256 by the public key's text",
            hs256(HS256, &read, encode(public.as_bytes()).as_bytes()),
            401,
        ),
        get("EdDSA signed by HS256", hs256(EDDSA, &read, secret), 401),
        get("other claims than those signed", forged, 401),
        get(
            "a signature cut short",
            good[..good.len() - 2].to_owned(),
            401,
        ),
        get("a fourth part", format!("{good}.{signature}"), 401),
        head(
            "an extension that must be known",
            r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
            401,
        ),
        head("alg twice", r#"{"alg":"HS256","alg":"none"}"#, 401),
        with(
            "exp twice",
            claims(r#","exp":99999999999,"scope":"read""#),
            401,
        ),
        with(
            "scope twice",
            claims(r#","scope":"read","scope":"read""#),
            401,
        ),
        with(
            "expired",
            format!(r#"{{"exp":{},"aud":"streams","scope":"read"}}"#, now() - 60),
            401,
        ),
        with(
            "expired within the tolerance",
            format!(r#"{{"exp":{},"aud":"streams","scope":"read"}}"#, now() - 1),
            200,
        ),
        with(
            "without exp",
            r#"{"aud":"streams","scope":"read"}"#.to_owned(),
            401,
        ),
        with(
            "not yet",
            claims(&format!(r#","scope":"read","nbf":{}"#, now() + 60)),
            401,
        ),
        with(
            "for others",
            format!(r#"{{"exp":{},"aud":"others","scope":"read"}}"#, now() + 60),
            401,
        ),
        with(
            "without an audience",
            format!(r#"{{"exp":{},"scope":"read"}}"#, now() + 60),
            401,
        ),
        with(
            "for us too",
            format!(
                r#"{{"exp":{},"aud":["x","streams"],"scope":"read"}}"#,
                now() + 60
            ),
            200,
        ),
        with("without scope", claims(""), 403),
        with("the wrong scope", claims(r#","scope":"write manage""#), 403),
        with(
            "scopes of others too",
            claims(r#","scope":"openid read""#),
            200,
        ),
        with(
            "the wrong prefix",
            claims(r#","scope":"read","prefix":"a/b""#),
            403,
        ),
        with(
            "the right prefix",
            claims(r#","scope":"read","prefix":"s""#),
            200,
        ),
        with(
            "no prefix at all",
            claims(r#","scope":"read","prefix":"s/""#),
            401,
        ),
        with(
            "too long",
            claims(&format!(r#","scope":"read","x":"{}""#, "x".repeat(8192))),
            401,
        ),
        get("no JSON", hs256("HS256", &read, secret), 401),
    ]
}

#[test]
fn each_request_of_a_table_gets_its_answer() {
    let Some(server) = server() else {
        return;
    };
    let request = |method, path: &str| server.request(method, &format!("/v1/stream/{path}"));
    let create = request("PUT", "s").header("Content-Type", "text/plain");
    let create = create
        .header("Authorization", format!("Bearer {WRITER}"))
        .body("x");
    create.send().expect(201);
    let rows = [listed(), signed()].concat();
    println!("{:<36} {:<8} {:<12} status", "", "method", "path");
    for (case, method, path, fields, status) in &rows {
        let mut request = request(method, path).header("Content-Type", "text/plain");
        for field in fields {
            request = request.header("Authorization", field);
        }
        if matches!(*method, "PUT" | "POST") {
            request = request.body("x");
        }
        let answer = request.send();
        println!("{case:<36} {method:<8} {path:<12} {}", answer.status);
        assert_eq!(answer.status, *status, "{case}: {answer:?}");
        if matches!(answer.status, 401 | 403) {
            let code = match answer.status {
                401 => "UNAUTHORIZED",
                _ => "INSUFFICIENT_SCOPE",
            };
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer realm="), "{challenge}");
            if *method != "HEAD" {
                answer.problem(*status, code);
            }
        }
    }
    println!("{} requests", rows.len());
    assert!(rows.len() >= 40);
    server.request("GET", "/health").send().expect(200);
    server.request("GET", "/readyz").send().expect(200);
}

#[test]
fn an_event_stream_ends_with_its_token() {
    let Some(server) = server() else {
        return;
    };
    let path = "/v1/stream/s";
    let with =
        |request: Request, token: &str| request.header("Authorization", format!("Bearer {token}"));
    with(server.request("PUT", path), WRITER)
        .header("Content-Type", "text/plain")
        .body("x")
        .send()
        .expect(201);
    // The token has expired, but is accepted for four more seconds. Live reads last just as long.
    let claims = format!(r#"{{"exp":{},"aud":"streams","scope":"read"}}"#, now() - 6);
    let over = hs256(HS256, &claims, SECRET.as_bytes());
    let poll = format!("{path}?offset=now&live=long-poll");
    let polling = with(server.request("GET", &poll), &over).start();
    let follow = format!("{path}?offset=-1&live=sse");
    let answer = with(server.request("GET", &follow), &over)
        .send()
        .expect(200);
    assert!(
        answer.text().contains("data:x") || answer.text().contains("data: x"),
        "{answer:?}"
    );
    answer
        .with("cache-control", "private, no-cache")
        .with("vary", "authorization");
    polling.finish().expect(204).with("vary", "authorization");
    let again = with(server.request("GET", &follow), &over);
    again.send().problem(401, "UNAUTHORIZED");
}

#[test]
fn a_server_without_access_control_says_so() {
    let Some(open) = ServerUnderTest::start_native(&[], "its log") else {
        return;
    };
    let said = |server: &ServerUnderTest| {
        let log = server.log();
        log.iter()
            .any(|line| line.contains("access control is off"))
    };
    crate::common::eventually("the warning", || said(&open));
    let Some(closed) = server() else {
        return;
    };
    closed.request("GET", "/v1/stream/s").send().expect(401);
    assert!(!said(&closed));
}

#[test]
fn a_malformed_secret_stops_the_start_and_is_not_printed() {
    let mut command = crate::common::HOST.command();
    command.args(["serve", "--store", "memory", "--listen", "127.0.0.1:0"]);
    command.args(["--variable", "auth_hs256_secret=hush-hush"]);
    let ended = command.output().expect("it runs");
    let error = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{error}");
    assert!(
        error.contains("auth_hs256_secret") && !error.contains("hush-hush"),
        "{error}"
    );
}

/// The bucket holds one request and takes a second to fill. The requests here take far less, and
/// the first one may arrive at any time.
#[test]
fn too_many_requests_get_a_retry_after() {
    let limits = ["--rate-limit-per-token", "1"];
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &limits) else {
        return;
    };
    let get = |token: &str| {
        let get = server.request("GET", "/v1/stream/s");
        get.header("Authorization", format!("Bearer {token}"))
            .send()
    };
    let mut refused = None;
    crate::common::eventually("one too many", || {
        let answer = get("a");
        let over = answer.status == 429;
        refused = Some(answer);
        over
    });
    let refused = refused
        .expect("it was asked")
        .problem(429, "TOO_MANY_REQUESTS");
    assert_eq!(refused.header("retry-after"), Some("1"));
    get("b").expect(404);
    server.request("GET", "/v1/stream/s").send().expect(404);
    server.request("GET", "/health").send().expect(200);
}

/// Scripts of a listed origin saw a refusal as a network error, and preflights of their browser
/// counted against the limit.
#[test]
fn scripts_of_listed_origins_may_read_that_they_sent_too_much() {
    const A: &str = "https://a.example";
    let origins = [("cors_origins", "https://a.example, https://b.example")];
    let Some(server) =
        ServerUnderTest::start_with_arguments(&origins, &["--rate-limit-per-address", "1"])
    else {
        return;
    };
    let ask = |method, origin| {
        let ask = server.request(method, "/v1/stream/s");
        ask.header("Origin", origin).send()
    };
    let refused = |origin| {
        let mut refused = None;
        crate::common::eventually("one too many", || {
            refused = Some(ask("GET", origin)).filter(|answer| answer.status == 429);
            refused.is_some()
        });
        let refused = refused.expect("it was asked");
        refused
            .problem(429, "TOO_MANY_REQUESTS")
            .with("vary", "origin")
    };
    let answer = refused(A).with("access-control-allow-origin", A);
    let exposed = answer.header("access-control-expose-headers");
    assert!(exposed.is_some_and(|names| names.contains("retry-after")));
    for _ in 0..3 {
        ask("OPTIONS", A).expect(204);
    }
    refused("https://c.example").without("access-control-allow-origin");
}
