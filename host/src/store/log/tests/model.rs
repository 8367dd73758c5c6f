//! Comparison of the log with a map, through random commits, compactions, failures and crashes.
//!
//! After a crash a log with [`Durability::Sync`] holds the result of all successful commits. It may
//! also hold the whole batch that was being committed. With [`Durability::Os`] it holds the result
//! of the first commits up to some point, which is not before the last time it was opened.

use super::super::Durability;
use super::super::faults::{Fault, Operation, Random};
use super::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::io::ErrorKind;

type Model = BTreeMap<String, (Bytes, ChangeNumber)>;

#[derive(Debug, Clone)]
enum Step {
    /// Writes to keys, in one batch.
    Commit(Vec<(u8, Write)>),
    Compact,
    /// Kills the process and opens the log again.
    Kill,
    /// Cuts the power.
    Crash,
    /// Cuts the power after this many operations.
    CrashIn(u8),
    /// Plans a fault.
    Fail(Operation, u8, Option<u8>),
    /// Limits the room on the disk.
    Fill(u8),
}

#[derive(Debug, Clone)]
enum Write {
    /// Replaces the whole value.
    Replace(u16),
    /// Keeps most of the value.
    Append(u16),
    Delete,
}

/// Longest value that an append keeps. An append to a longer one replaces it.
const LONGEST: usize = 3000;

fn steps(faults: bool) -> impl Strategy<Value = Vec<Step>> {
    let write = prop_oneof![
        2 => (0..1500_u16).prop_map(Write::Replace),
        6 => (0..200_u16).prop_map(Write::Append),
        1 => Just(Write::Delete),
    ];
    let commit = proptest::collection::vec((0..6_u8, write), 1..6).prop_map(Step::Commit);
    let operation = prop_oneof![
        Just(Operation::Create),
        Just(Operation::Write),
        Just(Operation::SetLen),
        Just(Operation::Sync),
        Just(Operation::SyncDir),
        Just(Operation::Remove),
    ];
    let fail = (operation, 1..12_u8, proptest::option::of(0..200_u8))
        .prop_map(|(operation, nth, short)| Step::Fail(operation, nth, short));
    let weight = u32::from(faults);
    let step = prop_oneof![
        12 => commit,
        8 => Just(Step::Compact),
        1 => Just(Step::Kill),
        1 => Just(Step::Crash),
        3 * weight => (0..40_u8).prop_map(Step::CrashIn),
        3 * weight => fail,
        weight => (0..100_u8).prop_map(Step::Fill),
    ];
    proptest::collection::vec(step, 1..120)
}

struct World {
    files: FaultyFiles,
    options: Options,
    log: Option<Log>,
    /// Content that readers of the log see.
    model: Model,
    /// Contents that the log may have instead when it is opened again.
    maybe: Vec<Model>,
    sequence: u64,
    random: Random,
    /// Number of keys with a patched value, summed over all commits.
    patches: usize,
}

impl World {
    fn new(durability: Durability, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut world = Self {
            files: FaultyFiles::default(),
            options: Options {
                durability,
                segment_bytes: 4096 << random.below(4),
            },
            log: None,
            model: Model::new(),
            maybe: Vec::new(),
            sequence: 0,
            random,
            patches: 0,
        };
        world.open();
        world
    }

    fn open(&mut self) {
        self.log = None;
        let (log, _) = try_open(&self.files, self.options).expect("opens");
        let found = contents(&log);
        if found != self.model {
            let known = self.maybe.contains(&found);
            assert!(
                known,
                "{found:?} is neither {:?} nor maybe {:?}",
                self.model, self.maybe
            );
            self.model = found;
        }
        let highest = self.model.values().map(|(_, sequence)| *sequence).max();
        assert!(highest <= Some(log.highest_sequence()));
        assert_eq!(log.verify().expect("reads").damages, []);
        self.maybe.clear();
        self.log = Some(log);
    }

    fn crash(&mut self) {
        let seed = self.random.number();
        self.files = self.files.crash(seed);
        // The opening may be interrupted, too.
        if self.random.below(3) == 0 {
            let operations = self.random.below(8) as u64;
            self.files.crash_after(operations);
            self.log = None;
            if try_open(&self.files, self.options).is_err() {
                let seed = self.random.number();
                self.files = self.files.crash(seed);
            } else {
                self.files = self.files.kill();
            }
        }
        self.open();
    }

