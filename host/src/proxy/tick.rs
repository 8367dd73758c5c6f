//! Background work through `wasi:http`.

use super::handler::Proxy;
use crate::wasi::Variables;
use durable_streams_edge::protocol::name::RESERVED;
use durable_streams_edge::protocol::paths::TICK;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Pause after there was something to do.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after there was nothing to do.
const IDLE: Duration = Duration::from_secs(2);

/// Has the component look after its streams for as long as this is polled. A request over HTTP is the
/// only way in where instances come on demand.
pub(crate) async fn tick(proxy: Arc<Proxy>, variables: Arc<Variables>) {
    let variable = |name| variables.get(name).map(String::as_str).unwrap_or_default();
    let base = variable("base_path");
    let target = format!("http://localhost{base}/{RESERVED}/{TICK}");
    let token = format!("Bearer {}", variable("tick_token"));
    let mut pause = BUSY;
    loop {
        tokio::time::sleep(pause).await;
        let nothing = Empty::new().map_err(|never| match never {});
        let request = Request::builder()
            .method(Method::POST)
            .uri(&target)
            .header(AUTHORIZATION, &token)
            .body(nothing.boxed_unsync());
        // The path and the token were judged at the start, so this is a request.
        if let Ok(request) = request {
            let response = proxy.send(request).await;
            // The body must be taken, or the instance waits for that.
            let body = response.into_body().collect().await;
            pause = body.map_or(IDLE, |body| after(&body.to_bytes()));
        }
    }
}

/// The pause after a tick, by what it answered.
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
