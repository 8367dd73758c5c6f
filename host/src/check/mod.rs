//! `durable-streams check`: whether a store on disk is whole, and what a crash left there that
//! nothing leads to.
//!
//! First every record of the log is read and compared with its checksums. Then the streams are
//! walked from their heads, tombstones and debts: what these name must be there, and chunks and
//! index blocks that none of them names are left over from an append that was never committed.

mod forks;
mod marks;
mod report;

pub use report::{Counts, Report};

use crate::store::ChangeNumber;
use crate::store::log::{self, Change, CommitError, CompactError, Found, Log, OpenError, Options};
use crate::store::log::{ReadError, SystemFiles, Wait};
use bytes::Bytes;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{
    self, Envelope, Key, Keys, debt, registry, signing, subscription, subscriptions, todo,
};
use durable_streams_edge::stream::Incarnation;
use forks::Family;
use marks::Marks;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Changes in one write of a repair.
const BATCH: usize = 1000;

/// Why a store can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What nothing leads to can't be removed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The room can't be given back.
    #[error(transparent)]
    Compact(#[from] CompactError),
}

/// The keys of one namespace.
#[derive(Debug, Default)]
struct Space {
    heads: Vec<String>,
    todos: Vec<String>,
    leaves: Vec<String>,
    /// Subscriptions, their list, signing keys.
    controls: Vec<(Key, String)>,
    debts: Vec<(Incarnation, String)>,
    /// Chunks and their lengths.
    chunks: HashMap<(Incarnation, u64), u32>,
    blocks: HashSet<(Incarnation, u64)>,
}

/// Checks the store in a directory that no server has open. With `fix`, what nothing leads to is
/// removed.
///
/// # Errors
///
/// When it can't be opened or read. What is damaged or missing is in the report.
pub fn check(directory: &Path, fix: bool) -> Result<Report, CheckError> {
    let files = Arc::new(SystemFiles);
    let mut report = Report::new(log::check(directory, Arc::clone(&files) as _)?);
    let log = match Log::open(directory, files, Options::default()) {
        Ok((log, _)) => log,
        // The damage is in the report.
        Err(OpenError::Damaged { .. }) => return Ok(report),
        Err(error) => return Err(error.into()),
    };
    let mut left_over = Vec::new();
    for (namespace, space) in spaces(&log, &mut report) {
        walk(&log, &namespace, &space, &mut report, &mut left_over)?;
    }
    if fix && report.is_whole() {
        remove(&log, left_over)?;
        report.removed = true;
    }
    Ok(report)
}

fn spaces(log: &Log, report: &mut Report) -> BTreeMap<String, Space> {
    let mut spaces = BTreeMap::<String, Space>::new();
    log.for_each_key(|key, _, length| {
        let Some((namespace, parsed)) = keys::parse(key) else {
            report.problem(format!("{key}: not a key of this version"));
            return;
        };
        let space = match spaces.get_mut(namespace) {
            Some(space) => space,
            None => spaces.entry(namespace.to_owned()).or_default(),
        };
        match parsed {
            Key::Head(..) => space.heads.push(key.to_owned()),
            Key::Todo(..) => space.todos.push(key.to_owned()),
            Key::Leaf(..) => space.leaves.push(key.to_owned()),
            Key::Debt(life) => space.debts.push((life, key.to_owned())),
            Key::Chunk(life, id) => {
                space.chunks.insert((life, id), length);
            }
            Key::Block(life, number) => {
                space.blocks.insert((life, number));
            }
            Key::Subscription(..) | Key::Subscriptions(_) | Key::Signing(_) => {
                space.controls.push((parsed, key.to_owned()));
            }
            Key::Gate => report.counts.gates += 1,
            Key::Marker => {}
        }
    });
    spaces
}

