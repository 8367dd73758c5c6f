//! Checks that the checker finds planted bugs, and no bugs in the real service.

use durable_streams_sim::{Planted, catch, run};

/// Seeds within which every planted bug has to be found.
const SEEDS: u64 = 300;

#[test]
fn every_planted_bug_is_caught() {
    // A panic within a run is a violation, and is reported as one.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for planted in Planted::ALL {
        match catch(*planted, SEEDS) {
            Some((seed, violation)) => {
                let name = format!("{planted:?}");
                let seeds = seed + 1;
                println!("{name:<20} {seeds:>4} seeds: {}", violation.rule);
            }
            None => missed.push(*planted),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not caught in {SEEDS} seeds: {missed:?}");
}

#[test]
fn one_seed_makes_one_history() {
    for seed in 0..40 {
        let (one, other) = (run(seed, None, true), run(seed, None, true));
        assert_eq!(one.story, other.story, "seed {seed}");
        assert_eq!(one.operations, other.operations, "seed {seed}");
        let next = run(seed + 1, None, true);
        assert_ne!(one.story, next.story, "seeds {seed} and the next");
    }
}
