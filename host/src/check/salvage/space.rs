//! Copies one namespace.

use super::output::Output;
use super::report::Salvaged;
use super::streams::Streams;
use crate::check::error::CheckError;
use crate::check::forks::Family;
use crate::check::space::Space;
use crate::store::log::{ReadError, Remains};
use bytes::Bytes;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{
    self, Corrupt, Envelope, Key, Keys, NameHash, registry, signing, subscription, subscriptions,
    todo,
};
use durable_streams_edge::stream::{Head, Link, tombstone};
use std::collections::{HashMap, HashSet};

/// Copies all readable records of a namespace.
pub(super) fn copy(
    remains: &Remains,
    namespace: &str,
    space: &Space,
    output: &mut Output<'_>,
    report: &mut Salvaged,
) -> Result<(), CheckError> {
    let mut family = Family::default();
    for key in &space.heads {
        if let Ok(Some(stored)) = record(remains, key)? {
            family.add(&stored.record);
        }
    }
    let forks = family.counted();
    let names = Keys::new(namespace);
    let mut streams = Streams::new(remains, space, &names);
    let mut lost = HashMap::new();
    for key in &space.heads {
        match record(remains, key)? {
            Ok(Some(stored)) => copy_stream(key, stored, &forks, &mut streams, output, report)?,
            Ok(None) => copy_as_it_is(remains, key, output)?,
            Err(_) => {
                if let Some((_, Key::Head(hash, _))) = keys::parse(key) {
                    lost.insert(hash, None);
                }
            }
        }
    }
    let mut names = LostNames {
        lost,
        // Some records with unknown keys may have been heads.
        heads: report.keys_unknown.then(|| hashes(&space.heads)),
    };
    for key in space.others() {
        copy_other(remains, key, output, report, &mut names)?;
    }
    let lost = names.lost;
    let mut lost: Vec<String> = lost
        .into_iter()
        .map(|(hash, name)| name.unwrap_or_else(|| format!("with the hash {hash}")))
        .collect();
    lost.sort_unstable();
    for name in &lost {
        report.lost_stream(name);
    }
    Ok(())
}

/// Streams without a head, with their names once the registry yields them.
struct LostNames {
    lost: HashMap<NameHash, Option<String>>,
    /// Hashes of all streams with a head, if other streams may have lost theirs.
    heads: Option<HashSet<NameHash>>,
}

impl LostNames {
    fn find(&mut self, name: String) {
        let hash = NameHash::of(&name);
        let is_without = |heads: &HashSet<NameHash>| !heads.contains(&hash);
        if self.heads.as_ref().is_some_and(is_without) || self.lost.contains_key(&hash) {
            self.lost.insert(hash, Some(name));
        }
    }
}

fn hashes(heads: &[String]) -> HashSet<NameHash> {
    let parsed = heads.iter().filter_map(|key| keys::parse(key));
    let hashes = parsed.filter_map(|(_, key)| match key {
        Key::Head(hash, _) => Some(hash),
        _ => None,
    });
    hashes.collect()
}

/// Stream record as stored.
struct Stored {
    value: Bytes,
    envelope: Envelope,
    record: Record,
}

