//! Webhook deliveries through `wasi:http/client`, each in a task of its own. The response to the
//! request that caused a delivery does not wait for it.

use super::{hub, waits};
use crate::guest::message::{MOST_IN_A_ROW, delivery_fields};
use crate::guest::service;
use crate::limits::WEBHOOK_ANSWER_BYTES;
use crate::service::exchange::{Delivery, DeliveryResult};
use crate::subscription::url;
use futures::future::{Either, select};
use spin_sdk::wasip3::http::client;
use spin_sdk::wasip3::http::types::{
    ErrorCode, Fields, Method, Request, Response, Scheme, Trailers,
};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};
use std::pin::pin;

type Ending = Result<Option<Trailers>, ErrorCode>;

/// Sends all deliveries, and the deliveries that follow from their outcomes.
pub(super) fn deliver(deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        spawn(async move { follow(delivery).await });
    }
}

async fn follow(delivery: Delivery) {
    let mut deliveries = vec![delivery];
    for _ in 0..MOST_IN_A_ROW {
        let Some(delivery) = deliveries.pop() else {
            return;
        };
        let sent = pin!(send(&delivery));
        let too_late = pin!(waits::pause(delivery.timeout_ms));
        let outcome = match select(sent, too_late).await {
            Either::Left((Ok(outcome), _)) => outcome,
            Either::Left((Err(_), _)) | Either::Right(_) => DeliveryResult::Failed,
        };
        let worked = service().delivered(&delivery.token, &outcome);
        hub::wake_changed();
        deliveries.extend(worked.effects);
    }
}

fn malformed(_: impl std::fmt::Debug) -> ErrorCode {
    ErrorCode::HttpRequestUriInvalid
}

async fn send(delivery: &Delivery) -> Result<DeliveryResult, ErrorCode> {
    let allow_localhost = service().config().webhook_allow_localhost;
    // The URL was checked when the subscription was created, but the variable may have changed
    // since.
    let target = url::judge(&delivery.url, allow_localhost).map_err(malformed)?;
    let fields = Fields::from_list(&delivery_fields(delivery)).map_err(malformed)?;
    let (trailers_out, trailers) = wit_future::new::<Ending>(|| Ok(None));
    let (mut body_out, body) = wit_stream::new::<u8>();
    let (request, _sent) = Request::new(fields, Some(body), trailers, None);
    let path = target.path_and_query();
    let scheme = match target.is_https {
        true => Scheme::Https,
        false => Scheme::Http,
    };
    request.set_method(&Method::Post).map_err(malformed)?;
    request.set_scheme(Some(&scheme)).map_err(malformed)?;
    let authority = Some(target.authority);
    request.set_authority(authority).map_err(malformed)?;
    request
        .set_path_with_query(Some(&path))
        .map_err(malformed)?;
    let bytes = delivery.body.clone();
    spawn(async move {
        // A receiver that answers before it has read the whole body has not failed.
        let _ = body_out.write_all(bytes).await;
        drop(body_out);
        let _ = trailers_out.write(Ok(None)).await;
    });
    let response = client::send(request).await?;
    let status = response.get_status_code();
    let body = collect(response).await;
    Ok(DeliveryResult::Answered { status, body })
}

/// The beginning of a response body.
async fn collect(response: Response) -> Vec<u8> {
    let (taken, result) = wit_future::new::<Result<(), ErrorCode>>(|| Ok(()));
    drop(taken);
    let (mut stream, _trailers): (StreamReader<u8>, FutureReader<Ending>) =
        Response::consume_body(response, result);
    let mut body = Vec::new();
    while body.len() < WEBHOOK_ANSWER_BYTES {
        let room = Vec::with_capacity(WEBHOOK_ANSWER_BYTES.saturating_sub(body.len()));
        let (status, bytes) = stream.read(room).await;
        body.extend_from_slice(&bytes);
        if !matches!(status, StreamResult::Complete(_)) {
            break;
        }
    }
    body
}
