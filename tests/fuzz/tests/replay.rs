//! Runs the corpus, the inputs that once found a defect, and mutations of both.
//!
//! `DS_FUZZ_RUNS` sets the number of mutations of each target; the default is small.
//! `cargo xtask test fuzz` runs this; `cargo xtask fuzz` searches for new inputs.

use durable_streams_fuzz::{Mutator, TARGETS, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

/// Mutations of each target in an ordinary run, which take seconds.
const RUNS: u64 = 20_000;

/// The inputs of a target, by their file names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut inputs = Vec::new();
    for kind in ["corpus", "fixtures"] {
        let directory = root.join(kind).join(target);
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = format!("{kind}/{target}/{}", entry.file_name().to_string_lossy());
            let bytes = std::fs::read(entry.path()).expect("an input can be read");
            inputs.push((name, bytes));
        }
    }
    // Directory listings have no order.
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_the_corpus_keeps_the_claims() {
    for (target, _) in TARGETS {
        let inputs = corpus(target);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for (name, bytes) in inputs {
            println!("{name}");
            run(target, &bytes);
        }
    }
}

#[test]
fn mutations_of_the_corpus_keep_the_claims() {
    let runs = std::env::var("DS_FUZZ_RUNS").ok();
    let runs = runs.and_then(|runs| runs.parse().ok()).unwrap_or(RUNS);
    for (target, _) in TARGETS {
        let inputs: Vec<Vec<u8>> = corpus(target).into_iter().map(|(_, bytes)| bytes).collect();
        let mut mutator = Mutator::new(1);
        let begun = Instant::now();
        for number in 0..runs {
            let input = mutator.input(&inputs);
            let kept = catch_unwind(AssertUnwindSafe(|| run(target, &input)));
            assert!(
                kept.is_ok(),
                "mutation {number} of {target}: {}",
                input.escape_ascii()
            );
        }
        let rate = runs as f64 / begun.elapsed().as_secs_f64();
        println!("{target:<12} {runs} mutations, {rate:.0} a second");
    }
}
