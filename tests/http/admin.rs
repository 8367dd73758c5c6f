//! The admin listener: its address, its paths, and its rules of access.

use crate::common::{HOST, Request, Response, ServerUnderTest, Stream};
use serde_json::json;
use std::net::{SocketAddr, TcpListener};

const FREE: [&str; 2] = ["--admin", "127.0.0.1:0"];
const TOKENS: &str = r#"[
    {"token":"manager-of-the-server","scope":"manage"},
    {"token":"manager-of-a-tenant-a","scope":"manage","prefix":"a"},
    {"token":"writer-of-all-names","scope":"read write"}
]"#;

/// A server with these variables and an admin listener.
fn server(variables: &[(&str, &str)]) -> Option<ServerUnderTest> {
    ServerUnderTest::start_with_arguments(variables, &FREE)
}

/// Runs the host with these flags, which it must refuse in one line. Returns the line.
#[track_caller]
fn refused(flags: &[&str]) -> String {
    let mut command = HOST.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory"]);
    command.arg("--component").arg(HOST.component("exchange"));
    let out = command.args(flags).output().expect("the host runs");
    assert!(!out.status.success(), "{flags:?}: {out:?}");
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    errors
}

#[test]
fn probes_and_settings_are_served_and_other_paths_are_not() {
    let Some(server) = server(&[
        ("page_bytes", "4711"),
        ("tick_token", "a-secret-of-the-ticks-1"),
    ]) else {
        return;
    };
    let get = |path: &str| server.admin_request("GET", path).send();
    get("/health").expect(200).with_body("ok");
    get("/readyz").expect(200);
    let config = get("/debug/config")
        .expect(200)
        .with("content-type", "application/json")
        .with("cache-control", "no-store")
        .without("access-control-allow-origin");
    assert!(!config.text().contains("a-secret"), "{}", config.text());
    let config = config.json();
    let variables = &config["variables"];
    let page_bytes = json!({"value": 4711, "source": "flag"});
    assert_eq!(variables["page_bytes"], page_bytes);
    assert_eq!(variables["tick_token"]["value"], "(hidden)");
    let flags = &config["flags"];
    assert_eq!(flags["listen"]["value"], json!(["127.0.0.1:0"]));
    assert_eq!(flags["admin"]["value"], "127.0.0.1:0");
    let idle_timeout = json!({"value": 620, "source": "default"});
    assert_eq!(flags["idle-timeout"], idle_timeout);
    let head = server.admin_request("HEAD", "/debug/config").send();
    assert!(head.expect(200).body.is_empty());
    let post = server.admin_request("POST", "/debug/config").body("x");
    post.send()
        .problem(405, "METHOD_NOT_ALLOWED")
        .with("allow", "GET, HEAD");
    for path in [
        "/page",
        "/page/none.js",
        "/streams",
        "/v1",
        "/v1/streams",
        "/debug",
    ] {
        get(path).problem(404, "ROUTE_NOT_FOUND");
    }
    let main = server.request("GET", "/debug/config").send();
    main.problem(404, "ROUTE_NOT_FOUND");
}

#[test]
fn the_page_is_served_with_a_strict_policy_and_tags() {
    let Some(server) = server(&[]) else { return };
    for (path, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/style/base.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let get = |method: &str| server.admin_request(method, path);
        let page = get("GET").send().expect(200);
        let page = page
            .with("content-type", media_type)
            .with("x-content-type-options", "nosniff")
            .with("referrer-policy", "no-referrer")
            .with("cache-control", "no-cache")
            .without("access-control-allow-origin");
        let policy = page.header("content-security-policy").expect("a policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let tag = page.header("etag").expect("a tag");
        let again = get("GET").header("If-None-Match", tag).send();
        assert!(again.expect(304).body.is_empty());
        assert!(get("HEAD").send().expect(200).body.is_empty());
        get("POST")
            .body("x")
            .send()
            .problem(405, "METHOD_NOT_ALLOWED");
        server
            .request("GET", path)
            .send()
            .problem(404, "ROUTE_NOT_FOUND");
    }
}

/// A page of any site could read the settings by a name of its own for 127.0.0.1.
#[test]
fn requests_for_other_hosts_are_refused() {
    let Some(server) = server(&[]) else { return };
    let port = server.admin().port();
    let get = |path: &str, host: &str| {
        let get = server.admin_request("GET", path);
        get.header("Host", host).send()
    };
    for path in ["/debug/config", "/health", "/v1/stream/a", "/nowhere"] {
        for host in ["evil.example", "localhost.evil.example", "192.0.2.1"] {
            get(path, host).problem(421, "MISDIRECTED_REQUEST");
            let host = format!("{host}:{port}");
            get(path, &host).problem(421, "MISDIRECTED_REQUEST");
        }
    }
    for host in ["localhost", "admin.localhost:9000", "[::1]:1", "127.0.0.1"] {
        get("/debug/config", host).expect(200);
    }
    let absolute = format!("http://evil.example:{port}/debug/config");
    get(&absolute, "localhost").problem(421, "MISDIRECTED_REQUEST");
}

#[test]
fn settings_need_a_manager_of_all_names_where_access_control_is_on() {
    let Some(server) = server(&[("auth_tokens", TOKENS)]) else {
        return;
    };
    let config = || server.admin_request("GET", "/debug/config");
    let with = |token: &str| {
        config()
            .header("Authorization", format!("Bearer {token}"))
            .send()
    };
    let refused = config().send().problem(401, "UNAUTHORIZED");
    assert!(refused.header("www-authenticate").is_some());
    with("unknown-token-of-nobody").problem(401, "UNAUTHORIZED");
    for token in ["manager-of-a-tenant-a", "writer-of-all-names"] {
        with(token).problem(403, "INSUFFICIENT_SCOPE");
    }
    let shown = with("manager-of-the-server").expect(200);
    assert!(!shown.text().contains("manager-of"), "{}", shown.text());
    let stream = server.admin_request("GET", "/v1/stream/a").send();
    stream.problem(401, "UNAUTHORIZED");
    server.admin_request("GET", "/health").send().expect(200);
}

#[test]
fn streams_are_below_one_path_whatever_the_base_path_is() {
    for base_path in ["/v1/stream", "/deep/er", "/"] {
        let Some(server) = server(&[("base_path", base_path)]) else {
            return;
        };
        let admin = server.admin();
        let on_admin = Stream {
            address: admin,
            path: "/v1/stream/a/b".to_owned(),
            content_type: "text/plain".to_owned(),
        };
        let created: Response = on_admin.create();
        let location = format!("http://{admin}/v1/stream/a/b");
        created.with("location", &location);
        on_admin.append("hello");
        let base = base_path.trim_end_matches('/');
        let on_main = Request::new(server.address, "GET", &format!("{base}/a/b?offset=-1"));
        on_main.send().expect(200).with_body("hello");
        let read = on_admin.get("offset=-1").send();
        read.expect(200).with_body("hello");
        let list = server
            .admin_request("GET", "/v1/stream/__ds/streams")
            .send();
        assert!(list.expect(200).text().contains("a/b"));
        if base_path != "/v1/stream" {
            let other = server.admin_request("GET", &format!("{base}/a/b")).send();
            other.problem(404, "ROUTE_NOT_FOUND");
        }
    }
}

#[test]
fn the_listener_can_be_turned_off() {
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &["--admin", "off"]) else {
        return;
    };
    assert!(!server.has_admin());
    server.request("GET", "/health").send().expect(200);
}

