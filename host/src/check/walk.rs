//! The walk from every record that refers to chunks and index blocks.

use super::error::CheckError;
use super::forks::Family;
use super::marks::Marks;
use super::report::Report;
use super::space::{Space, body, value};
use crate::store::log::Log;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::keys::{
    Key, Keys, debt, registry, signing, subscription, subscriptions, todo,
};

/// Walks one namespace. Adds its findings to the report, and collects the unreferenced keys.
pub(super) fn walk(
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
    report.counts.gates += space.gates.len() as u64;
    report.counts.chunks += space.chunks.len() as u64;
    report.counts.blocks += space.blocks.len() as u64;
    marks.left_over(report, left_over);
    Ok(())
}
