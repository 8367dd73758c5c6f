//! Connections: HTTP/1.1 and HTTP/2 on one port, and their orderly end.

use super::accept::{Accepted, Door};
use super::behind::watched;
use super::collect::{Collected, Incomplete, collect, turn_away};
use super::date::date;
use super::framing::{Doubtful, Framing};
use super::named::{check_framing, check_host, two_lengths};
use super::opening::Opening;
use super::pace::Paced;
use super::rate::{Limits, Rates};
use super::rest::Rest;
use super::stall::{STALL, Stall};
use super::unread::{Outgoing, Streams};
use crate::answers::{OwnAnswers, ResponseBody, health, too_many};
use crate::budget::Budget;
use crate::drive::{Aborted, Driver};
use crate::exchange::Request;
use crate::proxy::Proxy;
use crate::store::Store;
use crate::telemetry;
use durable_streams_edge::protocol::paths::READY;
use durable_streams_edge::protocol::problem::Problem;
use http::header::{CONNECTION, DATE, HeaderValue};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a connection may take to begin, and an HTTP/1 head to come; so also how long an HTTP/1
/// connection may idle between two requests. An HTTP/2 connection may for as long as its client
/// answers [`PING`].
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How often an HTTP/2 client is asked whether it is there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
/// The largest head that is read at all. `max_header_bytes`, which is for the component to judge,
/// is at most half of it.
const HEAD_BYTES: usize = 128 * 1024;
/// Fields of a head that are read at all.
const HEAD_FIELDS: usize = 256;

/// The side that answers requests.
#[derive(Clone)]
pub(crate) enum Handler {
    /// Our own driver, on bodies of at most so many bytes.
    Exchange(Arc<Driver>, usize),
    /// Instances on demand, and the room for the bodies under way. An instance decides what it has
    /// room for; the budget tells whether slow clients are in the way.
    WasiHttp(Arc<Proxy>, Arc<Budget>),
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
enum NoResponse {
    #[error(transparent)]
    Aborted(#[from] Aborted),
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
}

/// The checks of a request before the handler sees it.
pub(crate) struct Gate {
    limits: Option<Limits>,
    own: Arc<OwnAnswers>,
    store: Arc<dyn Store>,
    begun: Instant,
}

impl Gate {
    /// A gate that lets so many requests pass, if they are requests at all.
    pub(crate) fn new(rates: Rates, own: Arc<OwnAnswers>, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            limits: Limits::new(rates),
            own,
            store,
            begun: Instant::now(),
        })
    }

    /// The answer to a request that is refused, or that the host answers by itself. With `doubtful`
    /// its body has two lengths, and its connection can't go on.
    fn answer<B>(
        &self,
        peer: IpAddr,
        request: &hyper::Request<B>,
        doubtful: bool,
    ) -> Option<Response<ResponseBody>> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if doubtful {
            let asker = self.own.asker(method, uri, headers);
            let mut response = self.own.problem(&two_lengths(), &asker);
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
            return Some(response);
        }
        match self.judge(peer, request) {
            Ok(()) => health(&self.own, method, uri, headers),
            Err(problem) => {
                let asker = self.own.asker(method, uri, headers);
                Some(self.own.problem(&problem, &asker))
            }
        }
    }

    fn judge<B>(&self, peer: IpAddr, request: &hyper::Request<B>) -> Result<(), Problem> {
        let (uri, headers) = (request.uri(), request.headers());
        if let Some(limits) = &self.limits {
            let (method, path) = (request.method(), uri.path());
            let admitted = limits.admit(peer, method, path, headers, self.begun.elapsed());
            admitted.map_err(too_many)?;
        }
        check_host(request.version(), uri, headers)?;
        check_framing(headers)?;
        // An instance only reads there, which goes on.
        match uri.path() == READY && self.store.refuses_writes() {
            true => Err(Problem::unavailable()),
            false => Ok(()),
        }
    }
}

