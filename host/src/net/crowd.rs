//! All connections: their number for each address, and their idle times.

use super::accept::Use;
use crate::limits::PROBE_IDLE;
use crate::telemetry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// Shortest time between two warnings that an address has too many connections.
const WARNING_PAUSE: Duration = Duration::from_secs(60);
/// Connections examined when an address has too many. Each new connection costs this work.
const OLDEST: usize = 64;
/// Checks of a busy connection during one idle timeout.
const CHECKS: u32 = 8;

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Most connections of one address; none means any number.
    per_address: Option<usize>,
    /// Longest time that a connection may have no request.
    idle: Duration,
    known: Mutex<Known>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// The connections of each address by number, the oldest first.
    by_address: HashMap<u64, BTreeMap<u64, Arc<Activity>>>,
    warned: Option<Instant>,
}

/// A registered connection, until this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Arc<Crowd>,
    id: u64,
    address: u64,
    activity: Arc<Activity>,
}

/// The requests of a connection, and its signal to end.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    end: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests without a complete response.
    requests: usize,
    /// Time since which there is no request.
    idle: Instant,
    /// Whether the connection was signalled to end.
    ending: bool,
}

/// A request under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                requests: 0,
                idle: Instant::now(),
                ending: false,
            }),
            end: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.requests = state.requests.saturating_add(1);
        Busy(Arc::clone(self))
    }

    /// Time since which there is no request; none if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0).then_some(state.idle)
    }

    /// Idle since this time, if the connection is idle and was not signalled to end.
    fn endable_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0 && !state.ending).then_some(state.idle)
    }

    fn signal_end(&self) {
        self.state().ending = true;
        self.end.notify_one();
    }

    /// Returns when there was no request for `patience`, or the connection has to make room.
    pub(super) async fn over(&self, patience: Duration) {
        tokio::select! {
            () = self.end.notified() => {}
            () = self.idle_for(patience) => {}
        }
    }

    async fn idle_for(&self, patience: Duration) {
        loop {
            match self.idle_since() {
                None => sleep(patience / CHECKS).await,
                Some(since) => match since.checked_add(patience) {
                    Some(over) if over > Instant::now() => sleep_until(over).await,
                    Some(_) => return,
                    None => std::future::pending().await,
                },
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests = state.requests.saturating_sub(1);
        state.idle = Instant::now();
    }
}

impl Member {
    pub(super) const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Returns when the connection was idle for too long, or has to make room for another.
    pub(super) async fn over(&self, purpose: Use) {
        let patience = match purpose {
            Use::Any => self.crowd.idle,
            Use::Probe => PROBE_IDLE,
        };
        self.activity.over(patience).await;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut known = self.crowd.known();
        if let Some(members) = known.by_address.get_mut(&self.address) {
            members.remove(&self.id);
            if members.is_empty() {
                known.by_address.remove(&self.address);
            }
        }
    }
}

impl Crowd {
    /// A crowd with limits on the connections of one address and on their idle time.
    pub(crate) fn new(per_address: Option<usize>, idle: Duration) -> Arc<Self> {
        Arc::new(Self {
            per_address,
            idle,
            known: Mutex::default(),
            next: AtomicU64::new(0),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection of this address. If the address has too many connections, one of its
    /// oldest that is idle ends for the new one. None if all of these are busy. Probes are always
    /// added, as they have few places.
    pub(super) fn join(self: &Arc<Self>, address: u64, purpose: Use) -> Option<Member> {
        let mut known = self.known();
        let members = known.by_address.entry(address).or_default();
        let is_full = self.per_address.is_some_and(|most| members.len() >= most);
        if is_full && purpose == Use::Any && !end_oldest(members) {
            let warned = known.warned;
            if warned.is_none_or(|at| at.elapsed() > WARNING_PAUSE) {
                known.warned = Some(Instant::now());
                drop(known);
                let why = "an address already has as many connections as \
                           --connections-per-address allows";
                telemetry::warn("connection refused", why);
            }
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let activity = Activity::new();
        members.insert(id, Arc::clone(&activity));
        Some(Member {
            crowd: Arc::clone(self),
            id,
            address,
            activity,
        })
    }

    /// Ends up to `connections` connections, those idle for longest first.
    pub(super) fn make_room(&self, connections: usize) {
        let known = self.known();
        let members = known.by_address.values().flat_map(BTreeMap::values);
        let mut idle: Vec<_> = members
            .filter_map(|activity| Some((activity.endable_since()?, activity)))
            .collect();
        let wanted = connections.min(idle.len());
        if wanted == 0 {
            return;
        }
        idle.select_nth_unstable_by_key(wanted.saturating_sub(1), |(since, _)| *since);
        for (_, activity) in idle.iter().take(wanted) {
            activity.signal_end();
        }
    }
}

/// Ends the longest idle of the oldest connections. Returns false if all of these are busy.
fn end_oldest(members: &BTreeMap<u64, Arc<Activity>>) -> bool {
    let oldest = members.values().take(OLDEST);
    let idle = oldest.filter_map(|activity| Some((activity.endable_since()?, activity)));
    let first = idle.min_by_key(|(since, _)| *since);
    first
        .inspect(|(_, activity)| activity.signal_end())
        .is_some()
}

#[cfg(test)]
mod tests;
