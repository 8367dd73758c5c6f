//! A walk against streams that come, grow and go while it is under way.

use super::super::rules::Scope;
use super::super::table::{Counts, Table};
use super::Walk;
use durable_streams_edge::seam::streams::{REGISTRY_SHARDS, StreamHash};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// Names of streams in each leaf of the model.
const LEAF: usize = 2;

const SCOPE: Scope<'_> = Scope {
    prefix: "p",
    rule: 0,
    is_named: true,
};

/// A step of a client or of the walk.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Enters the name of a stream in a leaf.
    Enter(usize),
    /// Creates a stream whose name is in a leaf.
    Create(usize),
    /// Adds bytes to a stream.
    Append(usize, u64),
    /// Ends a stream. Its name stays in the leaf.
    Delete(usize),
    /// Removes the name of an ended stream.
    Leave(usize),
    /// Reads the leaf that the walk opened.
    Read,
    /// Visits a stream, or opens the next leaf.
    Visit,
}

/// A store with a name registry.
#[derive(Default)]
struct Model {
    /// Leaves by shard.
    leaves: BTreeMap<u8, Vec<Vec<StreamHash>>>,
    /// Leaf and bytes of each stream.
    streams: HashMap<StreamHash, (u32, u64)>,
    /// Leaf of each name in the registry.
    entered: HashMap<StreamHash, u32>,
}

impl Model {
    fn enter(&mut self, hash: StreamHash) {
        if self.entered.contains_key(&hash) {
            return;
        }
        let leaves = self.leaves.entry(hash.shard()).or_default();
        let place = leaves.iter().position(|leaf| leaf.len() < LEAF);
        let place = place.unwrap_or_else(|| {
            leaves.push(Vec::new());
            leaves.len() - 1
        });
        leaves[place].push(hash);
        self.entered.insert(hash, place as u32);
    }

    fn swap(&mut self, walk: &mut Walk, hash: StreamHash, after: Option<(u32, u64)>) {
        let before = match after {
            Some(after) => self.streams.insert(hash, after),
            None => self.streams.remove(&hash),
        };
        for (record, sign) in [(before, -1), (after, 1)] {
            if let Some((leaf, bytes)) = record
                && walk.has_passed(&hash, leaf)
            {
                let counts = Counts::of_stream(bytes);
                let counts = if sign < 0 { counts.negated() } else { counts };
                walk.table.add(SCOPE, counts);
            }
        }
    }

    fn read(&self, walk: &mut Walk) {
        let (shard, leaf) = walk.leaf();
        let leaves = self.leaves.get(&shard);
        let found = leaves.and_then(|leaves| leaves.get(leaf as usize));
        walk.read(found.cloned().unwrap_or_default(), found.is_none());
    }

    /// Returns whether the walk goes on.
    fn visit(&self, walk: &mut Walk) -> bool {
        let Some(hash) = walk.next() else {
            return walk.advance(REGISTRY_SHARDS);
        };
        let record = self.streams.get(&hash);
        if walk.pass(&hash, record.map(|(leaf, _)| *leaf))
            && let Some((_, bytes)) = record
        {
            walk.table.add(SCOPE, Counts::of_stream(*bytes));
        }
        true
    }

    fn run(&mut self, walk: &mut Walk, names: &[StreamHash], step: Step) -> bool {
        match step {
            Step::Enter(name) => self.enter(names[name]),
            Step::Create(name) => {
                if let Some(leaf) = self.entered.get(&names[name]).copied()
                    && !self.streams.contains_key(&names[name])
                {
                    self.swap(walk, names[name], Some((leaf, 1)));
                }
            }
            Step::Append(name, more) => {
                if let Some((leaf, bytes)) = self.streams.get(&names[name]).copied() {
                    self.swap(walk, names[name], Some((leaf, bytes + more)));
                }
            }
            Step::Delete(name) => self.swap(walk, names[name], None),
            Step::Leave(name) => {
                let hash = names[name];
                if !self.streams.contains_key(&hash)
                    && let Some(leaf) = self.entered.remove(&hash)
                {
                    let leaves = self.leaves.get_mut(&hash.shard()).expect("a shard");
                    leaves[leaf as usize].retain(|other| *other != hash);
                }
            }
            Step::Read if walk.is_open() => self.read(walk),
            Step::Visit if !walk.is_open() => return self.visit(walk),
            Step::Read | Step::Visit => {}
        }
        true
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..24_usize).prop_map(Step::Enter),
        3 => (0..24_usize).prop_map(Step::Create),
        2 => (0..24_usize, 1..9_u64).prop_map(|(name, more)| Step::Append(name, more)),
        1 => (0..24_usize).prop_map(Step::Delete),
        1 => (0..24_usize).prop_map(Step::Leave),
        3 => Just(Step::Read),
        4 => Just(Step::Visit),
    ]
}

/// Names in the last shards that a walk visits, so that random steps happen before, in and behind
/// their leaves.
fn names() -> Vec<StreamHash> {
    let all = (0..).map(|number| StreamHash::of(&number.to_string()));
    all.filter(|hash| hash.shard() < 3).take(24).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_walk_counts_every_stream_once_whatever_changes_meanwhile(
        before in vec(step(), 0..60),
        during in vec(step(), 0..200),
    ) {
        let names = names();
        let (mut model, mut walk) = (Model::default(), Walk::new(Table::new(std::iter::empty())));
        let is_of_clients = |step: &Step| !matches!(step, Step::Read | Step::Visit);
        for step in before.into_iter().filter(is_of_clients) {
            model.run(&mut walk, &names, step);
        }
        let mut walk = Walk::new(Table::new(["p"].into_iter()));
        let mut goes_on = true;
        for step in during {
            goes_on = goes_on && model.run(&mut walk, &names, step);
            if !goes_on {
                break;
            }
        }
        while goes_on {
            goes_on = match walk.is_open() {
                true => {
                    model.read(&mut walk);
                    true
                }
                false => model.visit(&mut walk),
            };
        }
        let counts = walk.table.of("p").expect("a named prefix");
        let bytes: u64 = model.streams.values().map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(counts.streams(), model.streams.len() as u64);
        prop_assert_eq!(counts.bytes(), bytes);
    }
}