/// Reads the value of a key, or the reason why it can't be read.
fn value(remains: &Remains, key: &str) -> Result<Result<Bytes, String>, CheckError> {
    match remains.get(key) {
        Ok(Some(value)) => Ok(Ok(value)),
        Ok(None) => Ok(Err("missing".to_owned())),
        Err(error @ ReadError::Damaged { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Reads the record of a stream; `None` if its creator gave up.
fn record(remains: &Remains, key: &str) -> Result<Result<Option<Stored>, String>, CheckError> {
    let value = match value(remains, key)? {
        Ok(value) => value,
        Err(why) => return Ok(Err(why)),
    };
    let decoded = Envelope::decode(&value).and_then(|envelope| {
        if envelope.body.is_empty() {
            return Ok(None);
        }
        let record = Record::decode(&envelope.body, envelope.version)?;
        Ok(Some(Stored {
            value,
            envelope,
            record,
        }))
    });
    Ok(decoded.map_err(|error| error.to_string()))
}

fn copy_as_it_is(remains: &Remains, key: &str, output: &mut Output<'_>) -> Result<(), CheckError> {
    match value(remains, key)? {
        Ok(value) => output.put(key, value),
        Err(_) => Ok(()),
    }
}

fn copy_stream(
    key: &str,
    stored: Stored,
    forks: &HashMap<Link, u64>,
    streams: &mut Streams<'_>,
    output: &mut Output<'_>,
    report: &mut Salvaged,
) -> Result<(), CheckError> {
    let Stored {
        value,
        mut envelope,
        record,
    } = stored;
    let before = record.clone();
    let record = match record {
        Record::Live(head) => with_forks_that_are_left(*head, forks),
        Record::Tombstone(mut tombstone) => {
            // Its chunks are not copied, except those of a fork that lost its end.
            tombstone.owes = None;
            Record::Tombstone(tombstone)
        }
    };
    match &record {
        Record::Live(head) => {
            let stretches = streams.copy(head, output)?;
            if !stretches.is_empty() {
                report.damaged(&head.name, stretches);
            }
            report.streams = report.streams.saturating_add(1);
            report.bytes = report.bytes.saturating_add(head.bytes);
        }
        Record::Tombstone(_) => report.tombstones = report.tombstones.saturating_add(1),
    }
    if record == before {
        return output.put(key, value);
    }
    envelope.version = record.version();
    envelope.body = record.encode().into();
    output.put(key, envelope.encode().into())
}

/// Head with the number of its readable forks. A stream kept only for its forks ends if none is
/// left.
fn with_forks_that_are_left(mut head: Head, forks: &HashMap<Link, u64>) -> Record {
    let link = Link {
        hash: *NameHash::of(&head.name).bytes(),
        incarnation: head.incarnation,
    };
    head.forks.count = forks.get(&link).copied().unwrap_or(0);
    if head.forks.deleted && !head.forks.need_it() {
        let mut end = tombstone(&head);
        // The stream's chunks are not copied.
        end.owes = None;
        return Record::Tombstone(end);
    }
    Record::Live(Box::new(head))
}

/// Copies a record other than a stream's. Its names may belong to lost streams.
fn copy_other(
    remains: &Remains,
    key: &str,
    output: &mut Output<'_>,
    report: &mut Salvaged,
    names: &mut LostNames,
) -> Result<(), CheckError> {
    let value = match value(remains, key)? {
        Ok(value) => value,
        Err(why) => {
            report.lost_key(key, why);
            return Ok(());
        }
    };
    if let Err(error) = judge(key, &value, names) {
        report.lost_key(key, error);
        return Ok(());
    }
    report.others = report.others.saturating_add(1);
    output.put(key, value)
}

/// Checks that this version can decode a record.
fn judge(key: &str, value: &[u8], names: &mut LostNames) -> Result<(), Corrupt> {
    let kind = keys::parse(key).map(|(_, kind)| kind);
    let kind = match kind {
        Some(Key::Gate | Key::Marker) | None => return Ok(()),
        Some(kind) => kind,
    };
    let Envelope { version, body, .. } = Envelope::decode(value)?;
    if body.is_empty() {
        return Ok(());
    }
    match kind {
        Key::Todo(..) => todo::decode(&body).map(drop),
        Key::Leaf(..) => registry::decode(&body).map(|leaf| {
            for entry in leaf.entries {
                names.find(entry.name);
            }
        }),
        Key::Subscriptions(_) => subscriptions::decode(&body).map(drop),
        Key::Signing(_) => signing::decode(&body).map(drop),
        Key::Subscription(..) => subscription::Stored::decode(&body, version).map(drop),
        _ => Ok(()),
    }
}
