//! The tiers: one directory and one command each.

use super::suite::{cargo_test, cargo_test_with, counted};
use super::tally::{Outcome, Tally};
use super::{Options, browser, deploy, guides, packages};
use crate::component::{self, Build};
use crate::failure::Failure;
use crate::host;
use crate::node::Scripts;
use crate::paths;
use crate::python;
use crate::run;
use crate::server::{self, MEMORY, Pair, REDIS, Server, VIAS};
use crate::services;
use crate::toolchain::{self, TARGET, Toolchain};

/// A tier of tests.
#[derive(Debug)]
pub(super) struct Tier {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) run: fn(&Options) -> Outcome,
}

/// Every tier, the quick ones first.
pub(super) static TIERS: [Tier; 14] = [
    Tier {
        name: "fmt",
        description: "the sources are formatted",
        run: fmt,
    },
    Tier {
        name: "clippy",
        description: "clippy has no warnings",
        run: clippy,
    },
    Tier {
        name: "structure",
        description: "dependencies between files, licences of dependencies, documentation",
        run: structure,
    },
    Tier {
        name: "component",
        description: "the component, its size, its imports and exports",
        run: component,
    },
    Tier {
        name: "unit",
        description: "unit and property tests",
        run: unit,
    },
    Tier {
        name: "sim",
        description: "the simulation: seeds, and planted bugs",
        run: sim,
    },
    Tier {
        name: "fuzz",
        description: "the corpus of the fuzzer, and mutations of it",
        run: fuzz,
    },
    Tier {
        name: "http",
        description: "the host over HTTP: its stores, with each --via",
        run: http,
    },
    Tier {
        name: "crash",
        description: "the host is killed under load, and its disk filled",
        run: crash,
    },
    Tier {
        name: "conformance",
        description: "the official conformance suite: the stores, with each --via",
        run: conformance,
    },
    Tier {
        name: "client",
        description: "the client command, the official clients, the examples, and the page in a browser",
        run: client,
    },
    Tier {
        name: "packages",
        description: "the packages, installed and used",
        run: packages::packages,
    },
    Tier {
        name: "guides",
        description: "the commands in the guides",
        run: guides::guides_commands,
    },
    Tier {
        name: "deploy",
        description: "the host as manifests, the chart and other files start it; the workflows",
        run: deploy::deploy,
    },
];

impl Tier {
    pub(super) fn named(name: &str) -> Result<&'static Self, Failure> {
        TIERS.iter().find(|tier| tier.name == name).ok_or_else(|| {
            let names: Vec<&str> = TIERS.iter().map(|tier| tier.name).collect();
            Failure::new(format!(
                "there is no tier {name:?}; the tiers are {}",
                names.join(", ")
            ))
        })
    }
}

fn fmt(_: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let mut cargo = crate::cargo::cargo();
    outcome.gate(run::run(
        "cargo fmt --check",
        cargo.args(["fmt", "--all", "--check"]),
    ));
    outcome
}

fn clippy(_: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let mut native = host::cargo("clippy");
    native.args(["--workspace", "--all-targets", "--features", CONTRACT]);
    native.args(["--", "-D", "warnings"]);
    if !outcome.gate(run::run("cargo clippy, native", &mut native)) {
        return outcome;
    }
    match toolchain::find() {
        Ok(Toolchain::Rustup) => {
            for build in Build::ALL {
                let mut wasm = crate::cargo::cargo();
                wasm.args([
                    "clippy",
                    "--release",
                    "--package",
                    "durable-streams-edge",
                    "--lib",
                ]);
                wasm.args(build.features());
                wasm.arg("--target-dir").arg(build.target_dir());
                wasm.args(["--target", TARGET, "--", "-D", "warnings"]);
                let description = format!("cargo clippy, for the component ({})", build.wasi());
                outcome.gate(run::run(&description, &mut wasm));
            }
        }
        Ok(Toolchain::Debian(_)) => {
            println!("    skipped: clippy for the component needs rustup's target {TARGET}");
            outcome.tally.skipped += 1;
        }
        Err(failure) => {
            outcome.gate(Err(failure));
        }
    }
    outcome
}

