//! The server as a child process on a free port.

use super::HOST;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

/// A running server. Dropping this value kills it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    admin: Option<String>,
}

impl Server {
    /// Starts a server over memory.
    pub(crate) fn start() -> Self {
        Self::start_with("memory", &[])
    }

    /// Starts a server over the file store in this directory.
    pub(crate) fn start_over(directory: &Path) -> Self {
        Self::start_with(&format!("file:{}", directory.display()), &[])
    }

    /// Starts a server over this store with an admin listener and these variables.
    pub(crate) fn start_with_admin(store: &str, variables: &[&str]) -> Self {
        Self::launch(store, "127.0.0.1:0", variables)
    }

    /// Starts a server over this store with these variables.
    pub(crate) fn start_with(store: &str, variables: &[&str]) -> Self {
        Self::launch(store, "off", variables)
    }

    fn launch(store: &str, admin: &str, variables: &[&str]) -> Self {
        let mut command = HOST.command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin", admin]);
        command.args(["--store", store]);
        command.arg("--component").arg(HOST.component("exchange"));
        for variable in variables {
            command.args(["--variable", variable]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the server starts");
        let out = child.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(out).lines();
        let mut admin = None;
        // The line with the address is the last one.
        let address = lines.find_map(|line| {
            let line = line.expect("the output is text");
            if let Some(url) = line.strip_prefix("admin page at ") {
                admin = Some(url.to_owned());
            }
            line.strip_prefix("listening on http://")?.parse().ok()
        });
        let address = address.expect("the server prints its address");
        // The server must not stop because its output is full.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address,
            admin,
        }
    }

    /// Base URL of the streams.
    pub(crate) fn url(&self) -> String {
        url_at(self.address)
    }

    /// URL of the admin listener of a server that has one.
    pub(crate) fn admin(&self) -> &str {
        self.admin.as_deref().expect("it has an admin listener")
    }

    /// Kills the server, as a crash would.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // The server may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Base URL of the streams at an address.
pub(crate) fn url_at(address: SocketAddr) -> String {
    format!("http://{address}/v1/stream")
}
