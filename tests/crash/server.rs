//! The host with a file store, as a child process that the tests can kill.

use crate::HOST;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running host. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Time from the start of the process until it listened.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Serves the store in a directory, on a free port.
    pub(crate) fn start(directory: &Path, flags: &[&str]) -> Self {
        Self::start_as(HOST.command(), directory, flags)
    }

    /// As [`start`](Self::start), by another command that runs the host.
    pub(crate) fn start_as(mut command: Command, directory: &Path, flags: &[&str]) -> Self {
        let begun = Instant::now();
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--store",
        ]);
        command.arg(format!("file:{}", directory.display()));
        command
            .arg("--component")
            .arg(HOST.component("exchange"))
            .args(flags);
        command.stdout(Stdio::piped());
        let mut child = command.spawn().expect("the host is there");
        let out = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, address) = line.split_once("listening on http://")?;
            address.parse().ok()
        });
        Self {
            child,
            address: address.expect("it says where it listens"),
            started_in: begun.elapsed(),
        }
    }

    /// `kill -9`, and nothing else.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Bytes of memory that belong to the process. Mapped files are not counted.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs, on Linux");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|kib| kib.parse::<u64>().ok());
        kib.expect("the kernel counts it") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