fn structure(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.counted(cargo_test(
        "arrows between files, dependencies",
        options,
        &[
            "--test", "rules", "--test", "licences", "--test", "features",
        ],
        &[],
    ));
    let mut documentation = host::cargo("doc");
    documentation.args(["--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    outcome.gate(run::run("cargo doc, without warnings", &mut documentation));
    outcome
}

/// Feature that exports the test suite for stores outside the host's crate.
const CONTRACT: &str = "durable-streams-host/contract";

fn component(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let _ = outcome.gate(component::build())
        && outcome.gate(component_is_small())
        && outcome.needs(host::build())
        && outcome.counted(cargo_test(
            "the component's imports and exports",
            options,
            &["--test", "component"],
            &[],
        ));
    outcome
}

fn component_is_small() -> Result<(), Failure> {
    let most = component::MAX_BYTES;
    for build in Build::ALL {
        let (bytes, wasi) = (paths::component(build).metadata()?.len(), build.wasi());
        println!("    the component for {wasi} has {bytes} bytes, at most {most} are allowed");
        if bytes > most {
            return Err(Failure::new(
                "the component is too large: make it smaller, or raise MAX_BYTES in xtask's \
                 component.rs",
            ));
        }
    }
    Ok(())
}

fn unit(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if !outcome.needs(services::provide_redis(options.install)) {
        return outcome;
    }
    outcome.counted(cargo_test(
        "unit and property tests",
        options,
        &["--lib", "--bins"],
        &[("DS_TEST_FULL", flag(options.full))],
    ));
    outcome.counted(cargo_test(
        "examples in the documentation",
        options,
        &["--doc"],
        &[],
    ));
    // The feature compiles the host a second time.
    if options.full {
        outcome.counted(cargo_test(
            "the contract of stores, from outside the host's crate",
            options,
            &["--features", CONTRACT, "--test", "contract"],
            &[],
        ));
    }
    outcome
}

fn sim(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let seeds = if options.full { "10000" } else { "500" };
    let args = ["--seeds", seeds].map(str::to_owned);
    // A filter selects tests by name, and seeds have no names.
    let _ = (options.filter.is_some()
        || outcome.gate(run::run(
            &format!("simulation of {seeds} seeds"),
            &mut crate::sim::program(&args),
        )))
        && outcome.counted(cargo_test(
            "planted bugs, and the same history from the same seed",
            options,
            &["--test", "planted"],
            &[],
        ));
    outcome
}

fn fuzz(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    // The short run takes seconds, the full run minutes.
    let runs = if options.full { "200000" } else { "20000" };
    outcome.counted(cargo_test(
        "the corpus of the fuzzer, and mutations of it",
        options,
        &["--test", "replay"],
        &[("DS_FUZZ_RUNS", runs)],
    ));
    outcome
}

/// Modules of tests that start hosts of their own, or read a host's store or log.
const OWN_HOSTS: [&str; 11] = [
    "alerts",
    "commits",
    "damage",
    "hosts",
    "instances",
    "monitoring",
    "process",
    "redis",
    "redis_outage",
    "redis_past",
    "upgrade",
];

/// Runs the HTTP tests against a server that already runs.
fn http_at(url: &str, options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    println!(
        "    left out, since they start hosts of their own: {}",
        OWN_HOSTS.join(", ")
    );
    let skip = OWN_HOSTS.map(|module| ["--skip".to_owned(), format!("{module}::")]);
    let skip: Vec<&str> = skip.iter().flatten().map(String::as_str).collect();
    outcome.counted(cargo_test_with(
        &format!("HTTP tests against {url}"),
        options,
        &["--test", "http"],
        &[(TEST_URL, url)],
        &skip,
    ));
    outcome
}

/// Tests over HTTP that run at the same time. They wait most of the time.
const HTTP_THREADS: &str = "6";

/// Variable with the URL of a server to test.
const TEST_URL: &str = "DS_TEST_URL";

fn http(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if let Ok(url) = std::env::var(TEST_URL) {
        return http_at(&url, options);
    }
    let provided = services::provide_nginx(options.install)
        .and_then(|()| services::provide_prometheus(options.install));
    if !outcome.needs(host::build()) || !outcome.needs(provided) {
        return outcome;
    }
    for (store, via) in pairs(options, &mut outcome) {
        let environment = [
            ("DS_TEST_STORE", store),
            ("DS_TEST_VIA", via),
            ("DS_TEST_FULL", flag(options.full)),
        ];
        let run = cargo_test_with(
            &format!("HTTP tests, --store {store} --via {via}"),
            options,
            &["--test", "http"],
            &environment,
            &["--test-threads", HTTP_THREADS],
        );
        if !outcome.counted(run) {
            break;
        }
    }
    outcome
}

/// Returns the pairs to run over. Without a Redis, prints and counts the pairs that are skipped.
fn pairs(options: &Options, outcome: &mut Outcome) -> Vec<Pair> {
    if !outcome.needs(services::provide_redis(options.install)) {
        return Vec::new();
    }
    let mut pairs = server::pairs(options.full);
    if let Err(why) = test_support::redis_program() {
        let all = pairs.len();
        pairs.retain(|(store, _)| *store != REDIS);
        println!("    skipped: --store redis, since {why}");
        outcome.tally.skipped += (all - pairs.len()) as u64;
    }
    pairs
}

fn crash(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if outcome.needs(host::build()) {
        outcome.counted(cargo_test(
            "crash tests",
            options,
            &["--test", "crash"],
            &[("DS_TEST_FULL", flag(options.full))],
        ));
    }
    outcome
}

fn flag(value: bool) -> &'static str {
    if value { "1" } else { "0" }
}

/// Seconds that a long-poll of the suites waits on the server. The official suite allows the server its
/// own `longPollTimeoutMs` plus one second.
const LONG_POLL_SECS: &str = "2";
const LONG_POLL_MS: &str = "2000";

/// Runs the official suite against our own host: over each store, and through each interface of the
/// component.
pub(super) fn conformance(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if !outcome.needs(host::build()) {
        return outcome;
    }
    let rounds = if options.full { 3 } else { 1 };
    let pairs = pairs(options, &mut outcome);
    if let Err(failure) = Scripts::install("conformance") {
        outcome.gate(Err(failure));
        return outcome;
    }
    for _ in 0..rounds {
        for group in pairs.chunks(SUITES_AT_ONCE) {
            let runs = at_once(group, |&pair| conformance_of(pair, options));
            let passed = runs.into_iter().map(|run| outcome.counted(run));
            if passed.filter(|passed| !passed).count() > 0 {
                return outcome;
            }
        }
    }
    outcome
}

/// Official suites that run at the same time. They wait most of the time.
const SUITES_AT_ONCE: usize = 4;

/// Runs one job for each item, all at the same time.
fn at_once<T: Sync, R: Send>(items: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let job = &job;
        let running: Vec<_> = items
            .iter()
            .map(|item| scope.spawn(move || job(item)))
            .collect();
        running
            .into_iter()
            .map(|job| {
                job.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Runs the official suite against a host of its own.
fn conformance_of(pair: Pair, options: &Options) -> Result<(bool, Tally), Failure> {
    let variables = [
        ("long_poll_timeout_secs", LONG_POLL_SECS),
        // The suite's webhook receivers run on this machine.
        ("webhook_allow_localhost", "true"),
    ];
    let server = Server::start(pair, &variables)?;
    let (store, via) = pair;
    let description = format!("official conformance suite, --store {store} --via {via}");
    run_conformance(&description, &server.url, options)
}

/// Runs the official suite against the server at `url`.
pub(super) fn conformance_at(url: &str, options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.counted(run_conformance("official conformance suite", url, options));
    outcome
}

fn run_conformance(
    description: &str,
    url: &str,
    options: &Options,
) -> Result<(bool, Tally), Failure> {
    let mut node = Scripts::install("conformance")?.node("run.mjs");
    node.args([url, "--long-poll-ms", LONG_POLL_MS]);
    if let Some(filter) = &options.filter {
        node.args(["--filter", filter]);
    }
    counted(description, &mut node, Tally::of_script)
}

fn client(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    if !outcome.needs(host::build()) {
        return outcome;
    }
    let command = cargo_test("the client command", options, &["--test", "command"], &[]);
    if !outcome.counted(command) {
        return outcome;
    }
    // In the short run the server ends live reads often. Otherwise the client would never reconnect.
    let (seconds, variables): (&str, &[(&str, &str)]) = match options.full {
        true => ("60", &[]),
        false => (
            "6",
            &[
                ("long_poll_timeout_secs", LONG_POLL_SECS),
                ("sse_max_secs", "2"),
            ],
        ),
    };
    let client = format!("the TypeScript client for {seconds} s");
    let scripts: [(&str, &str, &[&str]); 2] = [
        (&client, "follow.mjs", &["--seconds", seconds]),
        (
            "the authors' packages for Yjs, rows and AI",
            "packages.mjs",
            &[],
        ),
    ];
    for via in VIAS {
        for (description, script, args) in scripts {
            let run = Server::start((MEMORY, via), variables).and_then(|server| {
                let mut node = Scripts::install("client")?.node(script);
                node.arg(&server.url).args(args);
                counted(
                    &format!("{description}, --via {via}"),
                    &mut node,
                    Tally::of_script,
                )
            });
            if !outcome.counted(run) {
                return outcome;
            }
        }
    }
    let _ = outcome.counted(examples(options))
        && outcome.needs(services::provide_chromium(options.install))
        && outcome.counted(browser::chat())
        && outcome.counted(browser::page());
    outcome
}

/// Runs the examples. The Python examples need their packages.
fn examples(options: &Options) -> Result<(bool, Tally), Failure> {
    let python = python::with_packages("examples", options.install)?;
    let server = Server::start((MEMORY, VIAS[0]), &[])?;
    let mut node = Scripts::install("examples")?.node("run.mjs");
    node.arg(format!("{}/v1/stream", server.url)).args(python);
    counted("the examples", &mut node, Tally::of_script)
}
