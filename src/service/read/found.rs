//! A live stream at one step of a read.

use crate::keys::head::Record;
use crate::keys::{Envelope, Slot};
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::exchange::{Answer, Next};
use crate::service::fault::Refusal;
use crate::service::heads::Lookup;
use crate::service::token::{Token, TokenMode};
use crate::service::{heads, lapse, problems};
use crate::stream::{Head, Position, Presence};

/// A live stream at one step of a read.
pub(in crate::service) struct Found<'a> {
    slot: &'a Slot,
    gate: u32,
    pub(in crate::service) head: Head,
    /// The clock of this instance, milliseconds since 1970.
    pub(in crate::service) clock: u64,
    /// The time of this step: not before the last commit.
    pub(in crate::service) now: u64,
    /// Closes of a lapsed lease, one after the other, that could not be committed.
    pub(super) failed_closes: u8,
}

impl Found<'_> {
    /// Reads the stream again; it may have ended meanwhile, or have another life. It reads
    /// through a swap handle: on some platforms only such a read shows all earlier writes.
    pub(super) fn read_again<E: Env>(&mut self, core: &Core<E>) -> Result<(), Refusal> {
        let read = match heads::find(core, self.slot)? {
            Lookup::Found { gate, envelope, .. } => Some((gate, envelope)),
            Lookup::Missing { .. } => None,
        };
        let found = live(core, &self.head.name, self.slot, read)?;
        if found.head.incarnation != self.head.incarnation {
            return Err(Refusal::Problem(problems::not_found(&found.head.name)));
        }
        self.gate = found.gate;
        self.head = found.head;
        self.clock = found.clock;
        self.now = found.now;
        Ok(())
    }
}

/// The live stream `name`. If its writer's lease has lapsed, this closes it.
pub(super) fn stream<'s, E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &'s Slot,
) -> Result<Found<'s>, Refusal> {
    let mut found = live(core, name, slot, heads::read(core, slot)?)?;
    found.head = lapse::settle(core, slot, found.head, found.clock);
    Ok(found)
}

/// The live stream `name` in a record that was read.
fn live<'s, E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &'s Slot,
    read: Option<(u32, Envelope)>,
) -> Result<Found<'s>, Refusal> {
    let not_found = || Refusal::Problem(problems::not_found(name));
    let (gate, envelope) = read.ok_or_else(not_found)?;
    let record = heads::decode(slot, gate, &envelope)?;
    match record {
        Record::Live(head) if head.name == name => {
            let clock = core.env.now_ms();
            let now = head.now_ms(clock);
            match head.presence(now) {
                Presence::Here => Ok(Found {
                    slot,
                    gate,
                    head: *head,
                    clock,
                    now,
                    failed_closes: 0,
                }),
                Presence::Absent => Err(not_found()),
                Presence::Gone => Err(Refusal::Problem(problems::gone(name))),
                Presence::Expired => Err(Refusal::Problem(problems::expired())),
            }
        }
        Record::Live(_) | Record::Tombstone(_) => Err(not_found()),
    }
}

/// The live stream `name`, for a step of a read: moves the sliding window if that is due.
pub(super) fn stream_read<'s, E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &'s Slot,
) -> Result<Found<'s>, Refusal> {
    let mut found = stream(core, name, slot)?;
    if found.head.needs_touch(found.now) && touch(core, slot, &found.head, found.now) {
        found.head.touched_ms = found.now;
    }
    Ok(found)
}

/// Writes that the stream was read at `now_ms`. Tried once: another writer of the head nearly
/// always touched it too. If not, or if the store failed, the next read tries again. Returns
/// whether the window was moved, as far as is known.
fn touch<E: Env>(core: &Core<E>, slot: &Slot, head: &Head, now_ms: u64) -> bool {
    let Ok(Lookup::Found { cas, envelope, .. }) = heads::find(core, slot) else {
        return false;
    };
    if envelope.version != head.version {
        return true;
    }
    let mut touched = head.clone();
    touched.version = touched.version.saturating_add(1);
    touched.touched_ms = now_ms;
    let record = Record::Live(Box::new(touched));
    let swapped = core.env.swap(cas, &record.seal());
    !matches!(swapped, Err(SwapError::Store(_)))
}

pub(super) const fn poll_ms<E: Env>(core: &Core<E>) -> u64 {
    core.config.long_poll_timeout_secs.saturating_mul(1000)
}

/// Waits for a change of the head, at most `most_ms`.
pub(in crate::service) fn wait<E: Env>(
    core: &Core<E>,
    found: &Found,
    at: Position,
    mode: TokenMode,
    most_ms: u64,
) -> Answer {
    let head = &found.head;
    let failed_closes = match lapse::is_due(core, head, found.clock) {
        true => found.failed_closes.saturating_add(1),
        false => 0,
    };
    let token = Token {
        failed_closes,
        ..Token::of(head, at, mode)
    };
    let expiry = head.max_wait_ms(found.now);
    let lease = lapse::max_wait_ms(core, head, found.clock, failed_closes);
    let ends = [expiry, lease].into_iter().flatten().min();
    Answer::only(Next::Change {
        token: token.encode(),
        key: found.slot.key(found.gate),
        max_wait_ms: ends.unwrap_or(u64::MAX).min(most_ms),
    })
}
