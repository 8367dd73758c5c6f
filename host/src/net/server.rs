//! Connections: HTTP/1.1 and HTTP/2 on one port, and their graceful end.

use super::accept::{Accepted, Door, Places, Use};
use super::collect::turn_away;
use super::crowd::Crowd;
use super::date::date;
use super::framing::{Doubtful, Framing};
use super::gate::Gate;
use super::handler::{Handler, NoResponse};
use super::opening::Opening;
use super::rate::network;
use super::stall::Stall;
use super::unread::{Outgoing, Streams};
use crate::budget::Unsent;
use crate::limits::{
    HEAD_BYTES, HEAD_FIELDS, HEAD_TIMEOUT, HTTP2_STREAMS, PING, PLACES_LEFT, STALL,
};
use crate::telemetry;
use http::header::DATE;
use hyper::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

/// Time for an idle connection to end after the signal.
const FAREWELL: Duration = Duration::from_millis(500);
/// One in this many places is freed at once.
const MADE_ROOM: usize = 64;

/// The parts that serve connections.
pub(crate) struct Server {
    pub(crate) handler: Handler,
    pub(crate) gate: Arc<Gate>,
    pub(crate) unsent: Arc<Unsent>,
    pub(crate) crowd: Arc<Crowd>,
}

/// Accepts connections until `stop`. Then it ends waiting reads, lets other requests finish, and
/// returns when the last connection has ended or `grace` is over.
pub(crate) async fn run(
    mut door: Door,
    server: Server,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let builder = Arc::new(builder(STALL));
    // Closed when the last connection drops its sender.
    let (open, mut closed) = mpsc::channel::<Infallible>(1);
    let mut relief = pin!(Arc::clone(&server.unsent).relieve());
    loop {
        let accepted = tokio::select! {
            accepted = door.next() => accepted,
            () = &mut relief => break,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let places = door.places();
        if places.left() < places.most() / PLACES_LEFT {
            server.crowd.make_room((places.most() / MADE_ROOM).max(1));
        }
        connect(
            &builder,
            accepted,
            &server,
            places,
            stop.clone(),
            open.clone(),
        );
    }
    drop((door, open));
    server.handler.drain();
    if timeout(grace, closed.recv()).await.is_err() {
        telemetry::warn(
            "connections cut",
            "they did not end within the longest time that a stop may take",
        );
    }
}

/// A builder of connections that resets a stream after it stalls for `stall`.
pub(crate) fn builder(stall: Duration) -> Builder<Streams> {
    let mut builder = Builder::new(Streams(stall));
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper's timeout starts at the end of the previous request; see `opening`.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_FIELDS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES as u32)
        .max_send_buf_size(HEAD_BYTES)
        .max_concurrent_streams(HTTP2_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

fn connect(
    builder: &Arc<Builder<Streams>>,
    accepted: Accepted,
    server: &Server,
    places: &Places,
    mut stop: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
) {
    let Accepted {
        stream,
        peer,
        mut place,
        mut purpose,
    } = accepted;
    let address = network(peer.ip());
    let mut joined = server.crowd.join(address, purpose);
    if joined.is_none()
        && let Some(free) = places.probe()
    {
        // The supervisor may share an address that has too many connections.
        (place, purpose) = (free, Use::Probe);
        joined = server.crowd.join(address, purpose);
    }
    let Some(member) = joined else { return };
    // A connection without this option works too, with more latency.
    let _ = stream.set_nodelay(true);
    let registered = server.unsent.register(address);
    let line = Arc::clone(registered.line());
    let (gate, handler) = (Arc::clone(&server.gate), server.handler.clone());
    let doubtful = Arc::new(Doubtful::default());
    let framing = Framing::new(Arc::clone(&doubtful));
    let activity = Arc::clone(member.activity());
    let stream = Opening::new(stream, HEAD_TIMEOUT, framing, Arc::clone(&activity));
    let stream = Stall::new(TokioIo::new(stream), Arc::clone(&line));
    let service = service_fn(move |request| {
        let busy = activity.begin();
        // Over HTTP/2 a body has one length.
        let doubtful = request.version() != Version::HTTP_2 && doubtful.next();
        let answer = gate.answer(peer.ip(), &request, purpose, doubtful);
        let (handler, gate, line) = (handler.clone(), Arc::clone(&gate), Arc::clone(&line));
        async move {
            let mut response = match answer {
                Some(response) => {
                    discard(request);
                    response
                }
                None => handler.handle(request, &line, gate.own()).await?,
            };
            response.headers_mut().insert(DATE, date());
            Ok::<_, NoResponse>(response.map(|body| Outgoing::new(body, busy)))
        }
    });
    let connection = builder.serve_connection(stream, service).into_owned();
    tokio::spawn(async move {
        let mut connection = pin!(connection);
        let (mut ending, mut idle) = (false, false);
        loop {
            tokio::select! {
                biased;
                // Clients disconnect at any time; faults are logged where they occur.
                _ = connection.as_mut() => break,
                () = registered.line().is_cut() => break,
                _ = stop.wait_for(|stop| *stop), if !ending => {}
                () = member.over(purpose), if !ending => idle = true,
                // An HTTP/2 client that is gone never acknowledges the end.
                () = sleep(FAREWELL), if idle => match member.activity().idle_since() {
                    Some(_) => break,
                    None => continue,
                },
            }
            ending = true;
            connection.as_mut().graceful_shutdown();
        }
        drop((registered, member, place, open));
    });
}

/// Reads the rest of a request after a response that did not need its body. HTTP/2 needs no such
/// read: its stream ends, and the connection continues.
fn discard(request: hyper::Request<Incoming>) {
    let (parts, body) = request.into_parts();
    if parts.version != Version::HTTP_2 {
        turn_away(body, &parts.headers);
    }
}

#[cfg(test)]
mod tests;
