//! Requests that a listener answers by itself, before its handler.

use crate::answers::ResponseBody;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use std::net::IpAddr;

/// The parts of a request that a desk reads.
pub(crate) struct Asked<'a> {
    /// The address of this machine that the connection uses.
    pub(crate) local: IpAddr,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
}

/// Answers some requests of a listener, and rewrites the others.
pub(crate) trait Desk: Send + Sync {
    /// Returns the response to a request that the desk answers or refuses.
    fn answer(&self, asked: &Asked<'_>) -> Option<Response<ResponseBody>>;

    /// Returns the token that lets the handler perform a request of an operator. It is never given to
    /// a request that [`Self::answer`] would refuse.
    fn token(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue>;

    /// Returns the target by which the handler knows this one, if it differs.
    fn target(&self, target: &Uri) -> Option<Uri>;

    /// Changes the handler's response to a request with a rewritten target.
    fn finish(&self, response: &mut Response<ResponseBody>);
}
