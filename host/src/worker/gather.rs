//! What is started together.

use super::{Call, Job, Started};
use http::Method;
use std::collections::VecDeque;

/// Requests handed to one call of `start`.
pub(super) const BATCH_REQUESTS: usize = 64;
/// Bytes of their bodies, together.
pub(super) const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Takes the first job and what can be started with it.
pub(super) fn next_call(jobs: &mut VecDeque<Job>) -> Option<(Call, u8)> {
    loop {
        let first = match jobs.pop_front()? {
            Job::Call(call, again) => return Some((call, again)),
            Job::Start(first) => first,
        };
        // A read whose client left would be answered to nobody.
        if first.reply.is_closed() && first.request.parts.method.is_safe() {
            continue;
        }
        let mut batch = vec![first];
        if batch.iter().all(may_share) && !jobs.is_empty() {
            gather(&mut batch, jobs);
        }
        return Some((Call::Start(batch, None), 0));
    }
}

fn may_share(started: &Started) -> bool {
    started.request.parts.method == Method::POST
}

/// Moves `POST`s for the path of the first one from the queue to the batch, in their order.
fn gather(batch: &mut Vec<Started>, jobs: &mut VecDeque<Job>) {
    let mut bytes: usize = batch.iter().map(|one| one.request.body.len()).sum();
    let mut index = 0;
    while batch.len() < BATCH_REQUESTS {
        let Some(job) = jobs.get(index) else { return };
        let fits = match (job, batch.first()) {
            (Job::Start(one), Some(first)) => {
                bytes.saturating_add(one.request.body.len()) <= BATCH_BYTES
                    && may_share(one)
                    && one.request.path() == first.request.path()
            }
            _ => false,
        };
        if !fits {
            index += 1;
            continue;
        }
        if let Some(Job::Start(one)) = jobs.remove(index) {
            bytes = bytes.saturating_add(one.request.body.len());
            batch.push(one);
        }
    }
}
