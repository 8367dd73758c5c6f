//! The peer of the comparison: `durable-streams-server` of crates.io.

use super::directory;
use crate::cargo;
use crate::failure::Failure;
use crate::run;
use crate::server::Server;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PACKAGE: &str = "durable-streams-server";
const VERSION: &str = "=0.3.0";

/// More than a measurement can fill. The peer's default limits would cause 413 responses after
/// seconds.
const NO_LIMIT: &str = "1099511627776";

/// Longest time until the peer listens.
const PATIENCE: Duration = Duration::from_secs(10);

fn root() -> PathBuf {
    directory().join("seed")
}

fn binary() -> PathBuf {
    root()
        .join("bin")
        .join(PACKAGE)
        .with_extension(std::env::consts::EXE_EXTENSION)
}

/// Installs the peer into the target directory, if it is not there.
pub(super) fn install() -> Result<(), Failure> {
    if binary().is_file() {
        return Ok(());
    }
    run::run(
        &format!("install {PACKAGE} {VERSION} (takes minutes)"),
        cargo::cargo()
            .args(["install", PACKAGE, "--version", VERSION, "--locked"])
            .arg("--root")
            .arg(root()),
    )
}

/// Starts the peer on a free port, without logs or limits, and with endless SSE responses. With a
/// directory, each append is on the disk before its response (the peer's ACID mode). Otherwise data
/// stays in memory.
pub(super) fn start(directory: Option<PathBuf>) -> Result<Server, Failure> {
    // The peer can't report a port of its own choice, so this function chooses one.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("DS_")) {
            command.env_remove(name);
        }
    }
    let mode = if directory.is_some() {
        "acid"
    } else {
        "memory"
    };
    command
        // A directory without config files.
        .current_dir(root())
        .env("RUST_LOG", "off")
        .env("DS_SERVER__BIND_ADDRESS", address.to_string())
        .env("DS_STORAGE__MODE", mode)
        .env("DS_LIMITS__MAX_MEMORY_BYTES", NO_LIMIT)
        .env("DS_LIMITS__MAX_STREAM_BYTES", NO_LIMIT)
        .env("DS_TRANSPORT__CONNECTION__SSE_RECONNECT_INTERVAL_SECS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some(directory) = &directory {
        std::fs::create_dir_all(directory)?;
        command.env("DS_STORAGE__DATA_DIR", directory);
    }
    let url = format!("http://{address}");
    let mut server = Server::adopt(command.spawn()?, url, directory);
    wait_until_it_listens(&mut server, address)?;
    Ok(server)
}

fn wait_until_it_listens(server: &mut Server, address: SocketAddr) -> Result<(), Failure> {
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if server.ended() {
            return Err(Failure::new(format!("{PACKAGE} ended before it listened")));
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(format!("{PACKAGE} does not listen")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
