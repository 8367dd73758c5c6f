//! The commands of this repository: `cargo xtask help` lists them.
//!
//! This crate compiles first on a fresh machine. It depends only on std and the tests' support crate,
//! which itself needs only std.

mod bench;
mod cargo;
mod component;
mod debian;
mod dist;
mod failure;
mod fuzz;
mod host;
mod log;
mod node;
mod paths;
mod python;
mod run;
mod serve;
mod server;
mod services;
mod sim;
mod soak;
mod tests;
mod toolchain;

use failure::Failure;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  component                     build the component for WASI 0.2 and 0.3, at the paths that spin.toml
                                and host/deploy/spin-p3.toml name
  build                         build the component, and the host with it in target/host
  serve [host flags]            build what is missing and serve on 127.0.0.1:4437
                                (flags: cargo xtask serve --help)
  test [--full] [--install] [TIER [FILTER]]
                                build what is missing and run the tests; --full adds the long runs,
                                --install installs Debian's packages that tests need
  conformance [URL] [FILTER]    the official suite alone, against our host or the server at URL
  dist [--out DIR] [--program FILE] [--no-image] [--install]
                                build the program that is published, for glibc 2.17, and make its
                                packages in target/dist; --program takes a built one instead
  sim [--seeds N] [--from S]    simulate many instances over stores that fail, one run for each seed;
                                --show SEED prints every event of one run
  fuzz [TARGET] [--seconds N]   fuzz each target, or one, for a minute or longer (needs cargo-fuzz)
  bench [ARGS]                  measure against a peer (not part of the tests)
                                (--rounds N --seconds S --only ours|seed --scenario NAME);
  bench durable [ARGS]          the same for appends that are kept on the disk
  soak [--minutes M]            watch memory and latencies of the file store under a mixed load, for
                                an hour by default (--rate APPENDS_A_SECOND --streams N)
  help                          this text

Commands print a line for each step, and the failures. --verbose shows all output, which otherwise
goes to target/logs.

Tiers of the tests, in the order they run:
  fmt clippy structure component unit sim fuzz http crash conformance client packages guides
  deploy

DS_TEST_URL=http://127.0.0.1:PORT lets the tier http run against a server that already runs. Give it
the variables long_poll_timeout_secs=1 and webhook_allow_localhost=true; tests that need others, or a
host of their own, are skipped by name.

Over redis the suites run where redis-server or valkey-server is installed: each starts its own on
a free port. DS_TEST_REDIS=0 leaves that out, DS_TEST_REDIS=PROGRAM takes another one. DS_TEST_NGINX
does the same for the tests behind nginx, DS_TEST_PROMETHEUS for those of alerts and the dashboard,
and DS_TEST_CHROMIUM for the tests in a browser. With CI=true a missing one is installed; Chromium is
a download of 155 MB.

DS_WASM_TOOLCHAIN=rustup|debian picks the toolchain that builds the component; without it
xtask uses an installed wasm32-wasip2 target, else one that rustup adds, else Debian's packages.";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let mut rest: Vec<String> = args.collect();
    if command != "serve" && rest.iter().any(|arg| arg == "--verbose") {
        rest.retain(|arg| arg != "--verbose");
        log::be_verbose();
    }
    let done = match command.as_str() {
        "component" => component::command(&rest),
        "build" => host::command(&rest),
        "serve" => serve::command(&rest),
        "test" => return tests::command(&rest),
        "conformance" => return tests::conformance_command(&rest),
        "dist" => dist::command(&rest),
        "sim" => sim::command(&rest),
        "fuzz" => fuzz::command(&rest),
        "bench" => bench::command(&rest),
        "soak" => soak::command(&rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        "" => Err(Failure::new(format!("a command is missing\n\n{HELP}"))),
        other => Err(Failure::new(format!("unknown command {other:?}\n\n{HELP}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
