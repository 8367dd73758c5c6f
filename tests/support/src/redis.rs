//! A Redis server for each test of the store, of the host and of xtask's suites. xtask uses this
//! crate, too, so it needs nothing but std.
//!
//! `DS_TEST_REDIS` may name a program to start instead of the first installed one of `redis-server`
//! and `valkey-server`. `0` forbids the use of Redis on this machine.

use std::io::{BufRead, BufReader, Error, Result};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Starts the server and ends it when standard input ends. Standard input ends with the process
/// that started the guard, even if that process is killed.
const GUARD: &str = r#"
    "$@" </dev/null & server=$!
    echo "pid $server"
    cat >/dev/null
    kill -KILL "$server"
    wait "$server" 2>/dev/null
    [ -e "$directory/keep" ] || rm -r "$directory""#;

/// Tries with another port, when another process has taken the free one.
const TRIES: usize = 10;

/// A running Redis in a directory of its own. Dropping it ends it.
#[derive(Debug)]
pub struct RedisServer {
    program: String,
    settings: Vec<String>,
    directory: PathBuf,
    port: u16,
    guard: Option<Child>,
    pid: u32,
}

/// The program to start.
///
/// # Errors
///
/// If there is no program: a reason to print.
pub fn program() -> std::result::Result<String, String> {
    let wanted = std::env::var("DS_TEST_REDIS").unwrap_or_default();
    let candidates = match &*wanted {
        "" => vec!["redis-server", "valkey-server"],
        "0" => return Err("DS_TEST_REDIS is 0".to_owned()),
        program => vec![program],
    };
    let answers = |program: &&&str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = candidates.iter().find(answers);
    found.map(|program| (*program).to_owned()).ok_or_else(|| {
        let names = candidates.join(" nor ");
        format!("there is no {names}: apt-get install redis-server")
    })
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl RedisServer {
    /// Starts a Redis with these settings in a new directory below `parent`.
    ///
    /// # Errors
    ///
    /// If the server does not start.
    pub fn start(program: &str, parent: &Path, settings: &[&str]) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = parent.join(format!("redis-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let mut server = Self {
            program: program.to_owned(),
            settings: settings.iter().map(|one| (*one).to_owned()).collect(),
            directory,
            port: 0,
            guard: None,
            pid: 0,
        };
        for _ in 0..TRIES {
            server.port = free_port()?;
            // The directory stays for the next try.
            std::fs::write(server.directory.join("keep"), "")?;
            if server.run().is_ok() {
                return Ok(server);
            }
        }
        Err(Error::other(format!("{program} does not start")))
    }

    /// Address of the server, as `redis://127.0.0.1:PORT/0`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    fn run(&mut self) -> Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard", &self.program]);
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--save",
            "",
            "--dir",
        ]);
        command.arg(&self.directory).args(&self.settings);
        command.env("directory", &self.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut guard = command.spawn()?;
        let out = guard.stdout.take().map(BufReader::new);
        self.guard = Some(guard);
        let mut lines = out.ok_or_else(|| Error::other("no output"))?.lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(pid) = line.strip_prefix("pid ") {
                self.pid = pid.parse().map_err(Error::other)?;
            }
            if line.contains("Ready to accept connections") {
                // Later output must not fill the pipe.
                std::thread::spawn(move || lines.for_each(drop));
                std::fs::remove_file(self.directory.join("keep"))?;
                return Ok(());
            }
            if line.contains("Failed listening") || line.contains("FATAL") {
                break;
            }
        }
        self.end();
        Err(Error::other("it ended"))
    }

    /// Ends the server at once, and waits for its end.
    fn end(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // A failed wait for the shell leaves nothing else to do.
            let _ = guard.wait();
        }
    }

    /// Kills the server. The files in its directory stay.
    ///
    /// # Errors
    ///
    /// If the file that keeps its directory can't be written.
    pub fn kill(&mut self) -> Result<()> {
        std::fs::write(self.directory.join("keep"), "")?;
        self.end();
        Ok(())
    }

    /// Starts the server again on the same port, after it was killed.
    ///
    /// # Errors
    ///
    /// If the server does not start.
    pub fn start_again(&mut self) -> Result<()> {
        self.run()
    }

    /// Sends the server a signal by its name, such as STOP.
    ///
    /// # Errors
    ///
    /// If there is no such signal, or the server has ended.
    pub fn signal(&self, name: &str) -> Result<()> {
        let mut kill = Command::new("kill");
        let status = kill
            .args([format!("-{name}"), self.pid.to_string()])
            .status()?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::other(format!("kill -{name}"))),
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // The guard keeps the directory if the file `keep` is there, so this call removes it.
        self.end();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
