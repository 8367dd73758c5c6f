//! `--via wasi-http` and `--via wasi-http-p2`: requests to instances on demand.

use super::body::{Drain, InstanceBody};
use super::instances::{OnDemand, Reuse};
use crate::answers::{Applied, OwnAnswers, RequestOrigin, ResponseBody, too_slow};
use crate::budget::Room;
use crate::engine::{ComponentError, Runtime};
use crate::store::{Outlet, Store};
use crate::telemetry;
use crate::variables::Current;
use durable_streams_edge::protocol::sse;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::handler::{InstantiationError, ProxyHandler, ProxyPre};
use wasmtime_wasi_http::p2;
use wasmtime_wasi_http::p3::bindings::ServicePre;

/// Time after which a live read without a response is taken to wait for a change. Other requests of
/// that duration keep their room.
const WAITS: Duration = Duration::from_millis(250);

/// The response needs this many bytes, and there is no room for them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) usize);

/// The beginning of a response.
enum Answered {
    /// A response of the host itself.
    Own(Response<ResponseBody>),
    /// A response of an instance, with the parts needed to pass its body on.
    Instance(Response<WasiBody>, Outlet, Option<Drain>),
}

/// Serves requests through an interface of `wasi:http`.
pub(crate) struct Proxy {
    handler: ProxyHandler<OnDemand>,
    store: Arc<dyn Store>,
    own: Arc<OwnAnswers>,
    /// The authority for a request of HTTP/1.0 without a host, as `wasi:http` 0.2 requires one.
    unnamed: Option<Authority>,
    draining: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy that has no instance yet.
    ///
    /// # Errors
    ///
    /// The component is another build or has another version.
    pub(crate) fn new(
        runtime: Runtime,
        reuse: Reuse,
        store: Arc<dyn Store>,
        variables: Arc<Current>,
        own: Arc<OwnAnswers>,
    ) -> Result<Arc<Self>, ComponentError> {
        let wanted = reuse.interface();
        runtime.check_export(wanted)?;
        let pre = runtime.pre().clone();
        let pre = match reuse {
            Reuse::AsSpin => ServicePre::new(pre).map(ProxyPre::P3),
            Reuse::Never => p2::bindings::ProxyPre::new(pre).map(ProxyPre::P2),
        };
        let pre = pre.map_err(|error| runtime.other_shape(wanted, &error))?;
        let handler = ProxyHandler::new(OnDemand {
            runtime,
            pre,
            reuse,
            store: Arc::clone(&store),
            variables,
        });
        Ok(Arc::new(Self {
            handler,
            store,
            own,
            unnamed: match reuse {
                Reuse::AsSpin => None,
                Reuse::Never => Some(Authority::from_static("localhost")),
            },
            draining: watch::Sender::new(false),
        }))
    }

    /// Serves a request with an unread body. `fell_behind` is ready if the body comes too slowly.
    /// The bytes of the response keep their room. A live read releases its room when it begins to
    /// wait.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] if the response needs more room.
    pub(crate) async fn handle(
        &self,
        request: Request<WasiBody>,
        fell_behind: impl Future<Output = ()>,
        mut room: Option<Room>,
    ) -> Result<Response<ResponseBody>, NoRoom> {
        let request_origin =
            self.own
                .request_origin(request.method(), request.uri(), request.headers());
        let is_live = request.uri().query().is_some_and(asks_for_live);
        let mut answer = Box::pin(self.answer(request, &request_origin));
        let answered = tokio::select! {
            // First, because the instance also gets this error, and can only report a truncated
            // body.
            biased;
            () = fell_behind => return Ok(self.own.problem(&too_slow(), &request_origin)),
            answered = &mut answer => Some(answered),
            () = sleep(WAITS), if is_live && room.is_some() => None,
        };
        let answered = match answered {
            Some(answered) => answered,
            None => {
                room = None;
                answer.await
            }
        };
        Ok(match answered {
            Answered::Own(response) => response,
            Answered::Instance(response, outlet, drain) => {
                let length = length(&response);
                if let (Some(room), Some(length)) = (&mut room, length)
                    && !room.keep(length)
                {
                    return Err(NoRoom(length));
                }
                streamed(response, outlet, drain, room)
            }
        })
    }

    /// Serves a request of the host itself, of which only the path matters.
    pub(crate) async fn send(&self, request: Request<WasiBody>) -> Response<ResponseBody> {
        let request_origin =
            self.own
                .request_origin(request.method(), request.uri(), request.headers());
        match self.answer(request, &request_origin).await {
            Answered::Own(response) => response,
            Answered::Instance(response, outlet, drain) => streamed(response, outlet, drain, None),
        }
    }

    async fn answer(&self, request: Request<WasiBody>, request_origin: &RequestOrigin) -> Answered {
        let method = request.method().clone();
        let outlet = Outlet::new(Arc::clone(&self.store));
        let answered = tokio::select! {
            answered = self.handler.handle((), absolute(request, self.unnamed.clone())) => answered,
            () = self.drained(), if method.is_safe() => {
                return Answered::Own(self.own.unavailable(Applied::Nothing, request_origin));
            }
        };
        let refuse = |applied| Answered::Own(self.own.unavailable(applied, request_origin));
        match answered {
            Ok(response) => {
                if let Err(lost) = outlet.check(outlet.settle().await) {
                    return refuse(Applied::of_lost(&method, lost));
                }
                let kind = response.headers().get(CONTENT_TYPE);
                // An event stream continues until it is ended.
                let endless = kind.is_some_and(|kind| kind == sse::MEDIA_TYPE);
                let drain = endless.then(|| Box::pin(self.drained()) as Drain);
                Answered::Instance(response, outlet, drain)
            }
            Err(error) => {
                telemetry::warn("request not answered", &format!("{error:#}"));
                refuse(match error.is::<InstantiationError<()>>() {
                    true => Applied::Nothing,
                    false => Applied::of_broken(&method),
                })
            }
        }
    }

    /// Ends event streams without data from the instance, and responds to waiting reads. The
    /// instances themselves get no signal of the shutdown, as under Spin.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut draining = self.draining.subscribe();
        async move {
            // Without a sender the server is gone too.
            let _ = draining.wait_for(|draining| *draining).await;
        }
    }
}

/// Whether a request with this query may be a live read.
fn asks_for_live(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("live="))
}

/// The length that a response announces.
fn length(response: &Response<WasiBody>) -> Option<usize> {
    let length = response.headers().get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn streamed(
    response: Response<WasiBody>,
    outlet: Outlet,
    drain: Option<Drain>,
    room: Option<Room>,
) -> Response<ResponseBody> {
    response
        .map(|body| ResponseBody::streamed(Box::new(InstanceBody::new(body, outlet, drain, room))))
}

/// Sets the scheme and the authority of a request for the guest. A request without a host gets
/// neither, unless `unnamed` is given.
fn absolute(request: Request<WasiBody>, unnamed: Option<Authority>) -> Request<WasiBody> {
    let (mut parts, body) = request.into_parts();
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let host = parts.headers.get(HOST);
    let named = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority = uri.authority.or(named).or(unnamed);
    // The connection's scheme; see `exchange::Request::scheme`.
    let scheme = || parts.extensions.get().cloned().unwrap_or(Scheme::HTTP);
    uri.scheme = uri.authority.as_ref().map(|_| scheme());
    let path = uri.path_and_query.take();
    uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    // The URI has all three parts or only a path, so it is valid.
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    Request::from_parts(parts, body)
}
