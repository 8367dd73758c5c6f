//! The address of the admin listener.

use crate::net::{Address, Certificates, Listen, ListenError, Listener};
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

/// Address of the admin listener, unless a flag gives another one.
const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4438);

/// Value of `--admin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminAddress {
    /// No admin listener.
    Off,
    /// The address and port to listen on. Port 0 takes a free one.
    At(SocketAddr),
}

/// Reason why a value of `--admin` is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected ADDRESS:PORT, such as {DEFAULT}, or off")]
pub struct BadAddress;

impl FromStr for AdminAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| BadAddress),
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => out.write_str("off"),
            Self::At(address) => address.fmt(out),
        }
    }
}

/// The admin listener that a server is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Admin {
    /// The default address, or a free port if that address is in use.
    #[default]
    Default,
    /// The address that the operator chose.
    Chosen(AdminAddress),
}

impl Admin {
    /// The address to try first. None without an admin listener.
    pub(crate) const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Default => Some(DEFAULT),
            Self::Chosen(AdminAddress::At(address)) => Some(address),
            Self::Chosen(AdminAddress::Off) => None,
        }
    }
}

/// A bound admin listener.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) listener: Listener,
    /// The address that it listens on.
    pub(crate) address: Address,
    /// The default address, if another process uses it.
    pub(crate) busy: Option<SocketAddr>,
}

/// Binds the admin listener. Only for the default address does a free port replace a busy one:
/// several servers on one machine are common, and a chosen port is one that others connect to.
/// Other machines reach the listener by TLS if there are `certificates`; this machine needs none.
///
/// # Errors
///
/// [`ListenError`] if the address can't be bound.
pub(crate) async fn bind(
    admin: Admin,
    address: SocketAddr,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Bound, ListenError> {
    let certificates = certificates.filter(|_| !address.ip().to_canonical().is_loopback());
    let (listener, busy) = match Listener::bind(&Listen::Tcp(address), certificates).await {
        Err(error) if admin == Admin::Default && error.source.kind() == ErrorKind::AddrInUse => {
            let free = Listen::Tcp(SocketAddr::new(address.ip(), 0));
            (Listener::bind(&free, certificates).await?, Some(address))
        }
        bound => (bound?, None),
    };
    let address = listener.address()?;
    Ok(Bound {
        listener,
        address,
        busy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn an_address_or_off_is_accepted_and_everything_else_is_refused() {
        assert_eq!("off".parse(), Ok(AdminAddress::Off));
        let at = AdminAddress::At(DEFAULT);
        assert_eq!("127.0.0.1:4438".parse(), Ok(at));
        assert_eq!(at.to_string(), "127.0.0.1:4438");
        assert_eq!(AdminAddress::Off.to_string(), "off");
        for text in ["", "on", "4438", "localhost:4438", "127.0.0.1", "OFF"] {
            assert_eq!(text.parse::<AdminAddress>(), Err(BadAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn a_busy_default_port_is_replaced_and_a_busy_chosen_port_is_an_error() {
        let other = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let busy = other.local_addr().expect("its address");
        let bound = bind(Admin::Default, busy, None).await;
        let bound = bound.expect("a free port");
        assert_eq!(bound.busy, Some(busy));
        let Address::Tcp { address, tls } = bound.address else {
            panic!("{:?}", bound.address);
        };
        assert!(!tls);
        assert_eq!(address.ip(), busy.ip());
        assert_ne!(address.port(), busy.port());
        let chosen = Admin::Chosen(AdminAddress::At(busy));
        let error = bind(chosen, busy, None).await.expect_err("it is busy");
        assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
    }
}