/// The value of a key, unless it can't be read, which the report says.
fn value(log: &Log, key: &str, report: &mut Report) -> Result<Option<Vec<u8>>, CheckError> {
    match log.get(key, Wait::ForDisk) {
        Ok(Found::Value { value, .. }) => Ok(Some(value.to_vec())),
        Ok(Found::Absent | Found::NotResident) => Ok(None),
        Err(error @ ReadError::Damaged { .. }) => {
            report.problem(format!("{key}: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a key's envelope holds, and its version. Nothing, if that is nothing or can't be read.
fn body(log: &Log, key: &str, report: &mut Report) -> Result<Option<(Bytes, u64)>, CheckError> {
    let Some(value) = value(log, key, report)? else {
        return Ok(None);
    };
    match Envelope::take(value) {
        Ok(envelope) if envelope.body.is_empty() => Ok(None),
        Ok(envelope) => Ok(Some((envelope.body, envelope.version))),
        Err(error) => {
            report.problem(format!("{key}: {error}"));
            Ok(None)
        }
    }
}

fn walk(
    log: &Log,
    namespace: &str,
    space: &Space,
    report: &mut Report,
    left_over: &mut Vec<String>,
) -> Result<(), CheckError> {
    let names = Keys::new(namespace);
    let mut marks = Marks::new(log, space, &names);
    let mut family = Family::default();
    for key in &space.heads {
        let Some((bytes, version)) = body(log, key, report)? else {
            continue;
        };
        let record = match Record::decode(&bytes, version) {
            Ok(record) => record,
            Err(error) => {
                report.problem(format!("{key}: {error}"));
                continue;
            }
        };
        family.add(&record);
        match record {
            Record::Live(head) => {
                report.counts.streams += 1;
                marks.head(&head, report)?;
            }
            Record::Tombstone(tombstone) => {
                report.counts.tombstones += 1;
                if let Some(owed) = &tombstone.owes {
                    marks.owed(tombstone.incarnation, owed, report)?;
                }
            }
        }
    }
    family.check(report);
    for (life, key) in &space.debts {
        report.counts.debts += 1;
        match value(log, key, report)?.map(|bytes| debt::decode(&bytes)) {
            Some(Ok(debt)) => marks.owed(*life, &debt.owed, report)?,
            Some(Err(error)) => report.problem(format!("{key}: {error}")),
            None => {}
        }
    }
    for key in &space.todos {
        match body(log, key, report)?.map(|(bytes, _)| todo::decode(&bytes)) {
            Some(Ok(entries)) => report.counts.todos += entries.len() as u64,
            Some(Err(error)) => report.problem(format!("{key}: {error}")),
            None => {}
        }
    }
    for key in &space.leaves {
        match body(log, key, report)?.map(|(bytes, _)| registry::decode(&bytes)) {
            Some(Ok(leaf)) => report.counts.names += leaf.entries.len() as u64,
            Some(Err(error)) => report.problem(format!("{key}: {error}")),
            None => {}
        }
    }
    for (kind, key) in &space.controls {
        let Some((bytes, version)) = body(log, key, report)? else {
            continue;
        };
        let judged = match kind {
            Key::Subscriptions(_) => subscriptions::decode(&bytes).map(|_| ()),
            Key::Signing(_) => signing::decode(&bytes).map(|_| ()),
            _ => subscription::Stored::decode(&bytes, version).map(|stored| {
                let live = matches!(stored, subscription::Stored::Live(_));
                report.counts.subscriptions += u64::from(live);
            }),
        };
        if let Err(error) = judged {
            report.problem(format!("{key}: {error}"));
        }
    }
    report.counts.chunks += space.chunks.len() as u64;
    report.counts.blocks += space.blocks.len() as u64;
    marks.left_over(report, left_over);
    Ok(())
}

fn remove(log: &Log, keys: Vec<String>) -> Result<(), CheckError> {
    let mut sequence = log.highest_sequence().get();
    for some in keys.chunks(BATCH) {
        let changes: Vec<Change> = some
            .iter()
            .map(|key| {
                sequence = sequence.saturating_add(1);
                Change {
                    key: key.as_str().into(),
                    value: None,
                    sequence: ChangeNumber::new(sequence),
                }
            })
            .collect();
        log.commit(&changes)?;
    }
    while log.compact()? {}
    Ok(())
}

#[cfg(test)]
mod tests;
