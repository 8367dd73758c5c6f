//! The checks of a request before it is served.

use super::accept::Use;
use super::named::{check_framing, check_host, two_lengths};
use super::rate::{Limits, Rates};
use crate::answers::{OwnAnswers, ResponseBody, health, too_many};
use crate::store::Store;
use durable_streams_edge::protocol::paths::{HEALTH, READY};
use durable_streams_edge::protocol::problem::Problem;
use http::header::{CONNECTION, HeaderValue};
use hyper::{Response, Version};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// The checks of a request before the handler receives it.
pub(crate) struct Gate {
    limits: RwLock<Option<Arc<Limits>>>,
    own: Arc<OwnAnswers>,
    store: Arc<dyn Store>,
    begun: Instant,
}

impl Gate {
    /// A gate with limits on the rates of requests.
    pub(crate) fn new(rates: Rates, own: Arc<OwnAnswers>, store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            limits: RwLock::new(Limits::new(rates).map(Arc::new)),
            own,
            store,
            begun: Instant::now(),
        })
    }

    /// Limits the rates of further requests anew. All allowances begin full.
    pub(crate) fn replace_limits(&self, rates: Rates) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        *limits = Limits::new(rates).map(Arc::new);
    }

    fn limits(&self) -> Option<Arc<Limits>> {
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        limits.clone()
    }

    /// The host's own responses.
    pub(super) fn own(&self) -> &OwnAnswers {
        &self.own
    }

    /// Response with a problem that another check found.
    pub(super) fn refuse<B>(
        &self,
        problem: &Problem,
        request: &hyper::Request<B>,
    ) -> Response<ResponseBody> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let request_origin = self.own.request_origin(method, uri, headers);
        self.own.problem(problem, &request_origin)
    }

    /// Response to a refused request, or to one that the host answers without an instance. With
    /// `doubtful` the request's body has two lengths, so its connection has to end. A connection in
    /// a place for probes has to end after any other request.
    pub(super) fn answer<B>(
        &self,
        peer: IpAddr,
        request: &hyper::Request<B>,
        purpose: Use,
        doubtful: bool,
    ) -> Option<Response<ResponseBody>> {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let path = uri.path();
        let is_probe = HEALTH.contains(&path) || path == READY;
        let ending = match purpose {
            _ if doubtful => Some(two_lengths()),
            Use::Probe if !is_probe => Some(Problem::unavailable()),
            Use::Any | Use::Probe => None,
        };
        if let Some(problem) = ending {
            let request_origin = self.own.request_origin(method, uri, headers);
            let mut response = self.own.problem(&problem, &request_origin);
            if request.version() != Version::HTTP_2 {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            return Some(response);
        }
        match self.judge(peer, request) {
            Ok(()) => health(&self.own, method, uri, headers),
            Err(problem) => {
                let request_origin = self.own.request_origin(method, uri, headers);
                Some(self.own.problem(&problem, &request_origin))
            }
        }
    }

    fn judge<B>(&self, peer: IpAddr, request: &hyper::Request<B>) -> Result<(), Problem> {
        let (uri, headers) = (request.uri(), request.headers());
        if let Some(limits) = self.limits() {
            let (method, path) = (request.method(), uri.path());
            let admitted = limits.admit(peer, method, path, headers, self.begun.elapsed());
            admitted.map_err(too_many)?;
        }
        check_host(request.version(), uri, headers)?;
        check_framing(headers)?;
        // An instance checks readiness by reading, and reads work while the store refuses writes.
        match uri.path() == READY && self.store.refuses_writes() {
            true => Err(Problem::unavailable()),
            false => Ok(()),
        }
    }
}
