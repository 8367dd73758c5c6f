//! Requests that an instance sends by itself, through the host's own client.

use crate::outbound::{Outbound, OutboundError};
use crate::store::{Outlet, Store};
use crate::telemetry;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::sync::Arc;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Sends requests of an instance. Without a client every request is denied. A request leaves after
/// all changes that the instance may have read are durable.
pub(super) struct Sending {
    outlet: Arc<Outlet>,
    outbound: Option<Arc<Outbound>>,
}

impl Sending {
    pub(super) fn new(store: Arc<dyn Store>, outbound: Option<Arc<Outbound>>) -> Self {
        Self {
            outlet: Arc::new(Outlet::new(store)),
            outbound,
        }
    }
}

type Sent = Result<
    (
        Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

impl WasiHttpHooks for Sending {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        _options: Option<RequestOptions>,
        _sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let Some(outbound) = self.outbound.clone() else {
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        let outlet = Arc::clone(&self.outlet);
        Box::new(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            if outlet.check(outlet.settle().await).is_err() {
                return Err(Error::HttpRequestDenied);
            }
            let url = parts.uri.to_string();
            let sent = outbound.send(parts.method, &url, &parts.headers, body);
            let response = sent.await.map_err(|error| {
                telemetry::warn("request of an instance not sent", &error.to_string());
                failed(error)
            })?;
            let response = response.map(|body| body.map_err(Error::from).boxed_unsync());
            let ended = Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>;
            Ok((response, ended))
        })
    }
}

fn failed(error: OutboundError) -> Error {
    match error {
        OutboundError::Url(_) | OutboundError::NotPublic(_) | OutboundError::Request(_) => {
            Error::HttpRequestDenied
        }
        OutboundError::Io(error) => Error::Connect(error),
        OutboundError::Http(error) => Error::from(error),
        OutboundError::TimedOut => Error::ConnectionTimeout,
    }
}