impl Handler {
    async fn handle(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<ResponseBody>, NoResponse> {
        let (driver, max) = match self {
            Self::Exchange(driver, max) => (driver, *max),
            Self::WasiHttp(proxy, bodies) => {
                let (parts, body) = request.into_parts();
                let body = Rest::new(body, &parts.headers);
                let paced = Paced::new(body, Arc::clone(bodies));
                let (body, fell_behind) = watched(paced, bodies.reserve());
                let request = hyper::Request::from_parts(parts, body);
                return Ok(proxy.handle(request, fell_behind).await);
            }
        };
        let (parts, body) = request.into_parts();
        let path_hash = driver.hash(parts.uri.path());
        let body = Paced::new(body, Arc::clone(driver.bodies(path_hash)));
        let collected = match collect(body, &parts.headers, max).await {
            Err(Incomplete::TooSlow) => return Ok(driver.too_slow(&parts)),
            collected => collected?,
        };
        let Collected { body, state, room } = collected;
        let request = Request {
            parts,
            path_hash,
            body,
            body_state: state,
            room,
        };
        Ok(driver.handle(request).await?)
    }

    /// Ends what would wait for more.
    fn drain(&self) {
        match self {
            Self::Exchange(driver, _) => driver.drain(),
            Self::WasiHttp(proxy, _) => proxy.drain(),
        }
    }
}

/// Accepts connections until told to stop; then ends what waits, lets what is under way finish, and
/// returns when the last connection is gone or `grace` is over.
pub(crate) async fn run(
    mut door: Door,
    handler: Handler,
    gate: Arc<Gate>,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(builder(STALL));
    loop {
        let accepted = tokio::select! {
            accepted = door.next() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let gate = Arc::clone(&gate);
        connect(&builder, accepted, gate, handler.clone(), &graceful);
    }
    drop(door);
    handler.drain();
    if timeout(grace, graceful.shutdown()).await.is_err() {
        telemetry::warn(
            "connections cut",
            "they did not end in the time that a stop takes at most",
        );
    }
}

/// Connections whose streams may stall for so long.
pub(crate) fn builder(stall: Duration) -> Builder<Streams> {
    let mut builder = Builder::new(Streams(stall));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .max_send_buf_size(HEAD_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

fn connect(
    builder: &Arc<Builder<Streams>>,
    accepted: Accepted,
    gate: Arc<Gate>,
    handler: Handler,
    graceful: &GracefulShutdown,
) {
    let Accepted {
        stream,
        peer,
        place,
    } = accepted;
    // A connection without it works too, only later.
    let _ = stream.set_nodelay(true);
    let doubtful = Arc::new(Doubtful::default());
    let framing = Framing::new(Arc::clone(&doubtful));
    let service = service_fn(move |request| {
        // Over HTTP/2 a body has one length.
        let doubtful = request.version() != Version::HTTP_2 && doubtful.next();
        let answer = gate.answer(peer.ip(), &request, doubtful);
        let handler = handler.clone();
        async move {
            let mut response = match answer {
                Some(response) => {
                    discard(request);
                    response
                }
                None => handler.handle(request).await?,
            };
            response.headers_mut().insert(DATE, date());
            Ok::<_, NoResponse>(response.map(Outgoing::new))
        }
    });
    let stream = TokioIo::new(Opening::new(stream, HEAD_TIMEOUT, framing));
    let connection = builder.serve_connection(Stall::new(stream), service);
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        // Clients come and go as they like; what matters is told where it happens.
        let _ = connection.await;
        drop(place);
    });
}

/// Reads the rest of a request that was answered without its body. HTTP/2 needs no such read: its
/// stream ends, and the connection goes on.
fn discard(request: hyper::Request<Incoming>) {
    let (parts, body) = request.into_parts();
    if parts.version != Version::HTTP_2 {
        turn_away(body, &parts.headers);
    }
}

#[cfg(test)]
mod tests;
