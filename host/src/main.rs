//! The program: arguments, signals, exit codes.

use durable_streams_host::announce::Announcement;
use durable_streams_host::backup::{self, BackupError, BackupSource};
use durable_streams_host::check::{CheckError, check, salvage};
use durable_streams_host::cli::{self, Command, Embedded, UsageError};
use durable_streams_host::hangup::Hangup;
use durable_streams_host::settled::Settled;
use durable_streams_host::{
    LogFormat, Options, StartError, diagnostics, engine, serve, supervisor,
};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Its settings are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The two builds of the component. Each is empty if the build did not get it (see
/// `.cargo/config.toml`). They are read here and not in a build script, so that another component
/// only costs another link.
static EMBEDDED: Embedded = Embedded {
    p2: include_bytes!(env!(
        "DS_EMBED_COMPONENT_P2",
        "build inside the repository, or name a file that `durable-streams precompile` wrote"
    )),
    p3: include_bytes!(env!(
        "DS_EMBED_COMPONENT_P3",
        "build inside the repository, or name a file that `durable-streams precompile` wrote"
    )),
};

/// Reason for a failure; its text is one line.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The configuration that `config` was to check.
    #[error(transparent)]
    Invalid(UsageError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Component(#[from] engine::ComponentError),
    #[error(transparent)]
    Check(#[from] CheckError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(
        "the store is damaged or incomplete; restore it from a backup, or copy its intact parts \
         with `check DIR --salvage OUT`"
    )]
    NotWhole,
    #[error("the store is damaged or incomplete; its intact parts are in {}", .0.display())]
    Salvaged(PathBuf),
    #[error("ended by a second signal; requests in progress were cut off")]
    CutOff,
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl Failure {
    /// Exit code: 2 for invalid arguments and variables, and 1 for any other failure. A clean end
    /// is 0. `docs/operations.md` has this table.
    fn code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Invalid(_)
            | Self::Start(_)
            | Self::Component(_)
            | Self::Check(_)
            | Self::Backup(_)
            | Self::NotWhole
            | Self::Salvaged(_)
            | Self::CutOff
            | Self::System(_) => ExitCode::from(1),
        }
    }
}

fn main() -> ExitCode {
    refuse_huge_pages();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            diagnostics::print(&format!("durable-streams: {failure}"));
            failure.code()
        }
    }
}

/// A few used bytes keep the 2 MiB of a huge page resident: the server's memory grew by leaps of up
/// to 20 MiB. Appends and reads are no slower without huge pages.
fn refuse_huge_pages() {
    // A kernel without this option has no huge pages.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_thp_disable(true);
}

