//! Accepts connections until the server stops.

use super::accept::{Accepted, Door, Places, Use};
use super::crowd::Crowd;
use super::desk::Desk;
use super::gate::Gate;
use super::handler::Handler;
use super::listen::Arrived;
use super::rate::network;
use super::session::Session;
use super::unread::Streams;
use crate::budget::Unsent;
use crate::limits::{HEAD_BYTES, HEAD_FIELDS, HTTP2_STREAMS, PING, PLACES_LEFT, STALL};
use crate::meters::NetMeters;
use crate::quota::Checkpoint;
use crate::telemetry;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// One in this many places is freed at once.
const MADE_ROOM: usize = 64;

/// Stands for an address that the system does not tell.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// The parts that serve connections.
pub(crate) struct Server {
    pub(crate) handler: Handler,
    pub(crate) gate: Arc<Gate>,
    pub(crate) unsent: Arc<Unsent>,
    pub(crate) crowd: Arc<Crowd>,
    /// Answers some requests before the gate and the handler.
    pub(crate) desk: Option<Arc<dyn Desk>>,
    /// The listener's metrics, if there are any.
    pub(crate) meters: Option<Arc<NetMeters>>,
    /// The limits per prefix, if there are any.
    pub(crate) checkpoint: Option<Checkpoint>,
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

/// Serves an accepted connection in a task of its own.
fn connect(
    builder: &Arc<Builder<Streams>>,
    accepted: Accepted,
    server: &Server,
    places: &Places,
    stop: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
) {
    let Accepted {
        arrived,
        peer,
        mut place,
        mut purpose,
    } = accepted;
    let address = network(peer);
    // Without its address the desk accepts only loopback addresses.
    let desk = server.desk.as_ref().map(|desk| {
        let local = arrived.local().unwrap_or(NO_ADDRESS);
        (Arc::clone(desk), local)
    });
    let mut joined = server.crowd.join(address, purpose);
    if joined.is_none()
        && let Some(free) = places.probe()
    {
        // The supervisor may share an address that has too many connections.
        (place, purpose) = (free, Use::Probe);
        joined = server.crowd.join(address, purpose);
    }
    let meters = server.meters.clone();
    let Some(member) = joined else {
        if let Some(meters) = &meters {
            meters.refused.increment(1);
        }
        return;
    };
    if let Some(meters) = &meters {
        meters.accepted.increment(1);
    }
    let session = Session {
        builder: Arc::clone(builder),
        gate: Arc::clone(&server.gate),
        handler: server.handler.clone(),
        desk,
        meters,
        checkpoint: server.checkpoint.clone(),
        peer,
        purpose,
        stop,
        registered: server.unsent.register(address),
        member,
        _place: place,
        _open: open,
    };
    match arrived {
        Arrived::Open(transport) => {
            tokio::spawn(session.serve(transport));
        }
        Arrived::Tls(stream, config) => {
            tokio::spawn(session.secure(stream, config));
        }
    }
}

#[cfg(test)]
mod tests;
