//! Background work through `wasi:http`.

use super::handler::Proxy;
use crate::variables::Current;
use durable_streams_edge::protocol::name::RESERVED;
use durable_streams_edge::protocol::paths::TICK;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause after a tick that did some work.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after a tick without work.
const IDLE: Duration = Duration::from_secs(2);

/// Lets the component maintain its streams until this future is dropped. Instances on demand can
/// only be called with a request over HTTP, with the token that the component expects.
pub(crate) async fn tick(proxy: Arc<Proxy>, base_path: String, variables: Arc<Current>) {
    let target = target(&base_path);
    let mut pause = BUSY;
    loop {
        tokio::time::sleep(pause).await;
        let token = format!("Bearer {}", variables.value("tick_token"));
        let nothing = Empty::new().map_err(|never| match never {});
        let request = Request::builder()
            .method(Method::POST)
            .uri(&target)
            .header(AUTHORIZATION, token)
            .body(nothing.boxed_unsync());
        // The path and the token were checked at the start, so this request is valid.
        if let Ok(request) = request {
            let response = proxy.send(request).await;
            // The instance waits until its body is read.
            let body = response.into_body().collect().await;
            pause = body.map_or(IDLE, |body| after(&body.to_bytes()));
        }
    }
}

/// The URL of a tick below a path without a trailing slash.
fn target(base_path: &str) -> String {
    format!("http://localhost{base_path}/{RESERVED}/{TICK}")
}

/// The pause after a tick, from its response.
fn after(answer: &[u8]) -> Duration {
    #[derive(serde::Deserialize)]
    struct Answer {
        worked: bool,
        due_ms: Option<u64>,
    }
    match serde_json::from_slice(answer) {
        Ok(Answer { worked: true, .. }) => BUSY,
        Ok(Answer { due_ms, .. }) => {
            let due = due_ms.map(Duration::from_millis);
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let left = due.zip(now.ok()).map(|(due, now)| due.saturating_sub(now));
            left.map_or(IDLE, |left| left.clamp(BUSY, IDLE))
        }
        Err(_) => IDLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use durable_streams_edge::limits::Config;

    /// With the base path `/` the tick went to a path with two slashes, which is not a path of the
    /// component.
    #[test]
    fn a_tick_goes_to_a_path_of_the_component() {
        for (given, expected) in [
            ("/", "http://localhost/__ds/tick"),
            ("/a/b", "http://localhost/a/b/__ds/tick"),
        ] {
            let lookup = |name: &str| (name == "base_path").then(|| given.to_owned());
            let config = Config::from_lookup(lookup).expect("a good path");
            assert_eq!(target(&config.base_path), expected);
        }
    }
}
