//! The check of a request before it is served.

use super::keeper::{Growth, Quota};
use super::readers::Reader;
use super::refusal::Refusal;
use super::rules::Scope;
use durable_streams_edge::protocol::problem::Problem;
use durable_streams_edge::protocol::request::parameter;
use http::{HeaderMap, Method, Uri};
use std::sync::Arc;

/// Checks the requests of one listener.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    quota: Arc<Quota>,
    /// The path below which the listener serves streams, without a slash at its end.
    base_path: Arc<str>,
    /// Whether only the limits of streams and bytes count, and not those of requests and readers.
    growth_only: bool,
}

impl Checkpoint {
    /// Checks requests to a listener that serves streams below this path.
    pub(crate) fn new(quota: &Arc<Quota>, base_path: &str) -> Self {
        Self {
            quota: Arc::clone(quota),
            base_path: base_path.trim_end_matches('/').into(),
            growth_only: false,
        }
    }

    /// Leaves requests and readers uncounted: operators need answers while clients exceed limits.
    pub(crate) fn for_operators(mut self) -> Self {
        self.growth_only = true;
        self
    }

    /// Checks a request with a body of this length, or of unknown length. A live read gets a reader,
    /// which lives as long as its response.
    ///
    /// # Errors
    ///
    /// The response to a request that exceeds a limit.
    pub(crate) async fn admit(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: Option<u64>,
    ) -> Result<Option<Reader>, Problem> {
        // A preflight comes from the browser itself, and a script does not learn why it failed.
        if *method == Method::OPTIONS {
            return Ok(None);
        }
        let below = uri.path().strip_prefix(&*self.base_path);
        let raw = below.and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = raw.and_then(|raw| self.quota.name(raw)) else {
            return Ok(None);
        };
        let name = name.as_str();
        let Some(scope) = self.quota.rules().scope(name) else {
            return Ok(None);
        };
        if !self.quota.has_rights(headers, name) {
            return Ok(None);
        }
        let judged = self.judge(scope, name, method, uri, body).await;
        judged.map_err(|refusal| {
            self.quota.note(scope.rule, refusal);
            refusal.problem(scope.prefix)
        })
    }

    async fn judge(
        &self,
        scope: Scope<'_>,
        name: &str,
        method: &Method,
        uri: &Uri,
        body: Option<u64>,
    ) -> Result<Option<Reader>, Refusal> {
        if !self.growth_only {
            self.quota.take(scope)?;
        }
        let creates = *method == Method::PUT;
        if creates || *method == Method::POST {
            let growth = Growth {
                creates,
                bytes: body,
            };
            self.quota.check(scope, name, growth).await?;
        }
        let query = uri.query().unwrap_or_default();
        if self.growth_only || *method != Method::GET || parameter(query, "live").is_none() {
            return Ok(None);
        }
        self.quota.join(scope).map(Some)
    }
}
