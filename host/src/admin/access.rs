//! Access control of the admin listener's own resources.

use durable_streams_edge::access::{Access, Refusal};
use durable_streams_edge::protocol::problem::{Code, Problem};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

/// The access control in force. A reload replaces it.
pub(crate) struct AdminAccess {
    /// Address of the listener, if other machines can reach it.
    exposed: Option<SocketAddr>,
    access: RwLock<Arc<Access>>,
}

impl AdminAccess {
    /// Access control of a listener at this address.
    pub(crate) fn new(access: Access, address: Option<SocketAddr>) -> Arc<Self> {
        let exposed = address.filter(|address| !address.ip().to_canonical().is_loopback());
        Arc::new(Self {
            exposed,
            access: RwLock::new(Arc::new(access)),
        })
    }

    /// Returns the address if other machines can reach the listener. It then needs access control.
    pub(crate) const fn exposed(&self) -> Option<SocketAddr> {
        self.exposed
    }

    /// Puts another access control in force.
    pub(crate) fn replace(&self, access: Access) {
        let mut current = self.access.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(access);
    }

    /// Refuses a caller that may not see or copy everything: the resources are about all tenants.
    pub(super) fn check_manager(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let access = Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner));
        let fields = headers.get_all(AUTHORIZATION).iter();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |now| now.as_millis() as u64);
        let caller = access.judge(fields.map(HeaderValue::as_bytes), now_ms);
        let rights = caller.map_err(|refusal| unauthorized(&refusal))?.rights;
        match rights.manage && rights.prefix.is_empty() {
            true => Ok(()),
            false => Err(Problem::new(
                Code::InsufficientScope,
                "This path needs a token with the scope manage and without a prefix.",
            )
            .with_challenge("error=\"insufficient_scope\", scope=\"manage\"")),
        }
    }
}

fn unauthorized(refusal: &Refusal) -> Problem {
    let problem = |code| Problem::new(code, refusal.to_string());
    match refusal {
        Refusal::Missing => problem(Code::Unauthorized),
        Refusal::Several => problem(Code::BadRequest).with_challenge("error=\"invalid_request\""),
        Refusal::Invalid(_) => {
            problem(Code::Unauthorized).with_challenge("error=\"invalid_token\"")
        }
    }
}
