//! What is done when nobody asks: the component's to-do entries.

use crate::drive::Driver;
use crate::proxy::Proxy;
use crate::wasi::Variables;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::time::Duration;

/// Pause after there was something to do.
const BUSY: Duration = Duration::from_millis(200);
/// Longest pause.
const IDLE: Duration = Duration::from_secs(2);

/// Has the component look after its streams for as long as this is polled.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut pause = BUSY;
    let mut round: u64 = 0;
    loop {
        tokio::time::sleep(pause).await;
        let more = driver.work(round).await;
        round = round.wrapping_add(1);
        pause = if more {
            BUSY
        } else {
            pause.saturating_mul(2).min(IDLE)
        };
    }
}

/// The same through HTTP, which is the only way in where instances come on demand.
pub(crate) async fn tick(proxy: Arc<Proxy>, variables: Arc<Variables>) {
    let variable = |name| variables.get(name).map(String::as_str).unwrap_or_default();
    let target = format!("http://localhost{}/__ds/tick", variable("base_path"));
    let token = format!("Bearer {}", variable("tick_token"));
    loop {
        tokio::time::sleep(IDLE).await;
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
            let _ = response.into_body().collect().await;
        }
    }
}
