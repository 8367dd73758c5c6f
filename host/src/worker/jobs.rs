//! Queued calls of an instance, and requests that start together.
//!
//! `POST`s for one path join a batch on their arrival. The batch waits at the queue position of its
//! first request. An earlier version collected the batch when the worker took it, and inspected
//! every queued job for that. With writes to thousands of streams at once, this cost more than the
//! steps themselves.

use super::calls::{Call, Started};
use crate::exchange::PathHash;
use http::Method;
use std::collections::{HashMap, VecDeque};

/// Largest number of requests in one call of `start`.
pub(super) const BATCH_REQUESTS: usize = 64;
/// Largest total length of their bodies: JSON of this size takes about 10 ms.
pub(super) const BATCH_BYTES: usize = 1024 * 1024;

enum Job {
    Start(Batch),
    /// A call, and the number of its earlier runs.
    Call(Call, u8),
}

/// Queued calls, in order.
#[derive(Default)]
pub(super) struct Jobs {
    waiting: VecDeque<Job>,
    /// Number of jobs taken so far, which is the number of the first queued job.
    taken: u64,
    /// Number of the last batch for each path hash. If two paths share a hash, the older batch gets
    /// no more requests.
    last: HashMap<PathHash, u64>,
}

/// Requests that start together.
pub(super) struct Batch {
    requests: Vec<Started>,
    bytes: usize,
    /// Hash of the path, if more requests may join.
    hash: Option<PathHash>,
}

impl Batch {
    fn has_room_for(&self, one: &Started) -> bool {
        let bytes = self.bytes.saturating_add(one.request.body.len());
        let first = self.requests.first();
        bytes <= BATCH_BYTES
            && self.requests.len() < BATCH_REQUESTS
            && first.is_some_and(|first| first.request.path() == one.request.path())
    }

    fn add(&mut self, one: Started) {
        self.bytes = self.bytes.saturating_add(one.request.body.len());
        self.requests.push(one);
    }

    /// Whether no request needs an answer.
    fn is_moot(&self) -> bool {
        self.requests.iter().all(Started::is_moot)
    }
}

impl Jobs {
    /// Number of queued calls.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a call that ran this many times before.
    pub(super) fn push_call(&mut self, call: Call, again: u8) {
        self.waiting.push_back(Job::Call(call, again));
    }

    /// Adds a request, to a queued batch if possible.
    pub(super) fn push_start(&mut self, one: Started) {
        let may_share = one.request.parts.method == Method::POST;
        let hash = may_share.then_some(one.request.path_hash);
        if let Some(hash) = hash {
            if let Some(batch) = self.last_batch(hash)
                && batch.has_room_for(&one)
            {
                return batch.add(one);
            }
            let number = self.taken.wrapping_add(self.waiting.len() as u64);
            self.last.insert(hash, number);
        }
        self.waiting.push_back(Job::Start(Batch {
            bytes: one.request.body.len(),
            requests: vec![one],
            hash,
        }));
    }

    fn last_batch(&mut self, hash: PathHash) -> Option<&mut Batch> {
        let number = self.last.get(&hash)?;
        let place = usize::try_from(number.wrapping_sub(self.taken)).ok()?;
        match self.waiting.get_mut(place)? {
            Job::Start(batch) => Some(batch),
            Job::Call(..) => None,
        }
    }

    /// Takes the next call, and the number of its earlier runs.
    pub(super) fn next(&mut self) -> Option<(Call, u8)> {
        loop {
            let job = self.waiting.pop_front()?;
            let number = self.taken;
            self.taken = number.wrapping_add(1);
            let batch = match job {
                Job::Call(call, again) => return Some((call, again)),
                Job::Start(batch) => batch,
            };
            if let Some(hash) = batch.hash
                && self.last.get(&hash) == Some(&number)
            {
                self.last.remove(&hash);
            }
            if !batch.is_moot() {
                return Some((Call::Start(batch.requests, None), 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::fake::request;
    use tokio::sync::oneshot;

    fn start(jobs: &mut Jobs, method: Method, path: &str, body: &str) {
        let (reply, _) = oneshot::channel();
        let request = request(method, path, body);
        jobs.push_start(Started::new(request, reply));
    }

    /// Path and bodies of the next batch.
    fn next(jobs: &mut Jobs) -> Option<(String, Vec<usize>)> {
        match jobs.next()? {
            (Call::Start(batch, None), 0) => {
                let path = batch.first().expect("one at least").request.path();
                let lengths = batch.iter().map(|one| one.request.body.len());
                Some((path.to_owned(), lengths.collect()))
            }
            _ => panic!("nothing else was pushed"),
        }
    }

    /// Each batch was collected by a search of all queued jobs.
    #[test]
    fn requests_are_batched_in_arrival_order_at_the_place_of_the_first() {
        let mut jobs = Jobs::default();
        for _ in 0..3 {
            for stream in 0..1000 {
                start(&mut jobs, Method::POST, &format!("/{stream}"), "x");
            }
        }
        assert_eq!(jobs.waiting.len(), 1000);
        for stream in 0..1000 {
            let batch = next(&mut jobs).expect("it waits");
            assert_eq!(batch, (format!("/{stream}"), vec![1; 3]));
        }
        assert!(jobs.next().is_none());
        assert!(jobs.last.is_empty(), "nothing is kept of them");
    }

    #[test]
    fn a_request_without_room_begins_a_batch_and_is_not_overtaken() {
        let mut jobs = Jobs::default();
        let large = "x".repeat(BATCH_BYTES - 10);
        for body in ["1", &large, "22222222222", "3"] {
            start(&mut jobs, Method::POST, "/a", body);
        }
        assert_eq!(next(&mut jobs), Some(("/a".into(), vec![1, large.len()])));
        start(&mut jobs, Method::POST, "/a", "4444");
        assert_eq!(next(&mut jobs), Some(("/a".into(), vec![11, 1, 4])));
        for _ in 0..=BATCH_REQUESTS {
            start(&mut jobs, Method::POST, "/b", "");
        }
        let (_, full) = next(&mut jobs).expect("it waits");
        assert_eq!(full.len(), BATCH_REQUESTS);
        assert_eq!(next(&mut jobs), Some(("/b".into(), vec![0])));
    }

    #[test]
    fn a_batch_that_was_taken_gets_no_more() {
        let mut jobs = Jobs::default();
        start(&mut jobs, Method::POST, "/a", "1");
        assert_eq!(next(&mut jobs), Some(("/a".into(), vec![1])));
        start(&mut jobs, Method::POST, "/b", "22");
        start(&mut jobs, Method::POST, "/a", "333");
        assert_eq!(next(&mut jobs), Some(("/b".into(), vec![2])));
        assert_eq!(next(&mut jobs), Some(("/a".into(), vec![3])));
    }

    #[test]
    fn reads_are_started_one_by_one_unless_their_client_left() {
        let mut jobs = Jobs::default();
        start(&mut jobs, Method::GET, "/gone", "");
        let mut waits = Vec::new();
        for _ in 0..2 {
            let (reply, pending) = oneshot::channel();
            let request = request(Method::GET, "/a", "");
            jobs.push_start(Started::new(request, reply));
            waits.push(pending);
        }
        for _ in waits {
            assert_eq!(next(&mut jobs), Some(("/a".into(), vec![0])));
        }
        assert!(jobs.next().is_none());
    }
}
