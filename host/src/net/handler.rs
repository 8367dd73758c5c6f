//! Passes requests to an instance, with room for their responses.

use super::behind::watched;
use super::collect::{Collected, Incomplete, collect};
use super::pace::Paced;
use super::rest::Rest;
use crate::answers::{OwnAnswers, ResponseBody};
use crate::budget::{Budget, Line, Room};
use crate::drive::{Driver, Grant, Unanswered};
use crate::exchange::{BodyState, Request};
use crate::length::Ticket;
use crate::proxy::{NoRoom, Proxy};
use bytes::Bytes;
use durable_streams_edge::protocol::problem::Problem;
use http::Method;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::Response;
use hyper::body::Incoming;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of attempts for a read with an answer larger than its room.
const ATTEMPTS: u32 = 3;

/// The side that answers requests.
#[derive(Clone)]
pub(crate) enum Handler {
    /// Our own driver, with the maximum length of bodies.
    Exchange(Arc<Driver>, Arc<AtomicUsize>),
    /// Instances on demand, and the room for bodies in progress. An instance decides which bodies
    /// it has room for; the budget shows whether slow clients delay others.
    WasiHttp(Arc<Proxy>, Arc<Budget>),
}

/// Reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResponse {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
}

impl Handler {
    /// Serves a request of this connection. A read waits for room for its answer before it reads
    /// the store.
    pub(super) async fn handle(
        &self,
        request: hyper::Request<Incoming>,
        line: &Arc<Line>,
        own: &OwnAnswers,
    ) -> Result<Response<ResponseBody>, NoResponse> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::GET {
            return self.serve(parts, Some(body), None).await;
        }
        let request_origin = own.request_origin(&parts.method, &parts.uri, &parts.headers);
        let no_room = || Ok(own.problem(&Problem::unavailable(), &request_origin));
        if !body.is_end_stream() {
            // A request with a body can't be repeated.
            let Some(room) = Room::reserve(Arc::clone(line), line.page()).await else {
                return no_room();
            };
            let served = self.serve(parts, Some(body), grant(line, room)).await;
            return match served {
                Err(NoResponse::Unanswered(Unanswered::NoRoom(_))) => no_room(),
                served => served,
            };
        }
        let mut room = Room::probe(Arc::clone(line), line.page()).await;
        for _ in 0..ATTEMPTS {
            let Some(granted) = room else { break };
            let served = self.serve(parts.clone(), None, grant(line, granted)).await;
            let Err(NoResponse::Unanswered(Unanswered::NoRoom(bytes))) = served else {
                return served;
            };
            room = Room::reserve(Arc::clone(line), bytes).await;
        }
        no_room()
    }

    async fn serve(
        &self,
        parts: Parts,
        body: Option<Incoming>,
        grant: Option<Grant>,
    ) -> Result<Response<ResponseBody>, NoResponse> {
        match self {
            Self::Exchange(driver, max) => {
                let max = max.load(Ordering::Relaxed);
                exchange(driver, max, parts, body, grant).await
            }
            Self::WasiHttp(proxy, bodies) => {
                let room = grant.map(|grant| grant.room);
                let response = match body {
                    None => {
                        let nothing = Empty::new().map_err(|never| match never {});
                        let request = hyper::Request::from_parts(parts, nothing.boxed_unsync());
                        proxy.handle(request, pending(), room).await
                    }
                    Some(body) => {
                        let body = Rest::new(body, &parts.headers);
                        let paced = Paced::new(body, Arc::clone(bodies));
                        let (body, fell_behind) = watched(paced, bodies.reserve());
                        let request = hyper::Request::from_parts(parts, body);
                        proxy.handle(request, fell_behind, room).await
                    }
                };
                response.map_err(|NoRoom(bytes)| Unanswered::NoRoom(bytes).into())
            }
        }
    }

    /// Number of steps that wait for the instances for short requests, and for the others. None if
    /// there are no such queues.
    pub(crate) fn queued(&self) -> Option<[usize; 2]> {
        match self {
            Self::Exchange(driver, _) => Some(driver.queued()),
            Self::WasiHttp(..) => None,
        }
    }

    /// Ends all waiting reads.
    pub(super) fn drain(&self) {
        match self {
            Self::Exchange(driver, _) => driver.drain(),
            Self::WasiHttp(proxy, _) => proxy.drain(),
        }
    }
}

fn grant(line: &Arc<Line>, room: Room) -> Option<Grant> {
    Some(Grant {
        line: Arc::clone(line),
        room,
    })
}

async fn exchange(
    driver: &Driver,
    max: usize,
    parts: Parts,
    body: Option<Incoming>,
    grant: Option<Grant>,
) -> Result<Response<ResponseBody>, NoResponse> {
    let path_hash = driver.hash(parts.uri.path());
    let collected = match body {
        None => Collected {
            body: Bytes::new(),
            state: BodyState::Complete,
            room: None,
        },
        Some(body) => {
            let rooms = driver.rooms(&parts, path_hash);
            let body = Paced::new(body, Arc::clone(&rooms.short));
            match collect(body, &parts.headers, max, &rooms).await {
                Err(Incomplete::TooSlow) => return Ok(driver.too_slow(&parts)),
                collected => collected?,
            }
        }
    };
    let Collected { body, state, room } = collected;
    let request = Request {
        parts,
        path_hash,
        body,
        body_state: state,
        room,
        ticket: Ticket::default(),
    };
    Ok(driver.handle(request, grant).await?)
}
