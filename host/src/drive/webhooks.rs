//! Posts the deliveries of steps, and hands the results back.

use crate::exchange::{Delivery, Outcome};
use crate::outbound::Outbound;
use crate::telemetry;
use crate::worker::{Deliver, Worker};
use std::sync::Arc;

/// Posts each delivery in a task of its own. The client bounds how many are under way.
pub(super) fn posting(outbound: &Arc<Outbound>) -> Deliver {
    let outbound = Arc::clone(outbound);
    Box::new(move |worker, delivery| {
        tokio::spawn(post(Arc::clone(&outbound), Arc::clone(worker), delivery));
    })
}

async fn post(outbound: Arc<Outbound>, worker: Arc<Worker>, delivery: Delivery) {
    let Delivery {
        url,
        headers,
        body,
        timeout,
        token,
    } = delivery;
    let outcome = match outbound.post(&url, &headers, body, timeout).await {
        Ok(answered) => Outcome::Answered(answered.status.as_u16(), answered.body),
        Err(error) => {
            telemetry::warn("webhook not delivered", &error.to_string());
            Outcome::Failed
        }
    };
    worker.delivered(token, outcome);
}
