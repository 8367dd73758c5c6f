//! Calls under `{base_path}/__ds` that list and describe.

use super::super::name::StreamName;
use super::super::paths::STREAMS;

/// A call that lists or describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// `GET {base_path}/__ds`: describes the server.
    Server,
    /// `GET .../streams`: lists streams.
    Streams,
    /// `GET .../streams/NAME`: describes a stream.
    Stream(StreamName),
    /// `GET .../subscriptions`: lists subscriptions.
    Subscriptions,
}

/// A path of such a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListingRoute {
    Server,
    Streams,
    Stream(String),
    Subscriptions,
}

/// Returns the call for a decoded path after `__ds/`.
pub(super) fn route(path: &str) -> Option<ListingRoute> {
    match path {
        "" => Some(ListingRoute::Server),
        "streams" => Some(ListingRoute::Streams),
        "subscriptions" => Some(ListingRoute::Subscriptions),
        _ => {
            let name = path.strip_prefix(STREAMS)?;
            (!name.is_empty()).then(|| ListingRoute::Stream(name.to_owned()))
        }
    }
}
