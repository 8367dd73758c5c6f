//! What a log holds, by namespace and kind of key.

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
    /// Subscriptions, their list, signing keys.
    pub(super) controls: Vec<(Key, String)>,
    pub(super) debts: Vec<(Incarnation, String)>,
    /// Chunks and their lengths.
    pub(super) chunks: HashMap<(Incarnation, u64), u32>,
    pub(super) blocks: HashSet<(Incarnation, u64)>,
}

/// The keys of a log, by namespace.
pub(super) fn spaces(log: &Log, report: &mut Report) -> BTreeMap<String, Space> {
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
pub(super) fn value(
    log: &Log,
    key: &str,
    report: &mut Report,
) -> Result<Option<Vec<u8>>, CheckError> {
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
