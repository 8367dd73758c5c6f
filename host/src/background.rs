//! What is done when nobody asks: the component's to-do entries.

use crate::drive::Driver;
use crate::proxy::Proxy;
use crate::wasi::Variables;
use durable_streams_edge::limits::SHARDS;
use http::header::AUTHORIZATION;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::time::Duration;

/// Pause after there was something to do.
const BUSY: Duration = Duration::from_millis(20);
/// Pause after all places were looked at.
const IDLE: Duration = Duration::from_secs(2);

/// Has the component look after its streams for as long as this is polled. A place where there was
/// something to do is looked at again, and no other is left out before the next pause: an entry in
/// one of many places used to wait for all others after each of its steps, and the room of a large
/// stream came back only after many minutes.
pub(crate) async fn work(driver: Arc<Driver>) {
    let mut round: u64 = 0;
    loop {
        tokio::time::sleep(IDLE).await;
        for _ in 0..SHARDS {
            while driver.work(round).await {
                tokio::time::sleep(BUSY).await;
            }
            round = round.wrapping_add(1);
        }
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
