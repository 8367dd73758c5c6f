//! All connections: how many an address has, and which are idle.

use super::accept::Use;
use crate::limits::PROBE_IDLE;
use crate::telemetry;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// How often it is told that an address has too many connections.
const TOLD_FOR: Duration = Duration::from_secs(60);
/// Looks at a busy connection in the time that it may be idle.
const LOOKS: u32 = 8;

/// The connections of a server.
#[derive(Debug)]
pub(crate) struct Crowd {
    /// Connections of one address, at most; none means any number.
    per_address: Option<usize>,
    /// How long a connection may have no request.
    idle: Duration,
    known: Mutex<Known>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    by_address: HashMap<u64, usize>,
    members: HashMap<u64, Arc<Activity>>,
    told: Option<Instant>,
}

/// A connection of the crowd until this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Arc<Crowd>,
    id: u64,
    address: u64,
    activity: Arc<Activity>,
}

/// What a connection does.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    end: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests that are not answered to their end.
    requests: usize,
    /// Since there are none.
    idle: Instant,
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

    /// Since when there is no request; none if there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.requests == 0).then_some(state.idle)
    }

    /// Returns when there was no request for so long, or the connection has to make room.
    pub(super) async fn over(&self, patience: Duration) {
        tokio::select! {
            () = self.end.notified() => {}
            () = self.idle_for(patience) => {}
        }
    }

    async fn idle_for(&self, patience: Duration) {
        loop {
            match self.idle_since() {
                None => sleep(patience / LOOKS).await,
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
        known.members.remove(&self.id);
        if let Some(count) = known.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                known.by_address.remove(&self.address);
            }
        }
    }
}

impl Crowd {
    /// A crowd with so many connections of one address at most, each idle for so long at most.
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

    /// Takes a connection of this address in; none if the address has too many.
    pub(super) fn join(self: &Arc<Self>, address: u64) -> Option<Member> {
        let mut known = self.known();
        let count = known.by_address.entry(address).or_default();
        if self.per_address.is_some_and(|most| *count >= most) {
            let told = known.told;
            if told.is_none_or(|told| told.elapsed() > TOLD_FOR) {
                known.told = Some(Instant::now());
                drop(known);
                let why = "an address has as many as --connections-per-address allows";
                telemetry::warn("connection refused", why);
            }
            return None;
        }
        *count = count.saturating_add(1);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let activity = Activity::new();
        known.members.insert(id, Arc::clone(&activity));
        Some(Member {
            crowd: Arc::clone(self),
            id,
            address,
            activity,
        })
    }

    /// Ends the connections that were idle for longest, so many of them if there are as many.
    pub(super) fn make_room(&self, connections: usize) {
        let known = self.known();
        let members = known.members.values();
        let mut idle: Vec<_> = members
            .filter_map(|activity| Some((activity.idle_since()?, activity)))
            .collect();
        let wanted = connections.min(idle.len());
        if wanted == 0 {
            return;
        }
        idle.select_nth_unstable_by_key(wanted.saturating_sub(1), |(since, _)| *since);
        for (_, activity) in idle.iter().take(wanted) {
            activity.end.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn an_address_has_so_many_connections_and_gets_one_back_when_one_ends() {
        let crowd = Crowd::new(Some(2), LONG);
        let first = crowd.join(1).expect("there is room");
        let second = crowd.join(1).expect("there is room");
        assert!(crowd.join(1).is_none());
        assert!(crowd.join(2).is_some(), "another address");
        drop(first);
        let third = crowd.join(1).expect("there is room again");
        drop((second, third));
        assert!(crowd.known().by_address.is_empty());
        assert!(crowd.known().members.is_empty());
    }

    #[tokio::test]
    async fn idle_connections_make_room_oldest_first() {
        let crowd = Crowd::new(None, LONG);
        let members: Vec<_> = (0..4).filter_map(|_| crowd.join(1)).collect();
        let busy = members[0].activity().begin();
        // The second was used last.
        drop(members[1].activity().begin());
        crowd.make_room(1);
        let ended = || -> Vec<bool> {
            let over = members
                .iter()
                .map(|member| member.over(Use::Any).now_or_never());
            over.map(|over| over.is_some()).collect()
        };
        assert_eq!(ended(), [false, false, true, false]);
        crowd.make_room(10);
        assert_eq!(ended(), [false, true, true, true]);
        drop(busy);
    }

    #[tokio::test]
    async fn a_connection_is_over_when_it_was_idle_for_so_long_and_not_while_it_is_busy() {
        let activity = Activity::new();
        let busy = activity.begin();
        assert!(activity.over(Duration::ZERO).now_or_never().is_none());
        drop(busy);
        assert!(activity.over(LONG).now_or_never().is_none());
        assert!(activity.over(Duration::ZERO).now_or_never().is_some());
    }
}
