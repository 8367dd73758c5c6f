//! `cargo xtask test`: every tier in order, then a table of counts and times.

mod browser;
mod deploy;
mod guides;
mod packages;
mod suite;
mod table;
mod tally;
mod tiers;

use crate::failure::Failure;
use std::process::ExitCode;
use std::time::Instant;
use table::Table;
use tally::Outcome;
use tiers::{TIERS, Tier};

/// Options of the command line.
#[derive(Debug, Default)]
struct Options {
    /// Add the long runs.
    full: bool,
    /// Install services that are missing.
    install: bool,
    /// Run this tier alone.
    tier: Option<&'static Tier>,
    /// Run only the tests with this text in their name.
    filter: Option<String>,
}

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options::default();
    for arg in args {
        if arg == "--full" {
            options.full = true;
        } else if arg == "--install" {
            options.install = true;
        } else if arg.starts_with('-') {
            return Err(Failure::new(format!("test takes no flag {arg:?}")));
        } else if options.tier.is_none() {
            options.tier = Some(Tier::named(arg)?);
        } else if options.filter.replace(arg.clone()).is_some() {
            return Err(Failure::new("test takes one tier and one filter"));
        }
    }
    Ok(options)
}

/// `cargo xtask test [--full] [--install] [TIER [FILTER]]`.
pub(crate) fn command(args: &[String]) -> ExitCode {
    let options = match parse(args) {
        Ok(options) => options,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            return ExitCode::FAILURE;
        }
    };
    let mut table = Table::default();
    let mut failed = None;
    for tier in TIERS.iter() {
        if options.tier.is_some_and(|wanted| wanted.name != tier.name) {
            continue;
        }
        println!("\n#### {}: {}", tier.name, tier.description);
        let begun = Instant::now();
        let outcome = (tier.run)(&options);
        table.add(tier.name, outcome.tally, begun.elapsed());
        if outcome.failed() {
            failed = Some((tier, outcome));
            break;
        }
    }
    println!();
    if let Some((tier, outcome)) = &failed {
        say_failed(tier, outcome, &options);
    }
    println!("{table}");
    let sum = table.sum();
    if let (None, Some(filter), 0) = (&failed, &options.filter, sum.passed + sum.skipped) {
        eprintln!("xtask: no test has {filter:?} in its name");
        return ExitCode::FAILURE;
    }
    match failed {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}

fn say_failed(tier: &Tier, outcome: &Outcome, options: &Options) {
    let full = if options.full { " --full" } else { "" };
    match &outcome.failure {
        Some(failure) => println!("FAILED in tier {}: {failure}", tier.name),
        None => println!("FAILED in tier {}: {}", tier.name, outcome.tally),
    }
    let filter = options.filter.as_ref();
    let filter = filter.map_or_else(String::new, |filter| format!(" {filter}"));
    println!(
        "To repeat only this: cargo xtask test{full} {}{filter}",
        tier.name
    );
}

/// `cargo xtask conformance [URL] [FILTER]`.
pub(crate) fn conformance_command(args: &[String]) -> ExitCode {
    let (url, filter) = match args {
        [url, rest @ ..] if url.contains("://") => (Some(url.as_str()), rest),
        rest => (None, rest),
    };
    if filter.len() > 1 || args.iter().any(|arg| arg.starts_with('-')) {
        eprintln!("xtask: conformance takes one URL and one filter, and no flags");
        return ExitCode::FAILURE;
    }
    let options = Options {
        filter: filter.first().cloned(),
        ..Options::default()
    };
    let outcome = match url {
        Some(url) => tiers::conformance_at(url, &options),
        None => tiers::conformance(&options),
    };
    if let Some(failure) = &outcome.failure {
        eprintln!("xtask: {failure}");
    }
    println!("\n{}", outcome.tally);
    match outcome.failed() {
        false => ExitCode::SUCCESS,
        true => ExitCode::FAILURE,
    }
}
