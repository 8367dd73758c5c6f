//! To-do shards: an entry is added before work of several steps begins, and removed after its last
//! step. So a later step finds and completes work that a crash interrupted.

use super::update;
use crate::keys::NameHash;
use crate::keys::Slot;
use crate::keys::todo::{Entry, decode, encode};
use crate::limits::MAX_VALUE_BYTES;
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::progress::SharedCreation;
use crate::service::records::update::{Edit, Updated};
use crate::stream::{Incarnation, Link};

/// Age after which an entry counts as left over: an entry noted for a life that goes on, or a name
/// entered for a life that never began. Far above every deadline of a request.
pub(in crate::service) const LEFT_OVER_MS: u64 = 600_000;

/// Age up to which an entry is fresh enough to stay unchanged.
const FRESH_MS: u64 = 60_000;

fn decode_entries(slot: &Slot, body: &[u8]) -> Result<Vec<Entry>, Fault> {
    decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })
}

/// The entries of a shard.
pub(in crate::service) fn entries<E: Env>(core: &Core<E>, shard: u8) -> Result<Vec<Entry>, Fault> {
    let slot = core.keys.todo(shard);
    match heads::read(core, &slot)? {
        Some((_, envelope)) => decode_entries(&slot, &envelope.body),
        None => Ok(Vec::new()),
    }
}

/// Adds an entry, or updates the entry for the same work.
pub(in crate::service) fn add<E: Env>(
    core: &Core<E>,
    shard: u8,
    entry: &Entry,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    edit(core, shard, progress, |entries| {
        let same = |other: &&mut Entry| other.is_same_work(entry);
        match entries.iter_mut().find(same) {
            // A repeated edit finds the entry that it wrote itself.
            Some(other)
                if entry.adds_nothing_to(other)
                    && entry.since_ms() < other.since_ms().saturating_add(FRESH_MS) => {}
            Some(other) => *other = entry.with(other),
            None => entries.push(entry.clone()),
        }
    })
}

/// Removes the entry if it is unchanged. An entry that was renewed meanwhile stays.
pub(in crate::service) fn remove<E: Env>(
    core: &Core<E>,
    shard: u8,
    entry: &Entry,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    edit(core, shard, progress, |entries| {
        entries.retain(|other| other != entry);
    })
}

/// Changes the entries of a shard. A shard that is full takes no more.
fn edit<E: Env>(
    core: &Core<E>,
    shard: u8,
    progress: &mut SharedCreation,
    change: impl Fn(&mut Vec<Entry>),
) -> Result<Updated<()>, Fault> {
    let slot = core.keys.todo(shard);
    update::update(core, &slot, progress, |body| {
        let before = decode_entries(&slot, body)?;
        let mut entries = before.clone();
        change(&mut entries);
        if entries == before {
            return Ok(Edit::Keep(()));
        }
        let bytes = encode(&entries);
        match entries.len() < before.len() || bytes.len() <= MAX_VALUE_BYTES / 2 {
            true => Ok(Edit::Write(bytes, ())),
            false => Err(Fault::Deadline("a list of background work is full")),
        }
    })
}

/// Ensures that a debt that exists, or will exist, has its to-do entry; also a debt to a source.
pub(in crate::service) fn note_work<E: Env>(
    core: &Core<E>,
    hash: &NameHash,
    incarnation: Incarnation,
    source: Option<Link>,
    shared: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    let since_ms = core.env.now_ms();
    let entry = Entry::Collect {
        hash: *hash,
        incarnation,
        leaf: None,
        source,
        since_ms,
    };
    let known = entries(core, hash.shard())?;
    let knows = |known: &Entry| entry.is_same_work(known) && entry.adds_nothing_to(known);
    if known.iter().any(knows) {
        return Ok(Updated::Done(()));
    }
    add(core, hash.shard(), &entry, shared)
}
