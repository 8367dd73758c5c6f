//! The commands.

mod append;
mod bench;
mod create;
mod export;
mod fork;
mod import;
mod list;
mod moved;
mod small;
mod tail;
mod top;

use crate::failure::{Exit, Failure};
use crate::generated::{self, ShellName};
use std::io::Write;

/// A command.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Creates a stream, or confirms that it exists with the same properties
    Create(Box<create::Create>),
    /// Appends standard input, a file or an argument, exactly once
    Append(Box<append::Append>),
    /// Prints a stream up to its present end
    Read(Box<tail::Read>),
    /// Prints a stream and follows it until it is closed
    Tail(Box<tail::Tail>),
    /// Prints the description of a stream
    Head(Box<small::Head>),
    /// Lists streams, on servers with the extension `listing`
    Ls(Box<list::List>),
    /// Closes a stream: its data stays, and no append can follow
    Close(Box<small::Close>),
    /// Stops a stream as a viewer's stop button does: closes it with the reason `stopped`, on
    /// servers with the extension `stop`
    Stop(Box<small::Stop>),
    /// Deletes streams with their data
    Rm(Box<small::Remove>),
    /// Creates a stream that begins with the data of another one
    Fork(Box<fork::Fork>),
    /// Exports streams into files, one for each stream
    Export(Box<export::Export>),
    /// Imports streams from files that `export` wrote
    Import(Box<import::Import>),
    /// Loads a server with appends and readers for some seconds, and prints percentiles
    Bench(Box<bench::Bench>),
    /// Shows load, times, store and streams of a server, live in the terminal
    Top(Box<top::Top>),
    /// Prints completions for a shell
    Completions {
        /// The shell
        shell: ShellName,
    },
    /// Prints the man page
    Man,
}

impl Verb {
    /// The text of a command that only prints something about the program itself.
    #[must_use]
    pub fn generated(&self, program: clap::Command) -> Option<String> {
        match self {
            Self::Completions { shell } => Some(generated::completions(*shell, program)),
            Self::Man => Some(generated::man(program)),
            _ => None,
        }
    }

    /// Runs the command, and prints a failure to standard error. The process has to end after it
    /// without a wait for other threads: one of them may wait for standard input.
    #[must_use]
    pub fn run(self) -> Exit {
        let result = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = match result {
            Ok(runtime) => runtime,
            Err(error) => {
                let problem = format!("the runtime can't start: {error}");
                return report(&Failure::Invalid(problem));
            }
        };
        let done = runtime.block_on(async {
            tokio::select! {
                done = self.perform() => done.map(|()| Exit::Done),
                // Without a handler, the signal ends the process as it would anyway.
                Ok(()) = tokio::signal::ctrl_c() => Ok(Exit::Interrupted),
            }
        });
        runtime.shutdown_background();
        match done {
            Ok(exit) => exit,
            Err(failure) => report(&failure),
        }
    }

    async fn perform(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Append(append) => append.run().await,
            Self::Read(read) => read.run().await,
            Self::Tail(tail) => tail.run().await,
            Self::Head(head) => head.run().await,
            Self::Ls(list) => list.run().await,
            Self::Close(close) => close.run().await,
            Self::Stop(stop) => stop.run().await,
            Self::Rm(remove) => remove.run().await,
            Self::Fork(fork) => fork.run().await,
            Self::Export(export) => export.run().await,
            Self::Import(import) => import.run().await,
            Self::Bench(bench) => bench.run().await,
            Self::Top(top) => top.run().await,
            // The program prints these itself.
            Self::Completions { .. } | Self::Man => Ok(()),
        }
    }
}

fn report(failure: &Failure) -> Exit {
    let exit = failure.exit();
    if exit != Exit::Done {
        // Standard error may be closed.
        let _ = writeln!(std::io::stderr(), "durable-streams: {failure}");
    }
    exit
}