fn run() -> Result<(), Failure> {
    match cli::parse(std::env::args_os())? {
        Command::Print(text) => Ok(std::io::stdout().write_all(text.as_bytes())?),
        // The process must not wait for the thread that reads standard input.
        Command::Client(verb) => std::process::exit(i32::from(verb.run().code())),
        Command::Precompile {
            input,
            output,
            portable,
        } => Ok(engine::precompile(&input, &output, portable)?),
        Command::Check {
            directory,
            fix,
            new_timeline,
        } => {
            let _log = diagnostics::start(LogFormat::Auto, None)?;
            let report = check(&directory, fix, new_timeline)?;
            writeln!(std::io::stdout(), "{report}")?;
            report.is_whole().then_some(()).ok_or(Failure::NotWhole)
        }
        Command::Salvage { directory, output } => {
            let _log = diagnostics::start(LogFormat::Auto, None)?;
            let report = salvage(&directory, &output, &mut diagnostics::print)?;
            writeln!(std::io::stdout(), "{report}")?;
            let is_whole = report.is_whole().then_some(());
            is_whole.ok_or(Failure::Salvaged(output))
        }
        Command::Config { given, json } => {
            let settled = Settled::new(&given, &environment()).map_err(Failure::Invalid)?;
            let in_force = settled.in_force();
            let text = match json {
                true => format!("{:#}\n", in_force.to_json()),
                false => in_force.to_string(),
            };
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
        Command::Backup { from, dest } => {
            let from = with_token(from);
            let summary = backup::backup(&from, &dest, &mut diagnostics::print)?;
            Ok(writeln!(std::io::stdout(), "{summary}")?)
        }
        Command::Restore { source, directory } => {
            let summary = backup::restore(&source, &directory, &mut diagnostics::print)?;
            Ok(writeln!(std::io::stdout(), "{summary}")?)
        }
        Command::Serve(given) => {
            let environment = environment();
            let settled = Settled::new(&given, &environment)?;
            let (format, directives) = settled.log();
            let _diagnostics = diagnostics::start(format, directives)?;
            let hangup = Hangup::new(&given, &environment, &settled);
            let acknowledged = settled.acknowledged();
            let options = settled.options(&EMBEDDED)?;
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            // A step runs on the caller's thread; a long one must not stop everything else.
            let threads = match options.store.blocks() {
                // Enough threads for other work while each instance waits for the store.
                true => options.instances.saturating_add(cores.max(2)),
                false => cores.max(2),
            };
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()?;
            run_to_end(runtime, until_signal(options, hangup, acknowledged))
        }
    }
}

/// The environment without names and values that are not text: they are not meant for this program.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Takes the token from the environment if the arguments name none.
fn with_token(from: BackupSource) -> BackupSource {
    match from {
        BackupSource::Server { admin, token: None } => BackupSource::Server {
            admin,
            token: std::env::var("DS_TOKEN")
                .ok()
                .filter(|token| !token.is_empty()),
        },
        named => named,
    }
}

/// Longest wait at exit for blocking threads, such as a name lookup or a disk access. Their results
/// are not needed any more.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Dropping a runtime waits for such threads without a limit, and no signal ends the wait.
fn run_to_end(
    runtime: Runtime,
    task: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let done = runtime.block_on(task);
    match done {
        Err(Failure::CutOff) => runtime.shutdown_background(),
        _ => runtime.shutdown_timeout(LEFTOVERS),
    }
    done
}

/// Signal sent for a write past the file size limit. Unless the process handles it, the signal ends
/// the process, and the store can't report that it is full.
const FILE_TOO_LARGE: i32 = 25;

async fn until_signal(
    options: Options,
    hangup: Option<Hangup>,
    acknowledged: &'static str,
) -> Result<(), Failure> {
    // Each connection and each store segment uses one file descriptor. With a low limit the server
    // runs until the descriptors are used up, and reports that then.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let _listens = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = hangup.map(Hangup::listen).transpose()?;
    let store = Arc::clone(&options.store);
    let running = serve(options).await?;
    if let Some(hangup) = hangup {
        tokio::spawn(hangup.run(Arc::clone(running.reload())));
    }
    let mut out = std::io::stdout();
    let announcement = Announcement {
        addresses: running.addresses(),
        store: &store.describe(),
        is_volatile: store.is_volatile(),
        acknowledged,
        admin: running.admin(),
    };
    let lines = announcement.lines(out.is_terminal());
    // The output may be closed.
    let _ = out.write_all(lines.as_bytes());
    let _ = out.flush();
    supervisor::ready();
    any(&mut terminate, &mut interrupt).await;
    supervisor::stopping();
    tokio::select! {
        () = running.shutdown() => Ok(()),
        () = any(&mut terminate, &mut interrupt) => Err(Failure::CutOff),
    }
}

async fn any(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A webhook with an unresolved name kept the process alive for as long as the resolver took.
    #[test]
    fn the_end_of_the_process_does_not_wait_for_blocked_threads() {
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Runtime::new().expect("a runtime");
            let (begun, begins) = tokio::sync::oneshot::channel();
            let done = run_to_end(runtime, async {
                tokio::task::spawn_blocking(|| {
                    begun.send(()).expect("it is waited for");
                    loop {
                        std::thread::park();
                    }
                });
                begins.await.expect("it begins");
                Ok(())
            });
            sender.send(done.is_ok()).expect("it is waited for");
        });
        assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Ok(true));
    }
}
