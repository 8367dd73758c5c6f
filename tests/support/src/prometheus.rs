//! A Prometheus for one test.
//!
//! `DS_TEST_PROMETHEUS` may name a program to start instead of `prometheus`. `0` means that tests must
//! not use the machine's Prometheus.

use std::io::{Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills Prometheus when standard input ends, since the process that started it is gone then.
const GUARD: &str = r#"
    "$@" </dev/null & server=$!
    cat >/dev/null
    kill -KILL "$server"
    wait "$server" 2>/dev/null"#;

/// A running Prometheus. Dropping this value ends it.
#[derive(Debug)]
pub struct PrometheusServer {
    guard: Option<Child>,
    address: SocketAddr,
}

/// Returns the program to start.
///
/// # Errors
///
/// No Prometheus is usable. The text is the reason, to be printed.
pub fn program() -> std::result::Result<String, String> {
    let wanted = std::env::var("DS_TEST_PROMETHEUS").unwrap_or_default();
    let program = match &*wanted {
        "" => "prometheus".to_owned(),
        "0" => return Err("DS_TEST_PROMETHEUS is 0".to_owned()),
        _ => wanted,
    };
    let mut command = Command::new(&program);
    command.arg("--version");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    match command.status().is_ok_and(|status| status.success()) {
        true => Ok(program),
        false => Err(format!("there is no {program}: apt-get install prometheus")),
    }
}

impl PrometheusServer {
    /// Starts a Prometheus with the settings in `prometheus.yml` of this directory, and with its data
    /// there. It may not listen yet. It does not start at all if another process takes the port first.
    ///
    /// # Errors
    ///
    /// The program can't be started.
    pub fn start(program: &str, directory: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard", program]);
        let file = directory.join("prometheus.yml");
        command.arg(format!("--config.file={}", file.display()));
        let data = directory.join("data");
        command.arg(format!("--storage.tsdb.path={}", data.display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--log.level=error");
        let guard = command.stdin(Stdio::piped()).spawn()?;
        Ok(Self {
            guard: Some(guard),
            address,
        })
    }

    /// Returns the address of its interface for queries.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Checks files of rules, or with `test` runs tests of rules, by `promtool`.
    ///
    /// # Errors
    ///
    /// `promtool` does not start, or finds an error. The text is its output.
    pub fn promtool(action: &str, file: &Path) -> Result<()> {
        let output = Command::new("promtool")
            .args([action, "rules"])
            .arg(file)
            .output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::other(format!("{output:?}"))),
        }
    }
}

impl Drop for PrometheusServer {
    fn drop(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // If waiting for the shell fails, nothing else can be done.
            let _ = guard.wait();
        }
    }
}
