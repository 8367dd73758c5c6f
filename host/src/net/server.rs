//! Connections: HTTP/1.1 and HTTP/2 on one port, and their orderly end.

use super::accept::{Accepted, Door};
use super::collect::turn_away;
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
    HEAD_BYTES, HEAD_FIELDS, HEAD_TIMEOUT, HTTP2_STREAMS, PING, STALL,
};
use crate::telemetry;
use http::header::DATE;
use hyper::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Accepts connections until told to stop; then ends what waits, lets what is under way finish, and
/// returns when the last connection is gone or `grace` is over.
pub(crate) async fn run(
    mut door: Door,
    handler: Handler,
    gate: Arc<Gate>,
    unsent: Arc<Unsent>,
    mut stop: watch::Receiver<bool>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let builder = Arc::new(builder(STALL));
    let mut relief = pin!(Arc::clone(&unsent).relieve());
    loop {
        let accepted = tokio::select! {
            accepted = door.next() => accepted,
            () = &mut relief => break,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let gate = Arc::clone(&gate);
        connect(&builder, accepted, gate, handler.clone(), &unsent, &graceful);
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
        .max_concurrent_streams(HTTP2_STREAMS)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

fn connect(
    builder: &Arc<Builder<Streams>>,
    accepted: Accepted,
    gate: Arc<Gate>,
    handler: Handler,
    unsent: &Arc<Unsent>,
    graceful: &GracefulShutdown,
) {
    let Accepted {
        stream,
        peer,
        place,
    } = accepted;
    // A connection without it works too, only later.
    let _ = stream.set_nodelay(true);
    let registered = unsent.register(network(peer.ip()));
    let line = Arc::clone(registered.line());
    let doubtful = Arc::new(Doubtful::default());
    let framing = Framing::new(Arc::clone(&doubtful));
    let stream = TokioIo::new(Opening::new(stream, HEAD_TIMEOUT, framing));
    let stream = Stall::new(stream, Arc::clone(&line));
    let service = service_fn(move |request| {
        // Over HTTP/2 a body has one length.
        let doubtful = request.version() != Version::HTTP_2 && doubtful.next();
        let answer = gate.answer(peer.ip(), &request, doubtful);
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
            Ok::<_, NoResponse>(response.map(Outgoing::new))
        }
    });
    let connection = builder.serve_connection(stream, service);
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        tokio::select! {
            // Clients come and go as they like; what matters is told where it happens.
            _ = connection => {}
            () = registered.line().is_cut() => {}
        }
        drop((registered, place));
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
