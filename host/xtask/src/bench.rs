//! `cargo xtask bench`: measures our host and a peer in interleaved rounds.

mod seed;

use crate::failure::Failure;
use crate::host;
use crate::paths;
use crate::run;
use crate::server::{FILE, MEMORY, Server, new_directory};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The scenarios, in the order of the table.
const SCENARIOS: [&str; 4] = ["append", "tail", "read", "fan-out"];

/// Numbers of connections for appends to the disk: the wait of a single connection, and syncs
/// shared by many.
const CONNECTIONS: [&str; 3] = ["1", "32", "256"];

/// Connections of the other scenarios.
const USUAL: [&str; 1] = ["32"];

/// Open files needed by a measurement of the readers, in the generator and in the server alike.
const OPEN_FILES: u64 = 1_200;

/// Longer than any measurement, so that no reader ends during one.
const SSE_SECS: &str = "3600";

/// A measured server, in the order of a round. The peer runs between two of ours, so that other
/// load on the machine affects all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Exchange,
    Seed,
    WasiHttp,
    File,
    SeedAcid,
    FileOs,
}

/// Servers that keep data in memory.
const VOLATILE: [Contestant; 3] = [Contestant::Exchange, Contestant::Seed, Contestant::WasiHttp];

/// Servers that keep data on the disk.
const DURABLE: [Contestant; 3] = [Contestant::File, Contestant::SeedAcid, Contestant::FileOs];

impl Contestant {
    fn is_seed(self) -> bool {
        matches!(self, Self::Seed | Self::SeedAcid)
    }

    fn label(self) -> &'static str {
        match self {
            Self::Exchange => "ours-exchange",
            Self::Seed => "seed",
            Self::WasiHttp => "ours-wasi-http",
            Self::File => "ours-file",
            Self::SeedAcid => "seed-acid",
            Self::FileOs => "ours-file-os",
        }
    }

    /// Starts the server. `host` is the program of ours.
    fn start(self, host: &Path) -> Result<Server, Failure> {
        let variables = [("sse_max_secs", SSE_SECS)];
        let start = |pair, flags: &[&str]| {
            Server::start_program(host::program_at(host), pair, &variables, flags)
        };
        match self {
            Self::Exchange => start((MEMORY, "exchange"), &[]),
            Self::WasiHttp => start((MEMORY, "wasi-http"), &[]),
            Self::File => start((FILE, "exchange"), &[]),
            Self::FileOs => start((FILE, "exchange"), &["--durability", "os"]),
            Self::Seed => seed::start(None),
            Self::SeedAcid => seed::start(Some(new_directory())),
        }
    }
}

/// Options of the command line.
#[derive(Debug)]
struct Options {
    durable: bool,
    rounds: u32,
    seconds: f64,
    contestants: Vec<Contestant>,
    scenarios: Vec<&'static str>,
}

const USAGE: &str = "bench [durable] [--rounds N] [--seconds S] [--only ours|seed|LABEL] [--scenario append|tail|read|fan-out]";

fn parse(args: &[String]) -> Result<Options, Failure> {
    let durable = args.first().is_some_and(|first| first == "durable");
    let mut options = Options {
        durable,
        rounds: 3,
        seconds: 10.0,
        contestants: if durable { DURABLE } else { VOLATILE }.to_vec(),
        scenarios: Vec::new(),
    };
    let mut args = args.iter().skip(usize::from(durable));
    while let Some(flag) = args.next() {
        let wrong = || Failure::new(format!("wrong arguments at {flag:?}; usage: {USAGE}"));
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
                "ours" => !one.is_seed(),
                "seed" => one.is_seed(),
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
        return Err(Failure::new(format!("nothing to measure; usage: {USAGE}")));
    }
    if options.scenarios.is_empty() {
        options.scenarios = match durable {
            true => vec!["append"],
            false => SCENARIOS.to_vec(),
        };
    }
    Ok(options)
}

/// Builds missing programs, measures, and prints medians and ratios.
pub(crate) fn command(args: &[String]) -> Result<(), Failure> {
    let options = parse(args)?;
    enough_open_files()?;
    let host = prepare(&options)?;
    let results = results()?;
    print_conditions(&options);
    let connections: &[&str] = if options.durable {
        &CONNECTIONS
    } else {
        &USUAL
    };
    for round in 1..=options.rounds {
        println!("\nround {round} of {}", options.rounds);
        if options.durable {
            ended_well(Command::new(generator()).arg("syncs").arg(disk()?))?;
        }
        for scenario in &options.scenarios {
            for connections in connections {
                for contestant in &options.contestants {
                    let server = contestant.start(&host)?;
                    measure(&server, *contestant, scenario, connections, round, &options)?;
                }
            }
        }
    }
    println!();
    let mut summary = Command::new(generator());
    summary.arg("summary").arg(results);
    if let Some(seed) = options.contestants.iter().find(|one| one.is_seed()) {
        summary.args(["--baseline", seed.label()]);
    }
    ended_well(&mut summary)
}

/// Builds the load generator.
pub(crate) fn build_generator() -> Result<(), Failure> {
    run::run(
        "build the load generator",
        host::cargo("build").args(["--package", "durable-streams-bench"]),
    )
}

/// Builds the programs. Returns the path of our host.
fn prepare(options: &Options) -> Result<PathBuf, Failure> {
    build_generator()?;
    if options.contestants.iter().any(|one| one.is_seed()) {
        seed::install()?;
    }
    if options.contestants.iter().all(|one| one.is_seed()) {
        return Ok(PathBuf::new());
    }
    host::build_optimized()
}

/// Runs one scenario against a new server, without other streams or earlier memory use.
fn measure(
    server: &Server,
    contestant: Contestant,
    scenario: &str,
    connections: &str,
    round: u32,
    options: &Options,
) -> Result<(), Failure> {
    let label = contestant.label();
    let file = format!("{scenario}.{connections}.{label}.{round}.json");
    ended_well(
        Command::new(generator())
            .args(["measure", "--scenario", scenario, "--label", label])
            .args(["--url", &format!("{}/v1/stream", server.url)])
            .args(["--pid", &server.pid().to_string()])
            .args(["--round", &round.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .args(["--connections", connections])
            .arg("--disk")
            .arg(disk()?)
            .arg("--json")
            .arg(directory().join(file)),
    )
}

/// Runs the load generator.
pub(crate) fn ended_well(generator: &mut Command) -> Result<(), Failure> {
    match generator.stdin(Stdio::null()).status()? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!(
            "the load generator failed ({status})"
        ))),
    }
}

/// The directory of the results, without the results of an earlier call.
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

/// A directory on the disk used by durable servers.
fn disk() -> Result<PathBuf, Failure> {
    let directory = paths::target().join("tmp");
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Path of the load generator's program.
pub(crate) fn generator() -> PathBuf {
    paths::target()
        .join("host/durable-streams-bench")
        .with_extension(std::env::consts::EXE_EXTENSION)
}

fn enough_open_files() -> Result<(), Failure> {
    let out = Command::new("sh").args(["-c", "ulimit -n"]).output()?;
    // "unlimited" does not parse, and is enough.
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
         {} rounds of {each:?} a scenario and server; a new server for each, {}.",
        options.rounds,
        if options.durable {
            "on the disk"
        } else {
            "from memory"
        }
    );
}
