//! The control calls under `{base_path}/__ds/` (sections 6 and 7): which call a path means.

use crate::limits::MAX_ID_BYTES;

/// What a control call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// The public keys of webhooks (section 6.5).
    Keys,
    /// Sign with a new key from now on.
    RotateKeys {
        /// The bearer token that came with it.
        token: Option<Vec<u8>>,
    },
    /// Something with a subscription.
    Subscription {
        /// Its id.
        id: String,
        /// What.
        action: SubscriptionAction,
    },
}

/// What a request does with a subscription. What it says more is in its body.
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
    /// One of the calls of a worker that has the lease.
    Work {
        /// Which.
        call: WorkCall,
        /// The bearer token that came with it.
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
    /// The id of the subscription, where the call is about one.
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

/// The call that a decoded path after `__ds/` means.
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
