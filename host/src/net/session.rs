//! One connection: HTTP/1.1 or HTTP/2, with TLS or without, and its graceful end.

use super::accept::Use;
use super::collect::turn_away;
use super::counted::Counted;
use super::crowd::Member;
use super::date::date;
use super::desk::{Asked, Desk};
use super::framing::{Doubtful, Framing};
use super::gate::Gate;
use super::handler::{Handler, NoResponse};
use super::listen::Transport;
use super::opening::Opening;
use super::stall::Stall;
use super::unread::{Outgoing, Streams};
use crate::answers::ResponseBody;
use crate::budget::{Line, Registered};
use crate::limits::HEAD_TIMEOUT;
use crate::meters::{NetMeters, classify};
use crate::quota::{Checkpoint, Reader};
use crate::trace;
use durable_streams_edge::protocol::headers::ADMIN_TOKEN;
use durable_streams_edge::protocol::problem::Problem;
use http::Response;
use http::header::DATE;
use http::uri::Scheme;
use http_body::Body;
use hyper::Version;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::sleep;
use tracing::{Instrument, Span};

/// Time for an idle connection to end after the signal.
const FAREWELL: Duration = Duration::from_millis(500);

/// A connection with its place and its share of the room for responses, until it ends.
pub(super) struct Session {
    pub(super) builder: Arc<Builder<Streams>>,
    pub(super) gate: Arc<Gate>,
    pub(super) handler: Handler,
    /// The desk of its listener, and the address of this machine that the connection uses.
    pub(super) desk: Option<(Arc<dyn Desk>, IpAddr)>,
    pub(super) meters: Option<Arc<NetMeters>>,
    /// The limits per prefix, if there are any.
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) peer: IpAddr,
    pub(super) purpose: Use,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) registered: Registered,
    pub(super) member: Member,
    /// Kept until the connection ends.
    pub(super) _place: OwnedSemaphorePermit,
    /// Closes when the last connection has ended.
    pub(super) _open: mpsc::Sender<Infallible>,
}

impl Session {
    /// Makes the handshake of TLS, and serves the connection then. A handshake that takes too long
    /// holds its own connection only.
    pub(super) async fn secure(mut self, stream: TcpStream, config: Arc<ServerConfig>) {
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
    pub(super) async fn serve(mut self, transport: Transport) {
        let (peer, purpose) = (self.peer, self.purpose);
        let is_secure = transport.is_secure();
        let line = Arc::clone(self.registered.line());
        let doubtful = Arc::new(Doubtful::default());
        let framing = Framing::new(Arc::clone(&doubtful));
        let activity = Arc::clone(self.member.activity());
        let stream = Counted::new(transport, self.meters.clone());
        let stream = Opening::new(stream, HEAD_TIMEOUT, framing, Arc::clone(&activity));
        let stream = Stall::new(TokioIo::new(stream), Arc::clone(&line));
        let (gate, handler) = (Arc::clone(&self.gate), self.handler.clone());
        let (desk, meters) = (self.desk.clone(), self.meters.clone());
        let checkpoint = self.checkpoint.clone();
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            let busy = activity.begin();
            let begun = meters.clone().map(|meters| {
                let (method, uri) = (request.method(), request.uri());
                let operation = classify(method, uri, &meters.base_path);
                let (begun, reader) = meters.requests.begin(operation);
                (meters, begun, reader)
            });
            let span = match &begun {
                Some((_, begun, _)) if trace::is_on() => {
                    trace::request(&mut request, begun.operation().name())
                }
                _ => Span::none(),
            };
            let own_span = span.clone();
            // Over HTTP/2 a body has one length.
            let doubtful = request.version() != Version::HTTP_2 && doubtful.next();
            let at_desk = desk.as_ref().filter(|_| !doubtful);
            let answer = at_desk
                .and_then(|(desk, local)| desk.answer(&asked(*local, &request)))
                .or_else(|| gate.answer(peer, &request, purpose, doubtful));
            let (handler, gate, line) = (handler.clone(), Arc::clone(&gate), Arc::clone(&line));
            let desk = desk.as_ref().map(|(desk, _)| Arc::clone(desk));
            let checkpoint = checkpoint.clone().filter(|_| answer.is_none());
            if is_secure {
                request.extensions_mut().insert(Scheme::HTTPS);
            }
            let response = async move {
                let mut of_prefix = None;
                let answer = match checkpoint {
                    Some(checkpoint) => match admit(&checkpoint, &request).await {
                        Ok(reader) => {
                            of_prefix = reader;
                            None
                        }
                        Err(problem) => Some(gate.refuse(&problem, &request)),
                    },
                    None => answer,
                };
                let response = match answer {
                    Some(response) => {
                        discard(request);
                        Ok(response)
                    }
                    None => handle(&handler, desk.as_deref(), request, &line, &gate).await,
                };
                let status = response.as_ref().map(Response::status).ok();
                trace::answered(&own_span, status);
                let mut response = response?;
                response.headers_mut().insert(DATE, date());
                let reader = begun.and_then(|(meters, begun, reader)| {
                    let (status, headers) = (response.status(), response.headers());
                    meters.requests.end(&begun, status, headers);
                    reader
                });
                Ok::<_, NoResponse>(
                    response.map(|body| Outgoing::new(body, busy, reader, of_prefix)),
                )
            };
            response.instrument(span)
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

fn asked<B>(local: IpAddr, request: &hyper::Request<B>) -> Asked<'_> {
    Asked {
        local,
        method: request.method(),
        uri: request.uri(),
        headers: request.headers(),
    }
}

/// Checks the limits of a request's prefix. The check borrows no body, which tasks can't share.
fn admit<'a>(
    checkpoint: &'a Checkpoint,
    request: &'a hyper::Request<Incoming>,
) -> impl Future<Output = Result<Option<Reader>, Problem>> + 'a {
    let length = request.body().size_hint().exact();
    checkpoint.admit(request.method(), request.uri(), request.headers(), length)
}

/// Passes a request to the handler, by the target that the desk gives it.
async fn handle(
    handler: &Handler,
    desk: Option<&dyn Desk>,
    mut request: hyper::Request<Incoming>,
    line: &Arc<Line>,
    gate: &Gate,
) -> Result<Response<ResponseBody>, NoResponse> {
    // Only a desk may give the token: clients can't know it, and must not try.
    request.headers_mut().remove(ADMIN_TOKEN);
    let token =
        desk.and_then(|desk| desk.token(request.method(), request.uri(), request.headers()));
    if let Some(token) = token {
        request.headers_mut().insert(ADMIN_TOKEN, token);
    }
    let rewritten = desk.and_then(|desk| Some((desk, desk.target(request.uri())?)));
    let Some((desk, target)) = rewritten else {
        return handler.handle(request, line, gate.own()).await;
    };
    *request.uri_mut() = target;
    let mut response = handler.handle(request, line, gate.own()).await?;
    desk.finish(&mut response);
    Ok(response)
}

/// Reads the rest of a request after a response that did not need its body. HTTP/2 needs no such
/// read: its stream ends, and the connection continues.
fn discard(request: hyper::Request<Incoming>) {
    let (parts, body) = request.into_parts();
    if parts.version != Version::HTTP_2 {
        turn_away(body, &parts.headers);
    }
}