#[test]
fn a_chosen_port_in_use_is_an_error_that_names_the_flag() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let busy = other.local_addr().expect("its address").to_string();
    let error = refused(&["--admin", &busy]);
    assert!(
        error.contains("--admin") && error.contains(&busy),
        "{error}"
    );
    let error = refused(&["--admin", "everywhere"]);
    assert!(error.contains("--admin"), "{error}");
}

#[test]
fn the_default_port_in_use_is_a_warning_and_a_free_port_takes_its_place() {
    let default = SocketAddr::from(([127, 0, 0, 1], 4438));
    // The port may be in use by another process already.
    let _other = TcpListener::bind(default);
    let mut command = HOST.command();
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", "memory"]);
    command.arg("--component").arg(HOST.component("exchange"));
    let server = ServerUnderTest::start_command(command);
    assert_ne!(server.admin(), default);
    assert_eq!(server.admin().ip(), default.ip());
    server.admin_request("GET", "/health").send().expect(200);
    crate::common::eventually("the warning", || {
        let log = server.log();
        log.iter()
            .any(|line| line.contains("admin port in use") && line.contains("4438"))
    });
}

#[test]
fn an_address_of_the_network_needs_access_control() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:4438"] {
        let error = refused(&["--admin", address]);
        for named in ["--admin", address, "auth_tokens", "127.0.0.1"] {
            assert!(error.contains(named), "{named} is not named: {error}");
        }
    }
    let variables = [("auth_tokens", TOKENS)];
    let flags = ["--admin", "0.0.0.0:0"];
    let Some(server) = ServerUnderTest::start_with_arguments(&variables, &flags) else {
        return;
    };
    let address = SocketAddr::from(([127, 0, 0, 1], server.admin().port()));
    Request::new(address, "GET", "/health").send().expect(200);
}

/// The connections of clients took all places, and the operator saw nothing.
#[test]
fn the_listener_answers_while_clients_take_all_places_of_the_main_listener() {
    let flags = ["--admin", "127.0.0.1:0", "--connections-per-address", "1"];
    let Some(server) = ServerUnderTest::start_with_arguments(&[], &flags) else {
        return;
    };
    let stream = server.stream("text/plain");
    let waiting = stream.get("offset=now&live=sse").open();
    let main = server.request("GET", "/v1/stream/x").send();
    main.problem(503, "UNAVAILABLE");
    for _ in 0..10 {
        server
            .admin_request("GET", "/debug/config")
            .send()
            .expect(200);
    }
    drop(waiting);
}

/// Live readers of the admin listener kept out its probes and metrics.
#[test]
fn the_listener_answers_while_live_readers_take_all_its_places() {
    let Some(server) = server(&[]) else {
        return;
    };
    let stream = server.stream("text/plain");
    let path = format!("{}?offset=now&live=sse", stream.path);
    let waiting: Vec<_> = (0..64)
        .map(|_| server.admin_request("GET", &path).open())
        .collect();
    for path in ["/health", "/readyz", "/metrics", "/debug/config"] {
        server.admin_request("GET", path).send().expect(200);
    }
    let refused = server.admin_request("GET", &path).send();
    refused.problem(503, "UNAVAILABLE");
    drop(waiting);
}
