//! What is done when nobody asks: the component's to-do entries.

use super::Driver;
use crate::proxy::Proxy;
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
/// Pause after all places were looked at.
const IDLE: Duration = Duration::from_secs(2);
/// Pieces of work in one round: one that never ends must not keep the others from their turn.
const MOST: u32 = 256;
/// Looks at names and subscriptions between two pauses; what is known to be due is found by any.
const LOOKS: u64 = 4;
/// The same at the start: what was under way when the last server stopped is found at once.
const FIRST_LOOKS: u64 = 64;

/// Has the component look after its streams for as long as this is polled.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut round: u64 = 0;
    let mut looks = FIRST_LOOKS;
    loop {
        for _ in 0..looks {
            let mut left = MOST;
            while left > 0 && driver.work(round).await {
                tokio::time::sleep(BUSY).await;
                left -= 1;
            }
            round = round.wrapping_add(1);
        }
        looks = LOOKS;
        driver.wait_until_due(IDLE).await;
    }
}

/// The same through HTTP, which is the only way in where instances come on demand.
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
