//! Accepts connections only while descriptors are left for them. Otherwise the store would run out
//! of descriptors in the middle of a write.

use super::listen::{Arrived, Listener};
use crate::limits::PROBE_PLACES;
use crate::telemetry;
use rlimit::{Resource, getrlimit};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// Least number of descriptors left to the store's segments, to Redis and to webhooks.
const RESERVED: u64 = 256;
/// The part of the limit left to them if that is more: one in this many descriptors. A store of a
/// terabyte has 16,384 segments.
const RESERVED_PART: u64 = 4;
/// Connections accepted even with a very low limit.
const LEAST: u64 = 64;
/// Pause after the system failed to accept a connection.
const PAUSE: Duration = Duration::from_millis(50);
/// Shortest time between two warnings that all places are taken.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// The places for connections.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    most: usize,
    any: Arc<Semaphore>,
    /// Places for connections that only send health probes, while all other places are taken.
    probes: Arc<Semaphore>,
}

impl Places {
    /// As many places as the process's limit of open files allows.
    pub(crate) fn by_limit() -> Self {
        let limit = getrlimit(Resource::NOFILE).map_or(0, |(soft, _)| soft);
        Self::new(most(limit).saturating_sub(PROBE_PLACES), PROBE_PLACES)
    }

    /// Creates `any` places, and `probes` places for probes.
    pub(crate) fn new(any: usize, probes: usize) -> Self {
        Self {
            most: any,
            any: Arc::new(Semaphore::new(any)),
            probes: Arc::new(Semaphore::new(probes)),
        }
    }

    /// Most connections at a time, without those for probes.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// A place for a probe, if one is free.
    pub(super) fn probe(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.probes).try_acquire_owned().ok()
    }

    /// Number of free places.
    pub(crate) fn left(&self) -> usize {
        self.any.available_permits()
    }
}

/// Requests that a connection may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Any request.
    Any,
    /// Probes of the server's health only.
    Probe,
}

fn most(limit: u64) -> usize {
    let reserved = RESERVED.max(limit / RESERVED_PART);
    let most = limit.saturating_sub(reserved).max(LEAST);
    usize::try_from(most).map_or(Semaphore::MAX_PERMITS, |most| {
        most.min(Semaphore::MAX_PERMITS)
    })
}

/// An accepted connection.
pub(crate) struct Accepted {
    pub(crate) arrived: Arrived,
    pub(crate) peer: IpAddr,
    /// Kept for as long as the connection lives.
    pub(crate) place: OwnedSemaphorePermit,
    pub(crate) purpose: Use,
}

/// Accepts connections from all listening sockets.
pub(crate) struct Door {
    listeners: Vec<Listener>,
    /// Index of the socket that is asked first for the next connection.
    turn: usize,
    places: Places,
    /// Time of the last warning that all places are taken.
    full_warned: Option<Instant>,
    /// Whether the current failure to accept was logged.
    error_logged: bool,
}

impl Door {
    pub(crate) const fn new(listeners: Vec<Listener>, places: Places) -> Self {
        Self {
            listeners,
            turn: 0,
            places,
            full_warned: None,
            error_logged: false,
        }
    }

    /// Returns the next connection after reserving a place for it. Until then clients wait in the
    /// system's backlog.
    pub(crate) async fn next(&mut self) -> Accepted {
        let (mut place, mut purpose) = self.place().await;
        loop {
            match poll_fn(|context| self.poll_accept(context)).await {
                Ok((arrived, peer)) => {
                    if std::mem::take(&mut self.error_logged) {
                        telemetry::back("the server accepts connections again");
                    }
                    if purpose == Use::Probe
                        && let Ok(free) = Arc::clone(&self.places.any).try_acquire_owned()
                    {
                        (place, purpose) = (free, Use::Any);
                    }
                    return Accepted {
                        arrived,
                        peer,
                        place,
                        purpose,
                    };
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.error_logged, true) {
                        telemetry::warn("no connection accepted", &error.to_string());
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts from the sockets in turn, so that a busy one does not keep out the others.
    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Arrived, IpAddr)>> {
        let first = self.turn.checked_rem(self.listeners.len()).unwrap_or(0);
        let (before, after) = self.listeners.split_at(first);
        for (index, listener) in (first..).zip(after).chain((0..).zip(before)) {
            let accepted = listener.poll_accept(context);
            if accepted.is_ready() {
                self.turn = index.saturating_add(1);
                return accepted;
            }
        }
        Poll::Pending
    }

    /// The places.
    pub(super) const fn places(&self) -> &Places {
        &self.places
    }

    async fn place(&mut self) -> (OwnedSemaphorePermit, Use) {
        if let Ok(place) = Arc::clone(&self.places.any).try_acquire_owned() {
            return (place, Use::Any);
        }
        if self
            .full_warned
            .is_none_or(|at| at.elapsed() > WARNING_PAUSE)
        {
            self.full_warned = Some(Instant::now());
            let why = "all places of this listener are taken; only probes are answered";
            telemetry::warn("connections refused", why);
        }
        tokio::select! {
            biased;
            Ok(place) = Arc::clone(&self.places.any).acquire_owned() => (place, Use::Any),
            Ok(place) = Arc::clone(&self.places.probes).acquire_owned() => (place, Use::Probe),
            // These semaphores are never closed.
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::listen::{Address, Listen, Transport};
    use futures::FutureExt;
    use std::net::SocketAddr;
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    /// Longest wait of these tests before they fail.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn file_descriptors_are_left_for_the_store() {
        for (limit, expected) in [
            (0, 64),
            (256, 64),
            (1024, 768),
            (4096, 3072),
            (1 << 20, 3 << 18),
            (u64::MAX, Semaphore::MAX_PERMITS),
        ] {
            assert_eq!(most(limit), expected, "{limit}");
        }
    }

    async fn listen() -> (Listener, SocketAddr) {
        let at = Listen::Tcp(([127, 0, 0, 1], 0).into());
        let listener = Listener::bind(&at, None).await.expect("a free port");
        match listener.address() {
            Ok(Address::Tcp { address, .. }) => (listener, address),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_socket_with_many_connections_does_not_keep_out_another() {
        let ((busy, at_busy), (other, at_other)) = (listen().await, listen().await);
        let mut clients = Vec::new();
        for address in [at_busy, at_busy, at_busy, at_busy, at_other] {
            clients.push(TcpStream::connect(address).await.expect("a connection"));
        }
        let mut door = Door::new(vec![busy, other], Places::new(10, 0));
        let mut places = Vec::new();
        for _ in &clients {
            places.push(timeout(PATIENCE, door.next()).await.expect("a connection"));
        }
        let locals = places.iter().map(|accepted| match &accepted.arrived {
            Arrived::Open(Transport::Tcp(stream)) => stream.local_addr().expect("its address"),
            other => panic!("{other:?}"),
        });
        let turn = locals.take(2).position(|local| local == at_other);
        assert!(turn.is_some(), "it comes among the first two");
    }

    #[tokio::test]
    async fn a_connection_waits_until_there_is_a_place_for_it() {
        let (listener, address) = listen().await;
        let mut door = Door::new(vec![listener], Places::new(1, 1));
        let connect = || TcpStream::connect(address);
        let _clients = (connect().await, connect().await, connect().await);
        let first = door.next().await;
        let second = door.next().await;
        assert_eq!((first.purpose, second.purpose), (Use::Any, Use::Probe));
        assert!(door.next().now_or_never().is_none());
        drop(first);
        assert_eq!(door.next().await.purpose, Use::Any);
    }
}
