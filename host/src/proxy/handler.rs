//! `--via wasi-http` and `--via wasi-http-p2`: requests to instances on demand.

use super::body::{Drain, InstanceBody};
use super::instances::{OnDemand, Reuse};
use crate::answers::{Applied, Asker, OwnAnswers, ResponseBody, too_slow};
use crate::budget::Room;
use crate::engine::{ComponentError, Runtime};
use crate::store::{Outlet, Store};
use crate::telemetry;
use crate::wasi::Variables;
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

/// After this time a live read without an answer waits for a change. Other answers that take as long
/// keep their room.
const WAITS: Duration = Duration::from_millis(250);

/// The response takes so many bytes, and there is no room for them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(pub(crate) usize);

/// The begin of a response.
enum Answered {
    /// The host's own.
    Own(Response<ResponseBody>),
    /// An instance's, and how its body is passed on.
    Instance(Response<WasiBody>, Outlet, Option<Drain>),
}

/// Serves requests through an interface of `wasi:http`.
pub(crate) struct Proxy {
    handler: ProxyHandler<OnDemand>,
    store: Arc<dyn Store>,
    own: Arc<OwnAnswers>,
    /// The authority of a request of HTTP/1.0 that names no host: `wasi:http` 0.2 has none without.
    unnamed: Option<Authority>,
    draining: watch::Sender<bool>,
}

impl Proxy {
    /// A proxy without an instance yet.
    ///
    /// # Errors
    ///
    /// When the component is another build or has another version.
    pub(crate) fn new(
        runtime: Runtime,
        reuse: Reuse,
        store: Arc<dyn Store>,
        variables: Arc<Variables>,
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

    /// Serves a request, its body unread. `fell_behind` returns if the body comes too slowly. The
    /// bytes of the response keep their part of the room, which is given back while a live read
    /// waits.
    ///
    /// # Errors
    ///
    /// [`NoRoom`] when the response needs more room.
    pub(crate) async fn handle(
        &self,
        request: Request<WasiBody>,
        fell_behind: impl Future<Output = ()>,
        mut room: Option<Room>,
    ) -> Result<Response<ResponseBody>, NoRoom> {
        let asker = self
            .own
            .asker(request.method(), request.uri(), request.headers());
        let is_live = request.uri().query().is_some_and(asks_for_live);
        let mut answer = Box::pin(self.answer(request, &asker));
        let answered = tokio::select! {
            // First: the instance is told too, and can only say that the body was cut off.
            biased;
            () = fell_behind => return Ok(self.own.problem(&too_slow(), &asker)),
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

    /// Serves a request of the host's own; its path is all that counts.
    pub(crate) async fn send(&self, request: Request<WasiBody>) -> Response<ResponseBody> {
        let asker = self
            .own
            .asker(request.method(), request.uri(), request.headers());
        match self.answer(request, &asker).await {
            Answered::Own(response) => response,
            Answered::Instance(response, outlet, drain) => streamed(response, outlet, drain, None),
        }
    }

    async fn answer(&self, request: Request<WasiBody>, asker: &Asker) -> Answered {
        let method = request.method().clone();
        let outlet = Outlet::new(Arc::clone(&self.store));
        let answered = tokio::select! {
            answered = self.handler.handle((), absolute(request, self.unnamed.clone())) => answered,
            () = self.drained(), if method.is_safe() => {
                return Answered::Own(self.own.unavailable(Applied::Nothing, asker));
            }
        };
        let refuse = |applied| Answered::Own(self.own.unavailable(applied, asker));
        match answered {
            Ok(response) => {
                if let Err(lost) = outlet.check(outlet.settle().await) {
                    return refuse(Applied::of_lost(&method, lost));
                }
                let kind = response.headers().get(CONTENT_TYPE);
                // It goes on until it is ended.
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

    /// Ends event streams where the instance has nothing to write, and answers reads that wait.
    /// The instances themselves are not told that the server ends, as under Spin.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    fn drained(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut draining = self.draining.subscribe();
        async move {
            // Without a sender there is no server either.
            let _ = draining.wait_for(|draining| *draining).await;
        }
    }
}

/// Whether this query may be a live read's.
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

/// Gives a request the scheme and the authority that a guest is to see. One that names no host has
/// neither, unless an authority is given that stands for it.
fn absolute(request: Request<WasiBody>, unnamed: Option<Authority>) -> Request<WasiBody> {
    let (mut parts, body) = request.into_parts();
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    let host = parts.headers.get(HOST);
    let named = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    uri.authority = uri.authority.or(named).or(unnamed);
    uri.scheme = uri.authority.as_ref().map(|_| Scheme::HTTP);
    let path = uri.path_and_query.take();
    uri.path_and_query = Some(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    // Either all three parts are there or a path alone, so they make a URI.
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    Request::from_parts(parts, body)
}
