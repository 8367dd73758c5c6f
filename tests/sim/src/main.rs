//! `sim`: runs seeds and prints their outcomes.

use durable_streams_sim::{Planted, RunResult, Tally, catch, run, run_many};
use std::process::ExitCode;

const HELP: &str = "\
sim [--seeds N] [--from S] [--show SEED] [--planted N]

  --seeds N    run so many seeds (1000)
  --from S     beginning with this one (0)
  --show SEED  run this one alone, and print all that happened
  --planted N  plant bugs, and look for each in at most so many seeds";

struct Args {
    seeds: u64,
    from: u64,
    show: Option<u64>,
    planted: Option<u64>,
}

fn parse() -> Result<Args, String> {
    let mut args = Args {
        seeds: 1000,
        from: 0,
        show: None,
        planted: None,
    };
    let mut given = std::env::args().skip(1);
    while let Some(flag) = given.next() {
        let value = given.next().and_then(|value| value.parse().ok());
        let value = value.ok_or_else(|| format!("{flag} wants a number\n\n{HELP}"));
        match flag.as_str() {
            "--seeds" => args.seeds = value?,
            "--from" => args.from = value?,
            "--show" => args.show = Some(value?),
            "--planted" => args.planted = Some(value?),
            _ => return Err(format!("unknown flag {flag:?}\n\n{HELP}")),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match parse() {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(seed) = args.show {
        let outcome = run(seed, None, true);
        outcome.story.iter().for_each(|line| println!("{line}"));
        return verdict(&mut Tally::default(), seed, &outcome);
    }
    // A panic of a run is a violation, and is printed as one.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(seeds) = args.planted {
        return look_for_planted(seeds);
    }
    let mut tally = Tally::default();
    let mut failed = false;
    run_many(args.from, args.seeds, |seed, outcome| {
        failed |= verdict(&mut tally, seed, &outcome) == ExitCode::FAILURE;
    });
    println!("{tally}");
    match failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

fn look_for_planted(seeds: u64) -> ExitCode {
    let mut missed = 0;
    for planted in Planted::ALL {
        let name = format!("{planted:?}");
        match catch(*planted, seeds) {
            Some((seed, found)) => println!("{name:<20} {:>4} seeds: {}", seed + 1, found.rule),
            None => {
                println!("{name:<20} not found in {seeds} seeds");
                missed += 1;
            }
        }
    }
    match missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn verdict(tally: &mut Tally, seed: u64, outcome: &RunResult) -> ExitCode {
    tally.add(outcome);
    if outcome.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("seed {seed} fails; to repeat it: cargo xtask sim --show {seed}");
    for violation in outcome.violations.iter().take(5) {
        println!("    {}: {}", violation.rule, violation.detail);
    }
    ExitCode::FAILURE
}
