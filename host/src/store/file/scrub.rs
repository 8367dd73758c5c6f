//! Thread that slowly reads old segments, so that damage is known before a restart finds it.

use super::shared::Shared;
use crate::store::log::{Damage, Found, Scrub, Wait};
use crate::telemetry;
use durable_streams_edge::seam;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Bytes of one step.
const STEP: u64 = 1 << 20;
/// Longest pause between two reads of the clock.
const LOOK: Duration = Duration::from_secs(60);
/// Time from the start of one pass to the start of the next.
const PASS: Duration = Duration::from_secs(24 * 60 * 60);
/// Damaged values of one step for which the thread looks up the stream, which reads all heads.
const NAMED: usize = 4;

/// Reads all sealed segments once a day, at most `scrub_rate` bytes a second, until the store is
/// closed.
pub(super) fn scrub(shared: &Shared) {
    let rate = shared.scrub_rate;
    let mut scrub = Scrub::default();
    let mut begun = Instant::now();
    let mut pause = Duration::from_secs(1);
    while rate > 0 && shared.queue.pause(pause) {
        let (bytes, is_over) = step(shared, &mut scrub, STEP, &mut telemetry::error);
        pause = match is_over {
            false => Duration::from_secs_f64(bytes as f64 / rate as f64),
            true => {
                let next = begun.checked_add(PASS).unwrap_or(begun);
                while Instant::now() < next {
                    if !shared.queue.pause(LOOK) {
                        return;
                    }
                }
                begun = Instant::now();
                Duration::ZERO
            }
        };
    }
}

/// Reads about `most` bytes further and reports damage. Returns the number of bytes read, and
/// whether the pass is over.
pub(super) fn step(
    shared: &Shared,
    scrub: &mut Scrub,
    most: u64,
    report: &mut dyn FnMut(&str, &str),
) -> (u64, bool) {
    let found = shared.log.scrub(scrub, most);
    let damages = found.damages.len() as u64;
    shared.damages.fetch_add(damages, Ordering::Relaxed);
    for (number, damage) in found.damages.iter().enumerate() {
        let stream = damage.key.as_deref().filter(|_| number < NAMED);
        let stream = stream.and_then(|key| stream_of(shared, key));
        report("damage in the store", &describe(damage, stream));
    }
    if let Some((file, error)) = found.unreadable {
        report(
            "unreadable file in the store",
            &format!("{}: {error}", file.display()),
        );
    }
    (found.bytes, found.is_over)
}

fn describe(damage: &Damage, stream: Option<String>) -> String {
    let (file, at) = (damage.file.display(), damage.offset);
    match (&damage.key, stream) {
        (Some(key), Some(stream)) => {
            format!("{file}: byte {at}: the value of {key}, stream {stream}")
        }
        (Some(key), None) => format!("{file}: byte {at}: the value of {key}"),
        (None, _) => format!(
            "{file}: byte {at}: a batch of unknown keys, which will make the next start fail; \
             stop the server and run `durable-streams check` with --salvage"
        ),
    }
}

/// Stream that a chunk or an index block belongs to, if its head can be read.
fn stream_of(shared: &Shared, key: &str) -> Option<String> {
    let part = seam::part_of(key)?;
    let mut heads = Vec::new();
    shared.log.for_each_key(|key, _, _| {
        if part.may_be_of(key) {
            heads.push(key.to_owned());
        }
    });
    heads.iter().find_map(|key| {
        let Ok(Found::Value { value, .. }) = shared.log.get(key, Wait::ForDisk) else {
            return None;
        };
        part.stream(&value)
    })
}

#[cfg(test)]
mod tests;
