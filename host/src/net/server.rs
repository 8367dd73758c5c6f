//! Connections: HTTP/1.1 and HTTP/2 on one socket, with TLS or without, and their graceful end.

use super::accept::{Accepted, Door, Places, Use};
use super::collect::turn_away;
use super::crowd::{Crowd, Member};
use super::date::date;
use super::framing::{Doubtful, Framing};
use super::gate::Gate;
use super::handler::{Handler, NoResponse};
use super::listen::{Arrived, Transport};
use super::opening::Opening;
use super::rate::network;
use super::stall::Stall;
use super::unread::{Outgoing, Streams};
use crate::budget::{Registered, Unsent};
use crate::limits::{
    HEAD_BYTES, HEAD_FIELDS, HEAD_TIMEOUT, HTTP2_STREAMS, PING, PLACES_LEFT, STALL,
};
use crate::telemetry;
use http::header::DATE;
use http::uri::Scheme;
use hyper::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
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
    let mut joined = server.crowd.join(address, purpose);
    if joined.is_none()
        && let Some(free) = places.probe()
    {
        // The supervisor may share an address that has too many connections.
        (place, purpose) = (free, Use::Probe);
        joined = server.crowd.join(address, purpose);
    }
    let Some(member) = joined else { return };
    let session = Session {
        builder: Arc::clone(builder),
        gate: Arc::clone(&server.gate),
        handler: server.handler.clone(),
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

/// A connection with its place and its share of the room for responses, until it ends.
struct Session {
    builder: Arc<Builder<Streams>>,
    gate: Arc<Gate>,
    handler: Handler,
    peer: IpAddr,
    purpose: Use,
    stop: watch::Receiver<bool>,
    registered: Registered,
    member: Member,
    _place: OwnedSemaphorePermit,
    _open: mpsc::Sender<Infallible>,
}

impl Session {
    /// Makes the handshake of TLS, and serves the connection then. A handshake that takes too long
    /// holds its own connection only.
    async fn secure(mut self, stream: TcpStream, config: Arc<ServerConfig>) {
        // Boxed, since its state is large and soon over.
        let handshake = Box::pin(Transport::secure(stream, config));
        let secured = tokio::select! {
            biased;
            secured = handshake => secured,
            () = self.registered.line().is_cut() => return,
            _ = self.stop.wait_for(|stop| *stop) => return,
            () = self.member.over(self.purpose) => return,
        };
        // Clients disconnect at any time, and some trust another authority.
        if let Ok(transport) = secured {
            self.serve(transport).await;
        }
    }

    /// Serves the requests of the connection.
    async fn serve(mut self, transport: Transport) {
        let (peer, purpose) = (self.peer, self.purpose);
        let is_secure = transport.is_secure();
        let line = Arc::clone(self.registered.line());
        let doubtful = Arc::new(Doubtful::default());
        let framing = Framing::new(Arc::clone(&doubtful));
        let activity = Arc::clone(self.member.activity());
        let stream = Opening::new(transport, HEAD_TIMEOUT, framing, Arc::clone(&activity));
        let stream = Stall::new(TokioIo::new(stream), Arc::clone(&line));
        let (gate, handler) = (Arc::clone(&self.gate), self.handler.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let busy = activity.begin();
            // Over HTTP/2 a body has one length.
            let doubtful = request.version() != Version::HTTP_2 && doubtful.next();
            let answer = gate.answer(peer, &request, purpose, doubtful);
            let (handler, gate, line) = (handler.clone(), Arc::clone(&gate), Arc::clone(&line));
            if is_secure {
                request.extensions_mut().insert(Scheme::HTTPS);
            }
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
        let connection = self.builder.serve_connection(stream, service).into_owned();
        let mut connection = pin!(connection);
        let (mut ending, mut idle) = (false, false);
        loop {
            tokio::select! {
                biased;
                // Clients disconnect at any time; faults are logged where they occur.
                _ = connection.as_mut() => break,
                () = self.registered.line().is_cut() => break,
                _ = self.stop.wait_for(|stop| *stop), if !ending => {}
                () = self.member.over(purpose), if !ending => idle = true,
                // An HTTP/2 client that is gone never acknowledges the end.
                () = sleep(FAREWELL), if idle => match self.member.activity().idle_since() {
                    Some(_) => break,
                    None => continue,
                },
            }
            ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
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
