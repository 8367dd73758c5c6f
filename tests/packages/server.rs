//! A server started from a package, and the first stream on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};

/// Arguments for a server on a free port. Its streams are in memory.
pub(crate) const SERVE: [&str; 7] = [
    "serve",
    "--store",
    "memory",
    "--listen",
    "127.0.0.1:0",
    "--admin",
    "off",
];

/// A running server. Dropping this value kills it.
pub(crate) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .args(SERVE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            let (_, address) = line.split_once("listening on http://")?;
            Some(address.trim().to_owned())
        });
        // Later output must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            address: address.expect("the server ended before it listened"),
        }
    }

    /// Creates a stream, appends to it, and reads it by server-sent events until the first data.
    pub(crate) fn stream(&self) {
        let created = self.request("PUT", "/first", "content-type: text/plain\r\n", "");
        assert!(created.starts_with("HTTP/1.1 201"), "{created}");
        let appended = self.request("POST", "/first", "content-type: text/plain\r\n", "hello");
        assert!(appended.starts_with("HTTP/1.1 204"), "{appended}");
        let mut live = self.send("GET", "/first?offset=-1&live=sse", "", "");
        let mut lines = BufReader::new(&mut live).lines();
        let data = lines.find(|line| line.as_ref().is_ok_and(|line| line == "data:hello"));
        assert!(data.is_some(), "the stream ended without data");
    }

    /// Sends SIGTERM to the process that was started, and returns its exit status.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let mut kill = Command::new("kill");
        let id = self.child.id().to_string();
        assert!(kill.args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    fn request(&self, method: &str, path: &str, fields: &str, body: &str) -> String {
        let mut answer = String::new();
        self.send(method, path, fields, body)
            .read_to_string(&mut answer)
            .unwrap();
        answer
    }

    fn send(&self, method: &str, path: &str, fields: &str, body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        write!(
            connection,
            "{method} /v1/stream{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{fields}\
             content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        )
        .unwrap();
        connection
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
