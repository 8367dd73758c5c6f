//! Sockets that a supervisor passes (`sd_listen_fds(3)`): `LISTEN_FDS` counts the descriptors from
//! 3 on, and `LISTEN_PID` is the process that they are for.

use rustix::net::{AddressFamily, SocketType, sockopt};
use std::fmt::{self, Display, Formatter};
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

/// The first passed descriptor.
const FIRST: RawFd = 3;

/// Error of passed sockets. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// The variable is malformed.
    #[error("LISTEN_FDS is {0:?}; it must be the number of passed sockets")]
    Count(String),
    /// A passed descriptor is unusable.
    #[error(
        "descriptor {descriptor} of LISTEN_FDS is not a listening stream socket of TCP or Unix \
         ({why}). In the .socket unit use ListenStream= and Accept=no"
    )]
    Socket {
        /// The descriptor.
        descriptor: RawFd,
        /// The reason.
        why: String,
    },
}

/// A listening socket that was opened by the supervisor.
#[derive(Debug)]
pub enum Inherited {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Display for Inherited {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => write!(formatter, "the passed socket {listener:?}"),
            Self::Unix(listener) => write!(formatter, "the passed socket {listener:?}"),
        }
    }
}

impl Inherited {
    /// Takes the sockets that the environment announces for the process `pid`. The process must
    /// call this once at most, with its real environment.
    ///
    /// # Errors
    ///
    /// [`ActivationError`] if the variables are malformed, or a descriptor is no such socket.
    pub fn take_all<'a>(
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        pid: u32,
    ) -> Result<Vec<Self>, ActivationError> {
        let last = FIRST.saturating_add(count(environment, pid)?);
        (FIRST..last).map(take).collect()
    }
}

/// Number of the descriptors for the process `pid`.
fn count<'a>(
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    pid: u32,
) -> Result<RawFd, ActivationError> {
    let (mut count, mut process) = (None, None);
    for (name, value) in environment {
        match name {
            "LISTEN_FDS" => count = Some(value),
            "LISTEN_PID" => process = value.parse().ok(),
            _ => {}
        }
    }
    match count {
        // A process that did not clear its environment started this one.
        Some(_) if process != Some(pid) => Ok(0),
        Some(count) => {
            let parsed = count.parse().ok().filter(|count| *count >= 0);
            parsed.ok_or_else(|| ActivationError::Count(count.to_owned()))
        }
        None => Ok(0),
    }
}

fn take(descriptor: RawFd) -> Result<Inherited, ActivationError> {
    let unusable = |why: String| ActivationError::Socket { descriptor, why };
    let is_open = std::fs::symlink_metadata(format!("/dev/fd/{descriptor}")).is_ok();
    if !is_open {
        return Err(unusable("it is not open".to_owned()));
    }
    #[expect(unsafe_code, reason = "the standard library has no other way")]
    // SAFETY: the descriptor is open. The supervisor passed it to this process, so that nothing
    // else here owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let family = inspect(&socket);
    match family.map_err(|error| unusable(error.to_string()))? {
        Some(AddressFamily::INET | AddressFamily::INET6) => Ok(Inherited::Tcp(socket.into())),
        Some(AddressFamily::UNIX) => Ok(Inherited::Unix(socket.into())),
        _ => Err(unusable("it is of another kind".to_owned())),
    }
}

/// Address family of a listening stream socket; none for any other socket.
fn inspect(socket: &OwnedFd) -> rustix::io::Result<Option<AddressFamily>> {
    let is_stream = sockopt::socket_type(socket)? == SocketType::STREAM;
    let listens = sockopt::socket_acceptconn(socket)?;
    let family = sockopt::socket_domain(socket)?;
    Ok((is_stream && listens).then_some(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(variables: &[(&str, &str)]) -> Result<RawFd, String> {
        count(variables.iter().copied(), 7).map_err(|error| error.to_string())
    }

    #[test]
    fn only_sockets_for_this_process_are_taken() {
        assert_eq!(counted(&[]), Ok(0));
        assert_eq!(counted(&[("LISTEN_PID", "7")]), Ok(0));
        assert_eq!(counted(&[("LISTEN_FDS", "2"), ("LISTEN_PID", "7")]), Ok(2));
        for other in ["8", "", "x"] {
            let variables = [("LISTEN_FDS", "2"), ("LISTEN_PID", other)];
            assert_eq!(counted(&variables), Ok(0), "{other}");
        }
        assert_eq!(counted(&[("LISTEN_FDS", "2")]), Ok(0));
    }

    #[test]
    fn a_malformed_number_of_sockets_is_refused() {
        for count in ["", "-1", "many", "99999999999"] {
            let error = counted(&[("LISTEN_FDS", count), ("LISTEN_PID", "7")]);
            assert!(error.is_err_and(|error| error.contains("LISTEN_FDS")));
        }
    }

    #[test]
    fn a_listening_stream_socket_is_distinguished_from_others() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let client = std::net::TcpStream::connect(address).expect("a connection");
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        assert_eq!(inspect(&listener.into()), Ok(Some(AddressFamily::INET)));
        assert_eq!(inspect(&client.into()), Ok(None));
        assert_eq!(inspect(&datagrams.into()), Ok(None));
        let file: OwnedFd = tempfile::tempfile().expect("a file").into();
        assert!(inspect(&file).is_err());
    }
}
