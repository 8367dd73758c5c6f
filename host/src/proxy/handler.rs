//! `--via wasi-http` and `--via wasi-http-p2`: instances on demand behind Wasmtime's own
//! `ProxyHandler`, with the limits that Spin has.

use crate::budget::{Budget, Reservation};
use crate::drive::{Applied, Asker, Drain, OwnAnswers, ResponseBody, too_slow};
use crate::engine::{Runtime, stop_when_stuck};
use crate::net::pace::{PaceError, Paced};
use crate::store::{Outlet, Store};
use crate::telemetry;
use crate::wasi::{InstanceState, Variables};
use bytes::Bytes;
use durable_streams_edge::limits::BODY_BUDGET;
use durable_streams_edge::protocol::sse;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};
use tokio::time::{Sleep, sleep_until};
use wasmtime::component::GuestTaskId;
use wasmtime::{StoreContextMut, format_err};
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, InstantiationError, ProxyHandler, ProxyPre, ShouldAccept,
    WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView, p2};

/// Requests an instance has not answered yet, at most.
const CONCURRENT: usize = 16;
/// Requests an instance takes in its life.
const TOTAL: usize = 128;
/// How long an idle instance is kept.
const IDLE: Duration = Duration::from_secs(1);

/// How many requests an instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Several at a time, and some in its life: `wasi:http/handler`.
    AsSpin,
    /// One: `wasi:http/incoming-handler`.
    Never,
}

/// Serves requests through an interface of `wasi:http`.
pub struct Proxy {
    handler: ProxyHandler<OnDemand>,
    store: Arc<dyn Store>,
    own: Arc<OwnAnswers>,
    /// The authority of a request of HTTP/1.0 that names no host: `wasi:http` 0.2 has none without.
    unnamed: Option<Authority>,
    draining: watch::Sender<bool>,
    /// The bodies under way. What an instance has room for is its own to say; this tells whether
    /// slow ones are in the way.
    bodies: Arc<Budget>,
}

