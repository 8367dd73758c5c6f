//! The control calls under `{base_path}/__ds/` (sections 6 and 7), and their paths.

use crate::limits::MAX_ID_BYTES;

/// A control call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The public keys of webhooks (section 6.5).
    Keys,
    /// Signs with a new key from now on.
    RotateKeys {
        /// The bearer token of the request.
        token: Option<Vec<u8>>,
    },
    /// A call for one subscription.
    Subscription {
        /// The subscription's id.
        id: String,
        /// The action.
        action: SubscriptionAction,
    },
}

/// Action of a request on a subscription. The request's body has the details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionAction {
    /// `PUT` (section 6.2).
    Create,
    /// `GET` (section 6.3).
    Read,
    /// `DELETE` (section 6.3).
    Delete,
    /// `POST .../streams` (section 6.4).
    AddStreams,
    /// `DELETE .../streams/:path` (section 6.4).
    RemoveStream(String),
    /// `POST .../claim` (section 7.2).
    Claim,
    /// A call of a worker that has the lease.
    Work {
        /// The call.
        call: WorkCall,
        /// The bearer token of the request.
        token: Option<Vec<u8>>,
    },
}

/// A call of a worker that has the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkCall {
    /// `POST .../callback` (section 7.1).
    Callback,
    /// `POST .../ack` (section 7.2).
    Ack,
    /// `POST .../release` (section 7.2).
    Release,
}

/// A path of a control call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ControlRoute {
    Keys,
    RotateKeys,
    Subscription(String),
    Streams(String),
    Stream(String, String),
    Claim(String),
    Work(String, WorkCall),
}

impl ControlRoute {
    /// Returns the id of the subscription, if the call concerns one.
    pub(super) fn subscription(&self) -> Option<&str> {
        match self {
            Self::Keys | Self::RotateKeys => None,
            Self::Subscription(id)
            | Self::Streams(id)
            | Self::Stream(id, _)
            | Self::Claim(id)
            | Self::Work(id, _) => Some(id),
        }
    }
}

/// Returns the call for a decoded path after `__ds/`.
pub(super) fn route(path: &str) -> Option<ControlRoute> {
    match path {
        "jwks.json" => return Some(ControlRoute::Keys),
        "jwks/rotate" => return Some(ControlRoute::RotateKeys),
        _ => {}
    }
    let rest = path.strip_prefix("subscriptions/")?;
    let (id, call) = match rest.split_once('/') {
        Some((id, call)) => (id, Some(call)),
        None => (rest, None),
    };
    let good = (1..=MAX_ID_BYTES).contains(&id.len()) && !id.bytes().any(|b| b.is_ascii_control());
    if !good {
        return None;
    }
    let id = id.to_owned();
    Some(match call {
        None => ControlRoute::Subscription(id),
        Some("streams") => ControlRoute::Streams(id),
        Some("claim") => ControlRoute::Claim(id),
        Some("callback") => ControlRoute::Work(id, WorkCall::Callback),
        Some("ack") => ControlRoute::Work(id, WorkCall::Ack),
        Some("release") => ControlRoute::Work(id, WorkCall::Release),
        Some(other) => ControlRoute::Stream(id, other.strip_prefix("streams/")?.to_owned()),
    })
}
