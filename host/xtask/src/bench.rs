//! `cargo xtask bench`: our host against a peer, in interleaved rounds.

mod seed;

use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::run;
use crate::server::{MEMORY, Server};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The load, in the order of the table.
const SCENARIOS: [&str; 4] = ["append", "tail", "read", "fan-out"];

/// What a measurement of the readers needs, for itself and for the server alike.
const OPEN_FILES: u64 = 1_200;

/// Longer than any measurement: no reader may end in the middle of one.
const SSE_SECS: &str = "3600";

/// A server that is measured, in the order of a round: the peer between our two ways, so that
/// whatever the machine does meanwhile meets all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Exchange,
    Seed,
    WasiHttp,
}

const CONTESTANTS: [Contestant; 3] = [Contestant::Exchange, Contestant::Seed, Contestant::WasiHttp];

impl Contestant {
    fn label(self) -> &'static str {
        match self {
            Self::Exchange => "ours-exchange",
            Self::Seed => "seed",
            Self::WasiHttp => "ours-wasi-http",
        }
    }

    fn start(self) -> Result<Server, Failure> {
        let variables = [("sse_max_secs", SSE_SECS)];
        match self {
            Self::Exchange => Server::start((MEMORY, "exchange"), &variables),
            Self::WasiHttp => Server::start((MEMORY, "wasi-http"), &variables),
            Self::Seed => seed::start(),
        }
    }
}

/// What was asked for.
#[derive(Debug)]
struct Options {
    rounds: u32,
    seconds: f64,
    contestants: Vec<Contestant>,
    scenarios: Vec<&'static str>,
}

const USAGE: &str = "bench [--rounds N] [--seconds S] [--only ours|seed|LABEL] [--scenario append|tail|read|fan-out]";

fn parse(args: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        rounds: 3,
        seconds: 10.0,
        contestants: CONTESTANTS.to_vec(),
        scenarios: Vec::new(),
    };
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let wrong = || Failure::new(format!("wrong arguments at {flag:?}; it is: {USAGE}"));
        let value = args.next().ok_or_else(wrong)?;
        match flag.as_str() {
            "--rounds" => options.rounds = value.parse().map_err(|_| wrong())?,
            "--seconds" => {
                options.seconds = value.parse().map_err(|_| wrong())?;
                // The clock of a process's CPU ticks 100 times a second.
                if !(1.0..=600.0).contains(&options.seconds) {
                    return Err(Failure::new("a round takes 1 to 600 seconds"));
                }
            }
            "--only" => options.contestants.retain(|one| match value.as_str() {
                "ours" => *one != Contestant::Seed,
                label => one.label() == label,
            }),
            "--scenario" => {
                let named = SCENARIOS.iter().find(|name| *name == value);
                options.scenarios.push(named.ok_or_else(wrong)?);
            }
            _ => return Err(wrong()),
        }
    }
    if options.contestants.is_empty() || options.rounds == 0 {
        return Err(Failure::new(format!("nothing to measure; it is: {USAGE}")));
    }
    if options.scenarios.is_empty() {
        options.scenarios = SCENARIOS.to_vec();
    }
    Ok(options)
}

/// Builds what is missing, measures, and prints medians and ratios.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    enough_open_files()?;
    prepare(&options)?;
    let results = results()?;
    print_conditions(&options);
    for round in 1..=options.rounds {
        println!("\nround {round} of {}", options.rounds);
        for scenario in &options.scenarios {
            for contestant in &options.contestants {
                measure(*contestant, scenario, round, &options)?;
            }
        }
    }
    println!();
    let mut summary = Command::new(generator());
    summary.arg("summary").arg(results);
    if options.contestants.contains(&Contestant::Seed) {
        summary.args(["--baseline", Contestant::Seed.label()]);
    }
    ended_well(&mut summary)
}

fn prepare(options: &Options) -> Result<(), Failure> {
    run::run(
        "build the load generator",
        host::cargo("build").args(["--package", "durable-streams-bench"]),
    )?;
    if options.contestants.contains(&Contestant::Seed) {
        seed::install()?;
    }
    if options
        .contestants
        .iter()
        .all(|one| *one == Contestant::Seed)
    {
        return Ok(());
    }
    host::build()
}

/// One scenario against a server of its own, which has no other streams and no other memory.
fn measure(
    contestant: Contestant,
    scenario: &str,
    round: u32,
    options: &Options,
) -> Result<(), Failure> {
    let server = contestant.start()?;
    let label = contestant.label();
    let file = format!("{scenario}.{label}.{round}.json");
    ended_well(
        Command::new(generator())
            .args(["measure", "--scenario", scenario, "--label", label])
            .args(["--url", &format!("{}/v1/stream", server.url)])
            .args(["--pid", &server.pid().to_string()])
            .args(["--round", &round.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .arg("--json")
            .arg(directory().join(file)),
    )
}

fn ended_well(generator: &mut Command) -> Result<(), Failure> {
    match generator.stdin(Stdio::null()).status()? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!(
            "the load generator failed ({status})"
        ))),
    }
}

/// The directory of the results, without those of an earlier call.
fn results() -> Result<PathBuf, Failure> {
    let directory = directory();
    std::fs::create_dir_all(&directory)?;
    for entry in std::fs::read_dir(&directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            std::fs::remove_file(path)?;
        }
    }
    Ok(directory)
}

fn directory() -> PathBuf {
    paths::target().join("bench")
}

fn generator() -> PathBuf {
    paths::target()
        .join("host/durable-streams-bench")
        .with_extension(std::env::consts::EXE_EXTENSION)
}

fn enough_open_files() -> Result<(), Failure> {
    let out = Command::new("sh").args(["-c", "ulimit -n"]).output()?;
    // "unlimited" is no number, and enough.
    let limit = String::from_utf8_lossy(&out.stdout).trim().parse::<u64>();
    match limit {
        Ok(limit) if limit < OPEN_FILES => Err(Failure::new(format!(
            "{limit} open files are allowed, {OPEN_FILES} are needed"
        ))
        .by_hand("ulimit -n 4096")),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn print_conditions(options: &Options) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let each = Duration::from_secs_f64(options.seconds);
    println!(
        "\nLoad generator and server share {cores} cores; load average before the start: {load}.\n\
         {} rounds of {each:?} a scenario and server; a new server for each, from memory.",
        options.rounds
    );
}
