//! Records of streams, read and swapped: heads, tombstones, and the chunks that a head names.

use super::core::Core;
use super::env::{Env, SwapError};
use super::fault::Fault;
use super::log;
use crate::keys::head::Record;
use crate::keys::{Corrupt, Envelope, MARKERS, NameHash, Slot, State, index};
use crate::stream::{Head, Incarnation, Link, Settled, Tombstone};

/// Where the record of a slot is, or where it would be created.
pub(super) enum Lookup<Cas> {
    /// The record exists. A swap of `cas` is conditioned on the bytes that `envelope` was decoded
    /// from.
    Found {
        gate: u32,
        cas: Cas,
        envelope: Envelope,
    },
    /// The record does not exist. `gate` is the first gate with a creator that was not given up. A
    /// candidate begins there, and waits for that creator.
    Missing { gate: u32 },
}

/// One life of a stream, with a handle to swap its record.
pub(super) enum Life<Cas> {
    Head(Cas, Box<Head>),
    Tombstone(Cas, Tombstone),
    /// Nothing yet, or another life.
    None,
}

/// More gates than failed creations of one record are expected to leave.
const MOST_GATES: u32 = 1000;

/// Decodes the envelope at `key`.
pub(super) fn open(key: &str, bytes: Vec<u8>) -> Result<Envelope, Fault> {
    Envelope::take(bytes).map_err(|Corrupt| Fault::Corrupt {
        key: key.to_owned(),
    })
}

/// Decodes the stream's record in `envelope`, which was found behind `gate` of `slot`.
pub(super) fn decode(slot: &Slot, gate: u32, envelope: &Envelope) -> Result<Record, Fault> {
    Record::decode(&envelope.body, envelope.version).map_err(|_| Fault::Corrupt {
        key: slot.key(gate),
    })
}

