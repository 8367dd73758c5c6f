//! Checks each stream's fork count. With a count too low, the stream's bytes would be removed while
//! a fork needs them. With a count too high, they would never be removed.

use super::report::Report;
use durable_streams_edge::keys::NameHash;
use durable_streams_edge::keys::head::Record;
use durable_streams_edge::stream::{ForkStep, Forks, Link};
use std::collections::{HashMap, HashSet};

/// Fork relations in the records of one namespace.
#[derive(Debug, Default)]
pub(super) struct Family {
    sources: HashMap<Link, (String, Forks)>,
    /// Name, link, source and standing of each fork.
    forks: Vec<(String, Link, Link, ForkState)>,
    /// Ended incarnations; their bytes are being removed.
    ended: HashSet<Link>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ForkState {
    Pending,
    Here,
    Deleted,
}

impl Family {
    pub(super) fn add(&mut self, record: &Record) {
        let name = record.name();
        let link = |incarnation| Link {
            hash: *NameHash::of(name).bytes(),
            incarnation,
        };
        let mut fork = |life, source, standing| {
            let fork = (name.to_owned(), link(life), source, standing);
            self.forks.push(fork);
        };
        match record {
            Record::Live(head) => {
                if let Some(lineage) = &head.lineage {
                    let standing = match lineage.pending {
                        true => ForkState::Pending,
                        false => ForkState::Here,
                    };
                    fork(head.incarnation, lineage.source, standing);
                }
                let source = (name.to_owned(), head.forks.clone());
                self.sources.insert(link(head.incarnation), source);
            }
            Record::Tombstone(tombstone) => {
                if tombstone.owes.is_some() {
                    self.ended.insert(link(tombstone.incarnation));
                }
                if let Some(source) = tombstone.source {
                    fork(tombstone.incarnation, source, ForkState::Deleted);
                }
            }
        }
    }

    /// Number of existing forks of each source.
    pub(super) fn counted(&self) -> HashMap<Link, u64> {
        let mut counts = HashMap::<Link, u64>::new();
        for (_, fork, source, standing) in &self.forks {
            let Some((_, forks)) = self.sources.get(source) else {
                continue;
            };
            let counted = match (standing, forks.step(fork.incarnation)) {
                (ForkState::Pending, step) => step == Some(ForkStep::Joined),
                (ForkState::Here, _) => true,
                (ForkState::Deleted, step) => step != Some(ForkStep::Leaving),
            };
            *counts.entry(*source).or_default() += u64::from(counted);
        }
        counts
    }

    pub(super) fn check(self, report: &mut Report) {
        // A salvage may leave a fork without its source, but with all bytes that they share.
        for (name, _, source, standing) in &self.forks {
            if *standing == ForkState::Here && self.ended.contains(source) {
                report.problem(format!("fork {name}: its source is gone"));
            }
        }
        let counts = self.counted();
        report.counts.forks += self.forks.len() as u64;
        for (link, (name, forks)) in &self.sources {
            let there = counts.get(link).copied().unwrap_or_default();
            if forks.count != there {
                let counted = forks.count;
                report.problem(format!(
                    "stream {name}: counts {counted} forks, but has {there}"
                ));
            }
        }
    }
}
