//! A TCP proxy that cuts connections at random byte positions.

use super::Random;
use super::server::url_at;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// When the proxy cuts a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cuts {
    Never,
    /// After a random number of bytes in both directions, up to this one. Each power of two is
    /// equally likely.
    UpTo(usize),
    /// Never, but all connections stand still after this number of bytes.
    HoldAfter(usize),
}

/// A running proxy. Dropping this value stops it.
#[derive(Debug)]
pub(crate) struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Debug)]
struct Shared {
    server: Mutex<SocketAddr>,
    random: Mutex<Random>,
    cuts: Cuts,
    cut: AtomicUsize,
    bytes: AtomicUsize,
    is_over: AtomicBool,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr, cuts: Cuts, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            random: Mutex::new(Random::seeded(seed)),
            cuts,
            cut: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.carry(client));
            }
        });
        Self { shared, address }
    }

    /// Base URL of the streams behind the proxy.
    pub(crate) fn url(&self) -> String {
        url_at(self.address)
    }

    /// Sends later connections to another server.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        *lock(&self.shared.server) = server;
    }

    /// Connections that were cut.
    pub(crate) fn cut(&self) -> usize {
        self.shared.cut.load(Ordering::Relaxed)
    }

    /// Whether the connections stand still.
    pub(crate) fn is_holding(&self) -> bool {
        matches!(self.shared.cuts, Cuts::HoldAfter(limit) if self.bytes() >= limit)
    }

    /// Bytes that were carried in both directions.
    pub(crate) fn bytes(&self) -> usize {
        self.shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // The listener sees the end with its next connection.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn carry(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(*lock(&self.server)) else {
            return;
        };
        let budget = match self.cuts {
            Cuts::Never | Cuts::HoldAfter(_) => usize::MAX,
            Cuts::UpTo(most) => {
                let mut random = lock(&self.random);
                let power = random.below(most.ilog2() as usize) + 1;
                random.below(1 << power) + (1 << power)
            }
        };
        let left = Arc::new(AtomicUsize::new(budget));
        let (from_client, to_server) = (client.try_clone(), server.try_clone());
        let (Ok(from_client), Ok(to_server)) = (from_client, to_server) else {
            return;
        };
        let (shared, left_up) = (Arc::clone(self), Arc::clone(&left));
        let up = std::thread::spawn(move || shared.copy(from_client, to_server, &left_up));
        self.copy(server, client, &left);
        let _ = up.join();
    }

    /// Copies one direction until its end, or until both directions used up the budget.
    fn copy(&self, mut from: TcpStream, mut to: TcpStream, left: &AtomicUsize) {
        let mut buffer = [0; 4096];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(read) => read,
            };
            while let Cuts::HoldAfter(limit) = self.cuts
                && self.bytes.load(Ordering::Relaxed) >= limit
            {
                if self.is_over.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::park_timeout(Duration::from_millis(2));
            }
            let before = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    Some(left.saturating_sub(read))
                })
                .expect("the update always succeeds");
            let passed = read.min(before);
            self.bytes.fetch_add(passed, Ordering::Relaxed);
            if to.write_all(&buffer[..passed]).is_err() {
                break;
            }
            if passed < read {
                self.cut.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
