//! All connections, and the choice of the one that ends when others wait for its room.

use super::line::Line;
use super::pool::Pool;
use crate::limits::{ADDRESS_PART, LEAST_RATE_IN_NEED, NEED_LOOK, NEED_PERIOD, UNSENT};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::sleep;

/// The room for the responses of a process.
#[derive(Debug)]
pub(crate) struct Unsent {
    pool: Arc<Pool>,
    /// Bytes that a read reserves before it knows the size of its response.
    page: AtomicUsize,
    /// How long a connection is watched before it is ended.
    period: Duration,
    /// Room for all connections of one address.
    per_address: usize,
    lines: Mutex<HashMap<u64, Known>>,
    addresses: Mutex<HashMap<u64, Weak<Pool>>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Known {
    /// The client's address.
    address: u64,
    line: Arc<Line>,
}

/// A connection that has a share until this is dropped.
pub(crate) struct Registered {
    unsent: Arc<Unsent>,
    id: u64,
    line: Arc<Line>,
}

impl Registered {
    /// The connection's share.
    pub(crate) const fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut lines = self.unsent.lines();
        let known = lines.remove(&self.id);
        drop(lines);
        let Some(known) = known else { return };
        let parts = self.unsent.addresses.lock();
        let mut parts = parts.unwrap_or_else(PoisonError::into_inner);
        // The last reference is this connection's. Bytes not yet dropped hold further ones.
        if Arc::strong_count(&self.line.address) <= 1 {
            parts.remove(&known.address);
        }
    }
}

/// A connection that holds room, as observed in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    id: u64,
    address: u64,
    held: usize,
    /// Bytes sent to the client in the period.
    took: u64,
}

impl Unsent {
    /// Room of the default size, with pages of the given size. One address gets a part of the room,
    /// unless all connections come from one proxy.
    pub(crate) fn new(page: usize, proxied: bool) -> Arc<Self> {
        let per_address = match proxied {
            true => UNSENT,
            false => UNSENT / ADDRESS_PART,
        };
        Self::watching(page, UNSENT, per_address, NEED_PERIOD)
    }

    /// Room of this many bytes, with pages of the given size, for connections that may all come
    /// from one address.
    pub(crate) fn of(bytes: usize, page: usize) -> Arc<Self> {
        Self::watching(page, bytes, bytes, NEED_PERIOD)
    }

    fn watching(page: usize, bytes: usize, per_address: usize, period: Duration) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(bytes),
            page: AtomicUsize::new(page),
            period,
            per_address,
            addresses: Mutex::default(),
            lines: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    /// Sets the size of pages for further connections.
    pub(crate) fn set_page(&self, page: usize) {
        self.page.store(page, Ordering::Relaxed);
    }

    /// The room that all connections share.
    pub(crate) const fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The room that all connections of an address share.
    fn part(&self, address: u64) -> Arc<Pool> {
        let parts = self.addresses.lock();
        let mut parts = parts.unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts.get(&address).and_then(Weak::upgrade) {
            return part;
        }
        // Bytes left at the end of the last connection may have kept a part alive.
        if parts.len().is_power_of_two() {
            parts.retain(|_, part| part.strong_count() > 0);
        }
        let part = self.pool.part(self.per_address);
        parts.insert(address, Arc::downgrade(&part));
        part
    }

    /// Gives a connection from this address a share.
    pub(crate) fn register(self: &Arc<Self>, address: u64) -> Registered {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let page = self.page.load(Ordering::Relaxed);
        let line = Line::new(Arc::clone(&self.pool), self.part(address), page);
        let known = Known {
            address,
            line: Arc::clone(&line),
        };
        self.lines().insert(id, known);
        Registered {
            unsent: Arc::clone(self),
            id,
            line,
        }
    }

    /// Ends slow connections while others wait for their room. It runs until it is dropped.
    pub(crate) async fn relieve(self: Arc<Self>) {
        loop {
            self.pool.pressed().await;
            while self.pool.is_pressed() {
                self.relieve_once().await;
            }
        }
    }

    /// Watches all connections for a period, and ends the slow ones one by one.
    async fn relieve_once(&self) {
        let before: HashMap<u64, u64> = {
            let lines = self.lines();
            let sent = lines.iter().map(|(id, known)| (*id, known.line.sent()));
            sent.collect()
        };
        sleep(self.period).await;
        let mut seen = self.seen(&before);
        while self.pool.is_pressed()
            && let Some(slowest) = slowest(&seen, self.period)
        {
            seen.retain(|seen| seen.id != slowest);
            if let Some(known) = self.lines().get(&slowest) {
                known.line.cut();
            }
            sleep(NEED_LOOK).await;
        }
    }

