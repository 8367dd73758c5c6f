//! Addresses to listen on: as given, and as opened.

use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What begins the path of a Unix socket.
const UNIX: &str = "unix:";

/// Address to listen on, as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// Address and port of TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// Error of a text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("use IP:PORT, such as 127.0.0.1:4437 or [::]:4437, or unix:PATH")]
pub struct NotAnAddress;

impl FromStr for Listen {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix(UNIX) {
            Some("") => Err(NotAnAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAnAddress),
        }
    }
}

impl Display for Listen {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "{UNIX}{}", path.display()),
        }
    }
}

/// Address of an open socket. Its text is a URL, or `unix:` and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP socket.
    Tcp {
        /// Address and port.
        address: SocketAddr,
        /// Whether its connections use TLS.
        tls: bool,
    },
    /// A Unix socket. Without a path, the supervisor's socket has no name in the file system.
    Unix(Option<PathBuf>),
}

impl Display for Address {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp {
                address,
                tls: false,
            } => write!(formatter, "http://{address}"),
            Self::Tcp { address, tls: true } => write!(formatter, "https://{address}"),
            Self::Unix(Some(path)) => write!(formatter, "{UNIX}{}", path.display()),
            Self::Unix(None) => write!(formatter, "{UNIX}(unnamed)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tcp_or_the_path_of_a_unix_socket() {
        for text in ["127.0.0.1:0", "[::1]:4437", "unix:/run/ds.sock", "unix:a:1"] {
            let parsed: Result<Listen, _> = text.parse();
            assert_eq!(parsed.map(|listen| listen.to_string()), Ok(text.to_owned()));
        }
        for text in [
            "",
            "unix:",
            "127.0.0.1",
            ":4437",
            "localhost:4437",
            "/run/ds.sock",
        ] {
            assert_eq!(text.parse::<Listen>(), Err(NotAnAddress), "{text}");
        }
    }

    #[test]
    fn the_text_of_an_open_socket_is_its_url() {
        let address: SocketAddr = "127.0.0.1:4437".parse().expect("an address");
        let tcp = |tls| Address::Tcp { address, tls }.to_string();
        assert_eq!(tcp(false), "http://127.0.0.1:4437");
        assert_eq!(tcp(true), "https://127.0.0.1:4437");
        let unix = Address::Unix(Some("/run/ds.sock".into()));
        assert_eq!(unix.to_string(), "unix:/run/ds.sock");
    }
}