impl Proxy {
    /// A proxy without an instance yet.
    ///
    /// # Errors
    ///
    /// When the component does not export the interface.
    pub fn new(
        runtime: Runtime,
        reuse: Reuse,
        store: Arc<dyn Store>,
        variables: Arc<Variables>,
        own: Arc<OwnAnswers>,
    ) -> wasmtime::Result<Arc<Self>> {
        let pre = runtime.pre().clone();
        let pre = match reuse {
            Reuse::AsSpin => ProxyPre::P3(ServicePre::new(pre)?),
            Reuse::Never => ProxyPre::P2(p2::bindings::ProxyPre::new(pre)?),
        };
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
            bodies: Arc::new(Budget::new(BODY_BUDGET)),
        }))
    }

    /// Serves a request as it comes, its body unread.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let asker = self
            .own
            .asker(request.method(), request.uri(), request.headers());
        let (parts, body) = request.into_parts();
        let paced = Paced::new(body, Arc::clone(&self.bodies));
        let (body, fell_behind) = watched(paced, self.bodies.reserve());
        tokio::select! {
            // First: the instance is told too, and can only say that the body was cut off.
            biased;
            () = fell_behind => self.own.problem(&too_slow(), &asker),
            response = self.answer(Request::from_parts(parts, body), &asker) => response,
        }
    }

    /// Serves a request of the host's own; its path is all that counts.
    pub async fn send(&self, request: Request<WasiBody>) -> Response<ResponseBody> {
        let asker = self
            .own
            .asker(request.method(), request.uri(), request.headers());
        self.answer(request, &asker).await
    }

    async fn answer(&self, request: Request<WasiBody>, asker: &Asker) -> Response<ResponseBody> {
        let method = request.method().clone();
        let outlet = Outlet::new(Arc::clone(&self.store));
        let answered = tokio::select! {
            answered = self.handler.handle((), absolute(request, self.unnamed.clone())) => answered,
            () = self.drained(), if method.is_safe() => {
                return self.own.unavailable(Applied::Nothing, asker);
            }
        };
        let refuse = |applied| self.own.unavailable(applied, asker);
        match answered {
            Ok(response) => {
                if let Err(lost) = outlet.check(outlet.settle().await) {
                    return refuse(Applied::of_lost(&method, lost));
                }
                let kind = response.headers().get(CONTENT_TYPE);
                // It goes on until it is ended.
                let endless = kind.is_some_and(|kind| kind == sse::MEDIA_TYPE);
                let drain = endless.then(|| Box::pin(self.drained()) as Drain);
                response.map(|body| ResponseBody::instance(body, outlet, drain))
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
    pub fn drain(&self) {
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

/// A body that fails when it comes too slowly, and what returns if it does. An instance reads the
/// body before it does anything.
fn watched<B>(
    body: Paced<B>,
    mut room: Reservation,
) -> (WasiBody, impl Future<Output = ()> + Send + use<B>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    Error: From<B::Error>,
{
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let body = body.map_frame(move |frame| {
        // What there is no room for is still passed on, and leaves less than half all the more.
        let _ = room.grow(frame.data_ref().map_or(0, Bytes::len));
        frame
    });
    let body = body.map_err(move |error| match error {
        PaceError::Body(error) => error.into(),
        PaceError::TooSlow => {
            // It may have been answered without its body.
            let _ = tell.take().map(|tell| tell.send(()));
            Error::ConnectionReadTimeout
        }
    });
    let fell_behind = async move {
        if told.await.is_err() {
            std::future::pending().await
        }
    };
    (body.boxed_unsync(), fell_behind)
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

struct OnDemand {
    runtime: Runtime,
    pre: ProxyPre<InstanceState>,
    reuse: Reuse,
    store: Arc<dyn Store>,
    variables: Arc<Variables>,
}

impl HandlerState for OnDemand {
    type StoreData = InstanceState;
    type WorkerExpiration = IdleFor;
    type WorkerState = Limits;

    async fn instantiate(&self) -> wasmtime::Result<Instance<InstanceState, IdleFor, Limits>> {
        let outlet = Outlet::new(Arc::clone(&self.store));
        let (store, variables) = (Arc::clone(&self.store), Arc::clone(&self.variables));
        let mut store = self.runtime.new_store(store, variables);
        stop_when_stuck(&mut store, true);
        let proxy = self.pre.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: IdleFor(None),
            state: Limits {
                outlet,
                reuse: self.reuse,
            },
        })
    }
}

/// Ends an instance that was idle for [`IDLE`].
struct IdleFor(Option<Pin<Box<Sleep>>>);

impl WorkerExpiration for IdleFor {
    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        status: WorkerStatus,
        since: Instant,
    ) -> Poll<()> {
        match status {
            WorkerStatus::Requests | WorkerStatus::PostReturn => {
                self.0 = None;
                Poll::Pending
            }
            WorkerStatus::Idle => {
                let until = since.checked_add(IDLE).unwrap_or(since);
                let sleep = || Box::pin(sleep_until(until.into()));
                let sleep = self.0.get_or_insert_with(sleep);
                if sleep.deadline() != until.into() {
                    sleep.as_mut().reset(until.into());
                }
                sleep.as_mut().poll(context)
            }
        }
    }
}

struct Limits {
    /// Since the instance began.
    outlet: Outlet,
    reuse: Reuse,
}

impl WorkerState for Limits {
    type StoreData = InstanceState;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        match (concurrent, total) {
            (_, 1..) if self.reuse == Reuse::Never => ShouldAccept::Never,
            // It may know of what was lost, and the store refuses it.
            _ if self.outlet.check(Ok(())).is_err() => ShouldAccept::Never,
            (_, TOTAL..) => ShouldAccept::Never,
            (CONCURRENT.., _) => ShouldAccept::No,
            _ => ShouldAccept::Yes,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, InstanceState>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        // Reads may wait for as long as the component lets them.
        Box::pin(std::future::pending())
    }

    fn drop(&self, _: wasmtime::Store<InstanceState>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            telemetry::warn("instance ended", &format!("{:#}", format_err!(error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::pace::tests::{Begun, short_room};
    use futures::FutureExt;
    use http_body_util::Full;

    /// A few such uploads kept all the room of an instance for as long as they liked.
    #[tokio::test]
    async fn a_body_that_is_given_up_is_told_before_the_instance_can_answer() {
        let begun = Begun(Bytes::from_static(b"begun"));
        let room = short_room(10);
        let paced = Paced::with(begun, Arc::clone(&room), Duration::ZERO);
        let (body, fell_behind) = watched(paced, room.reserve());
        let mut fell_behind = Box::pin(fell_behind);
        assert_eq!((&mut fell_behind).now_or_never(), None);
        let outcome = body.collect().await;
        assert!(matches!(outcome, Err(Error::ConnectionReadTimeout)));
        assert_eq!(fell_behind.now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_body_that_comes_is_passed_on_and_nothing_told() {
        let whole = Full::new(Bytes::from_static(b"whole"));
        let room = Arc::new(Budget::new(10));
        let (body, fell_behind) = watched(Paced::new(whole, Arc::clone(&room)), room.reserve());
        assert_eq!(body.collect().await.expect("it comes").to_bytes(), "whole");
        assert_eq!(fell_behind.now_or_never(), None);
    }
}
