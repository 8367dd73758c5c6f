//! Keys in a log, by namespace and kind.

use super::error::CheckError;
use super::report::Report;
use crate::store::log::{Found, Log, ReadError, Wait};
use bytes::Bytes;
use durable_streams_edge::keys::{self, Envelope, Key};
use durable_streams_edge::stream::Incarnation;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The keys of one namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) heads: Vec<String>,
    pub(super) todos: Vec<String>,
    pub(super) leaves: Vec<String>,
    /// Subscriptions, their list and signing keys.
    pub(super) controls: Vec<(Key, String)>,
    pub(super) debts: Vec<(Incarnation, String)>,
    /// Chunks and their lengths.
    pub(super) chunks: HashMap<(Incarnation, u64), u32>,
    pub(super) blocks: HashSet<(Incarnation, u64)>,
    pub(super) gates: Vec<String>,
    pub(super) marker: Option<String>,
}

impl Space {
    /// All keys except those of heads, chunks, index blocks and debts.
    pub(super) fn others(&self) -> impl Iterator<Item = &String> {
        let controls = self.controls.iter().map(|(_, key)| key);
        let records = self.todos.iter().chain(&self.leaves).chain(controls);
        records.chain(&self.gates).chain(&self.marker)
    }
}

/// Sorts the keys from `for_each`, which come with the length of their values, by namespace. Keys
/// unknown to this version go to `foreign`.
pub(super) fn spaces(
    for_each: impl FnOnce(&mut dyn FnMut(&str, u32)),
    foreign: &mut dyn FnMut(&str),
) -> BTreeMap<String, Space> {
    let mut spaces = BTreeMap::<String, Space>::new();
    for_each(&mut |key, length| {
        let Some((namespace, parsed)) = keys::parse(key) else {
            foreign(key);
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
            Key::Gate => space.gates.push(key.to_owned()),
            Key::Marker => space.marker = Some(key.to_owned()),
        }
    });
    spaces
}

/// Value of a key; `None` and a problem in the report if it can't be read.
pub(super) fn value(
    log: &Log,
    key: &str,
    report: &mut Report,
) -> Result<Option<Vec<u8>>, CheckError> {
    match log.get(key, Wait::ForDisk) {
        Ok(Found::Value { value, .. }) => Ok(Some(value.to_vec())),
        Ok(Found::Absent | Found::NotResident) => Ok(None),
        Err(ReadError::Damaged { .. }) if report.is_hole(key) => Ok(None),
        Err(error @ ReadError::Damaged { .. }) => {
            report.problem(format!("{key}: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Body and version of a key's envelope. `None` if the body is empty or can't be read.
pub(super) fn body(
    log: &Log,
    key: &str,
    report: &mut Report,
) -> Result<Option<(Bytes, u64)>, CheckError> {
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