/// Reads the record of `slot`: confirmed, and behind the first gate that has such a record.
pub(super) fn read<E: Env>(core: &Core<E>, slot: &Slot) -> Result<Option<(u32, Envelope)>, Fault> {
    for gate in 0..MOST_GATES {
        let key = slot.key(gate);
        if let Some(bytes) = core.env.get(&key)? {
            let envelope = open(&key, bytes)?;
            if envelope.state == State::Confirmed {
                return Ok(Some((gate, envelope)));
            }
        }
        if !has_gate(core, slot, gate.saturating_add(1))? {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Finds the record of `slot`, to swap it.
pub(super) fn find<E: Env>(core: &Core<E>, slot: &Slot) -> Result<Lookup<E::Cas>, Fault> {
    let mut free = None;
    for gate in 0..MOST_GATES {
        let key = slot.key(gate);
        let cas = core.env.cas(&key)?;
        let found = core.env.current(&cas)?;
        let envelope = found.map(|bytes| open(&key, bytes)).transpose()?;
        match envelope {
            Some(envelope) if envelope.state == State::Confirmed => {
                return Ok(Lookup::Found {
                    gate,
                    cas,
                    envelope,
                });
            }
            Some(envelope) if envelope.state == State::Void => {}
            Some(_) | None => {
                free.get_or_insert(gate);
            }
        }
        drop(cas);
        if !has_gate(core, slot, gate.saturating_add(1))? {
            let gate = free.unwrap_or_else(|| gate.saturating_add(1));
            return Ok(Lookup::Missing { gate });
        }
    }
    Err(Fault::Deadline("the record has too many gates"))
}

/// Finds the record of the stream of `slot`, to swap it; `None` if it does not exist.
pub(super) fn find_record<E: Env>(
    core: &Core<E>,
    slot: &Slot,
) -> Result<Option<(E::Cas, Record)>, Fault> {
    match find(core, slot)? {
        Lookup::Found {
            gate,
            cas,
            envelope,
        } => Ok(Some((cas, decode(slot, gate, &envelope)?))),
        Lookup::Missing { .. } => Ok(None),
    }
}

/// Ensures that this store creates records in one way only: guarded by the store, or by gates. Both
/// ways read and swap an existing record alike, so this check runs before a record counts as
/// absent.
pub(super) fn check_marker<E: Env>(core: &Core<E>) -> Result<(), Fault> {
    if core.marked.get() {
        return Ok(());
    }
    let [gates, swap] = MARKERS;
    let ours = match core.config.kv_guarded_create {
        true => swap,
        false => gates,
    };
    let key = core.keys.marker();
    match core.env.get(&key)? {
        Some(value) if value == ours => {}
        Some(_) => return Err(Fault::OtherCreation),
        None => {
            core.env.set(&key, ours)?;
            // Only at the first use of a store, since instances come and go by the second.
            if !core.access.is_on() {
                log::open(&core.env, &core.config);
            }
        }
    }
    core.marked.set(true);
    Ok(())
}

/// Whether a record may exist behind `gate`. A gate that holds 0 exists, but elected no creator:
/// `true` only means that the search goes on.
fn has_gate<E: Env>(core: &Core<E>, slot: &Slot, gate: u32) -> Result<bool, Fault> {
    check_marker(core)?;
    match core.config.kv_guarded_create {
        true => Ok(false),
        false => Ok(core.env.exists(&slot.gate(gate))?),
    }
}

/// The stream with this life.
pub(super) const fn link(hash: &NameHash, incarnation: Incarnation) -> Link {
    Link {
        hash: *hash.bytes(),
        incarnation,
    }
}

/// Stores the blocks and chunks that a head needs before it is swapped in.
pub(super) fn store<E: Env>(core: &Core<E>, settled: &Settled) -> Result<(), Fault> {
    let incarnation = settled.head.incarnation;
    for block in &settled.blocks {
        core.env.set(
            &core.keys.block(incarnation, block.number),
            &index::encode(block),
        )?;
    }
    for chunk in &settled.chunks {
        core.env
            .set(&core.keys.chunk(incarnation, chunk.id), &chunk.bytes)?;
    }
    Ok(())
}

/// Removes chunks that no head names. If a removal fails, the offline check finds the rest.
pub(super) fn delete_chunks<E: Env>(core: &Core<E>, incarnation: Incarnation, chunks: &[u64]) {
    for id in chunks {
        if core.env.delete(&core.keys.chunk(incarnation, *id)).is_err() {
            return;
        }
    }
}

pub(super) fn link_slot<E: Env>(core: &Core<E>, link: Link) -> Slot {
    core.keys.head(&NameHash::from_bytes(link.hash))
}

/// Looks up one life of a stream.
pub(super) fn life<E: Env>(core: &Core<E>, link: Link) -> Result<Life<E::Cas>, Fault> {
    Ok(match find_record(core, &link_slot(core, link))? {
        Some((cas, Record::Live(head))) if head.incarnation == link.incarnation => {
            Life::Head(cas, head)
        }
        Some((cas, Record::Tombstone(tombstone))) if tombstone.incarnation == link.incarnation => {
            Life::Tombstone(cas, tombstone)
        }
        Some(_) | None => Life::None,
    })
}

/// Swaps in a head with changes only in its bookkeeping. Such swaps stay out of the ring. False
/// unless the swap is confirmed.
pub(super) fn put<E: Env>(core: &Core<E>, cas: E::Cas, mut head: Box<Head>) -> Result<bool, Fault> {
    head.version = head.version.saturating_add(1);
    match core.env.swap(cas, &Record::Live(head).seal()) {
        Ok(()) => Ok(true),
        Err(SwapError::Store(error)) if error.refuses() => Err(error.into()),
        Err(SwapError::Failed(_) | SwapError::Store(_)) => Ok(false),
    }
}

pub(super) fn record<E: Env>(core: &Core<E>, slot: &Slot) -> Result<Option<Record>, Fault> {
    let Some((gate, envelope)) = read(core, slot)? else {
        return Ok(None);
    };
    decode(slot, gate, &envelope).map(Some)
}