    fn seen(&self, before: &HashMap<u64, u64>) -> Vec<Seen> {
        let lines = self.lines();
        let seen = lines.iter().filter_map(|(id, known)| {
            Some(Seen {
                id: *id,
                address: known.address,
                held: known.line.held(),
                took: known.line.sent().saturating_sub(*before.get(id)?),
            })
        });
        seen.collect()
    }
}

/// Returns the connection to end first. Of the address that holds most room, this is the connection
/// that received the fewest bytes in the period. Connections above the least rate are not ended.
fn slowest(seen: &[Seen], period: Duration) -> Option<u64> {
    let least = u128::from(LEAST_RATE_IN_NEED).saturating_mul(period.as_millis()) / 1000;
    let slow = || {
        seen.iter()
            .filter(|seen| seen.held > 0 && u128::from(seen.took) < least)
    };
    let mut by_address: HashMap<u64, usize> = HashMap::new();
    for seen in slow() {
        let held = by_address.entry(seen.address).or_default();
        *held = held.saturating_add(seen.held);
    }
    let (most, _) = by_address.into_iter().max_by_key(|(_, held)| *held)?;
    let of_most = slow().filter(|seen| seen.address == most);
    let slowest = of_most.min_by_key(|seen| (seen.took, usize::MAX - seen.held));
    slowest.map(|seen| seen.id)
}

#[cfg(test)]
mod tests {
    use super::super::room::Room;
    use super::*;
    use futures::FutureExt;

    const fn seen(id: u64, address: u64, held: usize, took: u64) -> Seen {
        Seen {
            id,
            address,
            held,
            took,
        }
    }

    #[test]
    fn the_address_that_holds_most_loses_its_slowest_connection() {
        let period = Duration::from_secs(2);
        let quick = LEAST_RATE_IN_NEED * 2;
        let all = [
            seen(1, 1, 300, 0),
            seen(2, 2, 200, 5),
            seen(3, 2, 200, 4),
            seen(4, 2, 10, 4),
            seen(5, 3, 9000, quick),
            seen(6, 2, 0, 0),
        ];
        assert_eq!(slowest(&all, period), Some(3));
        assert_eq!(slowest(&all[..1], period), Some(1));
        assert_eq!(slowest(&all[4..], period), None);
    }

    #[tokio::test]
    async fn connections_that_take_nothing_end_while_another_waits() {
        let unsent = Unsent::watching(1 << 20, UNSENT, UNSENT, Duration::from_millis(1));
        let relief = tokio::spawn(Arc::clone(&unsent).relieve());
        let mut held = Vec::new();
        let waits = loop {
            let line = unsent.register(held.len() as u64);
            let mut room = Box::pin(Room::reserve(Arc::clone(line.line()), 1 << 20));
            match (&mut room).now_or_never() {
                Some(room) => held.push((line, room)),
                None => break (line, room),
            }
        };
        let (waiting, room) = waits;
        // A connection that receives the signal drops its room.
        let ends = held.into_iter().map(|(line, room)| async move {
            line.line().is_cut().await;
            drop(room);
        });
        let ends = futures::future::select_all(ends.map(Box::pin));
        let (room, _) = tokio::join!(room, ends);
        assert!(room.is_some());
        assert!(waiting.line().is_cut().now_or_never().is_none());
        relief.abort();
    }

    #[test]
    fn a_connection_that_is_gone_is_forgotten() {
        let unsent = Unsent::new(1, false);
        drop((unsent.register(1), unsent.register(1), unsent.register(2)));
        assert!(unsent.lines().is_empty());
        let addresses = unsent.addresses.lock().expect("no panic");
        assert!(addresses.values().all(|part| part.upgrade().is_none()));
    }

    /// Thousands of unread responses of one address kept all other clients waiting.
    #[tokio::test]
    async fn an_address_leaves_room_for_others() {
        let unsent = Unsent::new(1 << 20, false);
        let (mut lines, mut rooms) = (vec![], vec![]);
        loop {
            let line = unsent.register(1);
            let room = Room::reserve(Arc::clone(line.line()), 1 << 20).now_or_never();
            let Some(room) = room else { break };
            rooms.push(room);
            lines.push(line);
        }
        assert_eq!(rooms.len() << 20, UNSENT / ADDRESS_PART);
        let other = unsent.register(2);
        let room = Room::reserve(Arc::clone(other.line()), 1 << 20).now_or_never();
        assert!(room.is_some());
    }
}
