//! Webhook deliveries through `wasi:http/outgoing-handler`, after the response. An instance ends
//! with its request, so the request completes its deliveries first.

use super::body::{self, Gone, Outgoing};
use super::waits::{after, now};
use crate::guest::message::{MOST_IN_A_ROW, delivery_fields};
use crate::guest::service;
use crate::service::exchange::{Delivery, DeliveryResult};
use crate::subscription::url;
use wasi::clocks::monotonic_clock::subscribe_instant;
use wasi::http::outgoing_handler::handle;
use wasi::http::types::{
    Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingRequest, Scheme,
};
use wasi::io::poll::{Pollable, poll};

/// A delivery that was sent.
struct Flight {
    delivery: Delivery,
    /// Resolves when the response is there; `None` if the request could not be sent. A child
    /// resource of the response, so it must be dropped first.
    ready: Option<Pollable>,
    response: Option<FutureIncomingResponse>,
    /// The deadline of the delivery, in monotonic nanoseconds.
    end: u64,
    /// The position of the delivery in its row of successive deliveries, from 1.
    row: usize,
}

/// Sends all deliveries at once, and then the deliveries that follow from their outcomes.
pub(super) fn deliver(deliveries: Vec<Delivery>) {
    let begin = |delivery| begin(delivery, 1);
    let mut flights: Vec<Flight> = deliveries.into_iter().map(begin).collect();
    while let Some(index) = first_done(&flights) {
        let flight = flights.swap_remove(index);
        let row = flight.row;
        let worked = service().delivered(&flight.delivery.token, &outcome(&flight));
        if row < MOST_IN_A_ROW {
            let row = row.saturating_add(1);
            let following = worked.effects.into_iter();
            flights.extend(following.map(|delivery| self::begin(delivery, row)));
        }
    }
}

/// Waits for a delivery that is answered, has failed or is late. Returns its index, or `None` if
/// there is no delivery.
fn first_done(flights: &[Flight]) -> Option<usize> {
    let soonest = flights.iter().map(|flight| flight.end).min()?;
    if let Some(failed) = flights.iter().position(|flight| flight.ready.is_none()) {
        return Some(failed);
    }
    let late = subscribe_instant(soonest);
    let mut all: Vec<&Pollable> = flights
        .iter()
        .filter_map(|one| one.ready.as_ref())
        .collect();
    all.push(&late);
    let ready = poll(&all)
        .first()
        .and_then(|first| usize::try_from(*first).ok())?;
    match ready < flights.len() {
        true => Some(ready),
        false => flights.iter().position(|flight| flight.end == soonest),
    }
}

fn outcome(flight: &Flight) -> DeliveryResult {
    let response = flight.response.as_ref();
    match response.and_then(FutureIncomingResponse::get) {
        Some(Ok(Ok(response))) => answered(&response, flight.end).unwrap_or(DeliveryResult::Failed),
        Some(_) | None => DeliveryResult::Failed,
    }
}

fn answered(response: &IncomingResponse, end: u64) -> Result<DeliveryResult, Gone> {
    let status = response.status();
    let body = response.consume().map_err(|()| Gone)?;
    let body = body::collect_answer(&body, end)?;
    Ok(DeliveryResult::Answered { status, body })
}

fn begin(delivery: Delivery, row: usize) -> Flight {
    let end = after(now(), delivery.timeout_ms);
    let response = send(&delivery).ok();
    let ready = response.as_ref().map(FutureIncomingResponse::subscribe);
    Flight {
        delivery,
        ready,
        response,
        end,
        row,
    }
}

fn malformed(_: impl std::fmt::Debug) -> Gone {
    Gone
}

fn send(delivery: &Delivery) -> Result<FutureIncomingResponse, Gone> {
    let allow_localhost = service().config().webhook_allow_localhost;
    // The URL was checked when the subscription was created, but the variable may have changed
    // since.
    let target = url::judge(&delivery.url, allow_localhost).map_err(malformed)?;
    let fields = Fields::from_list(&delivery_fields(delivery)).map_err(malformed)?;
    let request = OutgoingRequest::new(fields);
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
    let body = Outgoing::new(request.body().map_err(malformed)?)?;
    let response = handle(request, None).map_err(malformed)?;
    // A receiver that answers before it has read the whole body has not failed.
    if body.write(&delivery.body).is_ok() {
        body.finish();
    }
    Ok(response)
}