    fn commit(&mut self, keys: &[(u8, Write)]) {
        let Some(log) = &self.log else { return };
        let mut after = self.model.clone();
        let mut batch = Vec::new();
        for (key, write) in keys {
            self.sequence += 1;
            let key = format!("k{key}");
            let older = after.get(&key).map(|(value, _)| value.clone());
            let older = older.filter(|value| value.len() <= LONGEST);
            let value = match write {
                Write::Replace(length) => Some(appended(&[], self.sequence, usize::from(*length))),
                Write::Append(more) => {
                    let older = older.unwrap_or_else(|| Bytes::from_static(&[1; 1024]));
                    Some(appended(&older, self.sequence, usize::from(*more)))
                }
                Write::Delete => None,
            };
            if let Some(value) = value {
                batch.push(set(&key, &value, self.sequence));
                let sequence = ChangeNumber::new(self.sequence);
                after.insert(key, (value.into(), sequence));
            } else {
                batch.push(delete(&key, self.sequence));
                after.remove(&key);
            }
        }
        match log.commit(&batch) {
            Ok(()) => {
                let before = std::mem::replace(&mut self.model, after);
                if self.options.durability == Durability::Os {
                    self.maybe.push(before);
                }
            }
            Err(CommitError::Sync(_)) => {
                assert!(log.refuses_writes());
                self.maybe.push(after);
            }
            Err(CommitError::Refused) => assert!(log.refuses_writes()),
            Err(CommitError::Full(_) | CommitError::Write(_)) => {
                // The log took back its partial write, so it still takes commits.
                assert!(!log.refuses_writes());
            }
            Err(CommitError::TooLarge) => panic!("it is not"),
        }
        assert_eq!(contents(log), self.model);
        self.patches += patches(log);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(keys) => self.commit(keys),
            Step::Compact => {
                if let Some(log) = &self.log {
                    let _ = log.compact();
                    assert_eq!(contents(log), self.model);
                }
            }
            Step::Kill => {
                self.files = self.files.kill();
                if self.options.durability == Durability::Os {
                    let refused = self.log.as_ref().is_some_and(Log::refuses_writes);
                    if !refused {
                        self.maybe.clear();
                    }
                }
                self.open();
            }
            Step::Crash => self.crash(),
            Step::CrashIn(operations) => self.files.crash_after(u64::from(*operations)),
            Step::Fail(operation, nth, short) => {
                let fault = match short {
                    Some(bytes) => Fault::Short(usize::from(*bytes), ErrorKind::StorageFull),
                    None => Fault::Error(ErrorKind::Other),
                };
                self.files.fail(*operation, u64::from(*nth), fault);
            }
            Step::Fill(bytes) => self.files.leave_room(u64::from(*bytes) * 100),
        }
    }
}

/// Runs the steps. Returns the number of patched values, summed over all commits.
fn run(durability: Durability, seed: u64, steps: &[Step]) -> usize {
    let mut world = World::new(durability, seed);
    for step in steps {
        world.step(step);
    }
    world.files.heal();
    world.crash();
    let log = world.log.as_ref().expect("open");
    compact_all(log);
    assert_eq!(contents(log), world.model);
    world.patches
}

#[test]
fn the_steps_make_many_patches() {
    let mut runner = TestRunner::deterministic();
    for faults in [false, true] {
        let mut patches = 0;
        for seed in 0..20 {
            let steps = steps(faults).new_tree(&mut runner).expect("steps");
            patches += run(Durability::Sync, seed, &steps.current());
        }
        assert!(patches > 20 * 10, "{patches}");
    }
}

proptest! {
    #[test]
    fn the_log_is_a_map_that_survives_crashes(seed: u64, steps in steps(false)) {
        run(Durability::Sync, seed, &steps);
    }

    #[test]
    fn no_failure_and_no_crash_at_any_moment_loses_a_commit(seed: u64, steps in steps(true)) {
        run(Durability::Sync, seed, &steps);
    }

    #[test]
    fn without_syncs_a_crash_leaves_a_beginning(seed: u64, steps in steps(false)) {
        run(Durability::Os, seed, &steps);
    }

    #[test]
    fn without_syncs_failures_leave_a_beginning(seed: u64, steps in steps(true)) {
        run(Durability::Os, seed, &steps);
    }
}
