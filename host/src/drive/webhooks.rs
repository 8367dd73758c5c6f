//! Posts the deliveries of steps, and passes the results back.

use crate::exchange::{Delivery, DeliveryResult};
use crate::length::{Classifier, Length, Ticket};
use crate::outbound::Outbound;
use crate::telemetry;
use crate::trace::Cause;
use crate::worker::{Deliver, Worker};
use std::sync::Arc;

/// Instance that takes a result if the result's step is expected to be long.
#[derive(Clone)]
pub(super) struct Elsewhere {
    pub(super) classifier: Arc<Classifier>,
    pub(super) worker: Arc<Worker>,
}

/// Posts each delivery in its own task. The client bounds the number of concurrent deliveries. The
/// result goes to the instance of the delivery, unless `elsewhere` names one for long results.
pub(super) fn posting(outbound: &Arc<Outbound>, elsewhere: Option<Elsewhere>) -> Deliver {
    let outbound = Arc::clone(outbound);
    Box::new(move |worker, delivery| {
        let (outbound, worker) = (Arc::clone(&outbound), Arc::clone(worker));
        let post = post(outbound, worker, elsewhere.clone(), delivery);
        // The step of the delivery is this thread's span.
        tokio::spawn(Cause::current().scope(post));
    })
}

async fn post(
    outbound: Arc<Outbound>,
    mut worker: Arc<Worker>,
    elsewhere: Option<Elsewhere>,
    delivery: Delivery,
) {
    let Delivery {
        url,
        headers,
        body,
        timeout,
        token,
    } = delivery;
    let outcome = match outbound.post(&url, &headers, body, timeout).await {
        Ok(answered) => DeliveryResult::Answered(answered.status.as_u16(), answered.body),
        Err(error) => {
            telemetry::warn("webhook not delivered", &error.to_string());
            DeliveryResult::Failed
        }
    };
    let mut ticket = Ticket::default();
    if let Some(elsewhere) = elsewhere {
        let class = elsewhere.classifier.delivery(&url);
        ticket = class.ticket;
        if class.length == Length::Long {
            worker = elsewhere.worker;
        }
    }
    worker.delivered(token, outcome, ticket);
}
