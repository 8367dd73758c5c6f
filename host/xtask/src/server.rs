//! The host as a child process, for test suites not written in Rust.

use crate::failure::Failure;
use crate::host;
use crate::paths;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use test_support::{RedisServer, redis_program};

/// The ways in which the host calls the component.
pub(crate) const VIAS: [&str; 3] = ["exchange", "wasi-http", "wasi-http-p2"];

/// The plain store in memory. The `spin-` stores imitate the stores of other platforms.
pub(crate) const MEMORY: &str = "memory";

/// The store in a directory. Each server gets its own directory.
pub(crate) const FILE: &str = "file";

/// The store in Redis. Each server starts its own Redis.
pub(crate) const REDIS: &str = "redis";

/// The stores that every suite can run over.
const STORES: [&str; 6] = [
    MEMORY,
    FILE,
    REDIS,
    "spin-sqlite",
    "spin-redis",
    "spin-dynamodb",
];

/// A store, and the way in which the host calls the component over it.
pub(crate) type Pair = (&'static str, &'static str);

/// The combinations to test: every store and every way at least once, or all of them with `full`.
pub(crate) fn pairs(full: bool) -> Vec<Pair> {
    match full {
        false => vec![
            (MEMORY, "exchange"),
            ("spin-redis", "exchange"),
            (REDIS, "exchange"),
            (FILE, "wasi-http"),
            ("spin-sqlite", "wasi-http"),
            (MEMORY, "wasi-http-p2"),
            ("spin-sqlite", "wasi-http-p2"),
            ("spin-dynamodb", "wasi-http-p2"),
        ],
        true => STORES
            .into_iter()
            .flat_map(|store| VIAS.map(|via| (store, via)))
            .collect(),
    }
}

/// A running host. The drop ends it.
pub(crate) struct Server {
    child: Child,
    /// The server's address, as `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Directory of the server's streams, removed with the server.
    directory: Option<PathBuf>,
    /// The Redis that holds the server's streams, if its store is [`REDIS`].
    _redis: Option<RedisServer>,
}

impl Server {
    /// Starts the host on a free port.
    pub(crate) fn start(pair: Pair, variables: &[(&str, &str)]) -> Result<Self, Failure> {
        Self::start_program(host::program(), pair, variables, &[])
    }

    /// Starts a host that is not the quick build, with these flags.
    pub(crate) fn start_program(
        mut command: Command,
        (store, via): Pair,
        variables: &[(&str, &str)],
        flags: &[&str],
    ) -> Result<Self, Failure> {
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", "off"]);
        let directory = (store == FILE).then(new_directory);
        let redis = (store == REDIS).then(start_redis).transpose()?;
        let store = match (&directory, &redis) {
            (Some(directory), _) => format!("file:{}", directory.display()),
            (_, Some(redis)) => redis.url(),
            (None, None) => store.to_owned(),
        };
        command.args(["--store", &store, "--via", via]).args(flags);
        for (name, value) in variables {
            command.args(["--variable", &format!("{name}={value}")]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take();
        let mut server = Self {
            child,
            url: String::new(),
            directory,
            _redis: redis,
        };
        let mut lines = BufReader::new(out.ok_or_else(|| Failure::new("no output"))?).lines();
        for line in lines.by_ref() {
            if let Some((_, url)) = line?.split_once("listening on ") {
                server.url = url.trim().to_owned();
                // Later output must not fill the pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
        }
        Err(Failure::new("the host ended before it listened"))
    }

    /// Takes ownership of another server's process and directory.
    pub(crate) fn adopt(child: Child, url: String, directory: Option<PathBuf>) -> Self {
        Self {
            child,
            url,
            directory,
            _redis: None,
        }
    }

    /// Process id of the server.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Directory of the server's streams, if its store is [`FILE`].
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Whether the server has ended.
    pub(crate) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

fn start_redis() -> Result<RedisServer, Failure> {
    let program = redis_program().map_err(Failure::new)?;
    let server = RedisServer::start(&program, &paths::target().join("tmp"), &[])?;
    println!("    started {program}: {}", server.url());
    Ok(server)
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            // A directory left below Cargo's target directory does no harm.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// A new directory name. The server creates the directory.
pub(crate) fn new_directory() -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("store-{}-{count}", std::process::id());
    paths::target().join("tmp").join(name)
}
