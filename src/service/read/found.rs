//! A live stream at one step of a read.

use crate::keys::head::Record;
use crate::keys::{Envelope, Slot};
use crate::service::core::Core;
use crate::service::env::{Env, SwapError};
use crate::service::exchange::{Answer, Next};
use crate::service::fault::Refusal;
use crate::service::heads::Lookup;
use crate::service::token::{Token, TokenMode};
use crate::service::{heads, problems};
use crate::stream::{Head, Position, Presence};

/// A live stream at one step of a read.
pub(in crate::service) struct Found<'a> {
    slot: &'a Slot,
    gate: u32,
    pub(in crate::service) head: Head,
    pub(in crate::service) now: u64,
}

impl Found<'_> {
    /// Reads the stream again; it may have ended meanwhile, or have another life. It reads
    /// through a swap handle: on some platforms only such a read shows all earlier writes.
    pub(super) fn read_again<E: Env>(&mut self, core: &Core<E>) -> Result<(), Refusal> {
        let read = match heads::find(core, self.slot)? {
            Lookup::Found { gate, envelope, .. } => Some((gate, envelope)),
            Lookup::Missing { .. } => None,
        };
        let (gate, head, now) = live(core, &self.head.name, self.slot, read)?;
        if head.incarnation != self.head.incarnation {
            return Err(Refusal::Problem(problems::not_found(&head.name)));
        }
        self.gate = gate;
        self.head = head;
        self.now = now;
        Ok(())
    }
}

/// The live stream `name`, with the time of this step.
pub(super) fn stream<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
) -> Result<(u32, Head, u64), Refusal> {
    live(core, name, slot, heads::read(core, slot)?)
}

/// The live stream `name` in a record that was read.
fn live<E: Env>(
    core: &Core<E>,
    name: &str,
    slot: &Slot,
    read: Option<(u32, Envelope)>,
) -> Result<(u32, Head, u64), Refusal> {
    let not_found = || Refusal::Problem(problems::not_found(name));
    let (gate, envelope) = read.ok_or_else(not_found)?;
    let record = heads::decode(slot, gate, &envelope)?;
    match record {
        Record::Live(head) if head.name == name => {
            let now = head.now_ms(core.env.now_ms());
            match head.presence(now) {
                Presence::Here => Ok((gate, *head, now)),
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
    let (gate, mut head, now) = stream(core, name, slot)?;
    if head.needs_touch(now) && touch(core, slot, &head, now) {
        head.touched_ms = now;
    }
    Ok(Found {
        slot,
        gate,
        head,
        now,
    })
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
    _core: &Core<E>,
    found: &Found,
    at: Position,
    mode: TokenMode,
    most_ms: u64,
) -> Answer {
    let head = &found.head;
    Answer::only(Next::Change {
        token: Token::of(head, at, mode).encode(),
        key: found.slot.key(found.gate),
        max_wait_ms: head.max_wait_ms(found.now).unwrap_or(u64::MAX).min(most_ms),
    })
}
