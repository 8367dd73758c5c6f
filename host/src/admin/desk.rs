//! Answers of the admin listener.

use super::access::AdminAccess;
use super::hosts::is_own;
use super::page;
use super::paths::{from_base, is_adoption, is_protocol, to_base};
use super::scrape::Scrape;
use super::settings::Settings;
use crate::answers::{OwnAnswers, ResponseBody};
use crate::backup::{self, Backups};
use crate::net::{Asked, Desk};
use bytes::Bytes;
use durable_streams_edge::protocol::paths::{HEALTH, READY};
use durable_streams_edge::protocol::problem::{Code, Problem};
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, Uri};
use std::sync::Arc;

/// The metrics, in Prometheus' text format.
const METRICS: &str = "/metrics";
/// Media type of that format.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The settings in force, as JSON.
const CONFIG: &str = "/debug/config";
/// Usage and limits per prefix, as JSON.
const USAGE: &str = "/debug/usage";

/// The admin listener's own answers.
pub(crate) struct AdminDesk {
    own: Arc<OwnAnswers>,
    access: Arc<AdminAccess>,
    settings: Arc<Settings>,
    scrape: Scrape,
    backups: Arc<Backups>,
    /// Lets the component perform calls of operators.
    token: Option<HeaderValue>,
}

impl AdminDesk {
    /// Creates the answers of a server with these settings.
    pub(crate) fn new(
        own: Arc<OwnAnswers>,
        access: Arc<AdminAccess>,
        settings: Arc<Settings>,
        scrape: Scrape,
        backups: Arc<Backups>,
        token: &str,
    ) -> Arc<Self> {
        let token = HeaderValue::from_str(token).ok();
        let token = token.map(|mut token| {
            token.set_sensitive(true);
            token
        });
        Arc::new(Self {
            own,
            access,
            settings,
            scrape,
            backups,
            token,
        })
    }

    /// Response to a request for one of the listener's own resources; none if it is for the handler.
    fn judge(&self, asked: &Asked<'_>) -> Result<Option<Response<ResponseBody>>, Problem> {
        check_host(asked)?;
        let path = asked.uri.path();
        if is_adoption(asked.method, path) {
            self.check_operator(asked.headers)?;
            return Ok(None);
        }
        if is_protocol(path) || HEALTH.contains(&path) || path == READY {
            return Ok(None);
        }
        if let Some(file) = page::find(path) {
            check_method(asked.method)?;
            return Ok(Some(file.answer(asked.method, asked.headers)));
        }
        if path == METRICS {
            check_method(asked.method)?;
            let body = self.scrape.text().into_bytes();
            return Ok(Some(whole(asked.method, METRICS_TYPE, body)));
        }
        if backup::is_backup(path) {
            self.check_operator(asked.headers)?;
            let (method, query) = (asked.method, asked.uri.query());
            return backup::answer(&self.backups, method, path, query).map(Some);
        }
        if path != CONFIG && path != USAGE {
            let detail = "The admin listener has no such path. It serves a page at /, /metrics, \
                          /health, /readyz, /debug/config, /debug/usage, and streams below \
                          /v1/stream.";
            return Err(Problem::new(Code::RouteNotFound, detail));
        }
        check_method(asked.method)?;
        self.access.check_manager(asked.headers)?;
        let body = match path {
            USAGE => self.usage(asked.uri.query().unwrap_or_default())?,
            _ => self.settings.to_json(),
        };
        Ok(Some(whole(asked.method, "application/json", body)))
    }

    /// Refuses a call that changes the server unless an operator makes it, and no page of another site.
    fn check_operator(&self, headers: &HeaderMap) -> Result<(), Problem> {
        self.access.check_manager(headers)?;
        check_site(headers)
    }

    /// A page of usage per prefix.
    fn usage(&self, query: &str) -> Result<Vec<u8>, Problem> {
        let quota = self.scrape.quota.as_ref().ok_or_else(|| {
            let detail = "The server has no limits per prefix, so it counts nothing. Set one with \
                          --limit.";
            Problem::new(Code::RouteNotFound, detail)
        })?;
        let page = quota.usage(query);
        let page = page.map_err(|detail| Problem::new(Code::BadRequest, detail))?;
        let mut text = format!("{page:#}").into_bytes();
        text.push(b'\n');
        Ok(text)
    }
}

impl Desk for AdminDesk {
    fn answer(&self, asked: &Asked<'_>) -> Option<Response<ResponseBody>> {
        match self.judge(asked) {
            Ok(response) => response,
            Err(problem) => {
                let (method, uri) = (asked.method, asked.uri);
                let request_origin = self.own.request_origin(method, uri, asked.headers);
                Some(self.own.problem(&problem, &request_origin))
            }
        }
    }

    fn token(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
        let is_allowed = is_adoption(method, uri.path()) && self.check_operator(headers).is_ok();
        self.token.clone().filter(|_| is_allowed)
    }

    fn target(&self, target: &Uri) -> Option<Uri> {
        to_base(target, self.own.base_path())
    }

    fn finish(&self, response: &mut Response<ResponseBody>) {
        let Some(location) = response.headers_mut().get_mut(LOCATION) else {
            return;
        };
        let rewritten = location.to_str().ok();
        let rewritten = rewritten.and_then(|text| from_base(text, self.own.base_path()));
        if let Some(value) = rewritten.and_then(|text| HeaderValue::from_str(&text).ok()) {
            *location = value;
        }
    }
}

/// Refuses a request for a host that is not this listener.
fn check_host(asked: &Asked<'_>) -> Result<(), Problem> {
    // In HTTP/2 the target has the host, and the field may be absent.
    let target = asked.uri.authority().map(|authority| authority.as_str());
    let fields = asked.headers.get_all(HOST).iter();
    let mut hosts = target
        .into_iter()
        .chain(fields.map(|host| host.to_str().unwrap_or_default()));
    match hosts.all(|host| is_own(host, asked.local)) {
        true => Ok(()),
        false => Err(Problem::new(
            Code::Misdirected,
            "The admin listener answers only requests for its own address or for localhost. Use \
             that in the URL. A proxy in front must set Host to it.",
        )),
    }
}

/// Refuses a page of another site. The page could not read the answer, but begin backups, which keep
/// room from the disk, or change the producers of a stream.
fn check_site(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::new(
            Code::InsufficientScope,
            "Pages of other sites may not take backups or change producers.",
        )),
    }
}

fn check_method(method: &Method) -> Result<(), Problem> {
    match *method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(
            Problem::new(Code::MethodNotAllowed, "This path supports GET and HEAD.")
                .with_field(ALLOW, "GET, HEAD"),
        ),
    }
}

/// The field with the methods of a path.
const ALLOW: &str = "allow";

/// A complete response. It has no CORS fields: scripts of other origins must not read it.
fn whole(method: &Method, content_type: &'static str, body: Vec<u8>) -> Response<ResponseBody> {
    let length = body.len();
    let body = match *method {
        Method::HEAD => Bytes::new(),
        _ => Bytes::from(body),
    };
    let mut response = Response::new(ResponseBody::whole(body));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    let fields = [
        (policy, HeaderValue::from_static("same-origin")),
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CONTENT_LENGTH, HeaderValue::from(length)),
    ];
    response.headers_mut().extend(fields);
    response
}
