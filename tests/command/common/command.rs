//! The client command as a child process.

use super::HOST;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;

/// Result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn out(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.err);
        self.out
    }

    /// Like [`Self::out`], as text.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        String::from_utf8(self.out()).expect("the output is text")
    }

    /// The error text of a command that must have ended with this code.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}", self.err);
        self.err
    }
}

/// A running command. Dropping this value kills it.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    out: Option<JoinHandle<Vec<u8>>>,
    err: Option<JoinHandle<Vec<u8>>>,
}

/// A command of the client at this base URL.
pub(crate) fn client(url: &str, arguments: &[&str]) -> Command {
    let mut command = HOST.command();
    command.args(arguments).env("DS_URL", url);
    command
}

/// Runs a command to its end, with this input.
pub(crate) fn run(url: &str, arguments: &[&str], input: &[u8]) -> Ran {
    let mut running = Running::start(client(url, arguments));
    running.write(input);
    running.end_input();
    running.wait()
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let out = child.stdout.take().map(read_all);
        let err = child.stderr.take().map(read_all);
        Self {
            input: child.stdin.take(),
            child,
            out,
            err,
        }
    }

    /// Writes input. A command that ended takes no more.
    pub(crate) fn write(&mut self, input: &[u8]) {
        if let Some(stdin) = &mut self.input {
            let _ = stdin.write_all(input).and_then(|()| stdin.flush());
        }
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Ran {
        let status = self.child.wait().expect("the command ends");
        let join = |thread: Option<JoinHandle<Vec<u8>>>| {
            thread.map_or_else(Vec::new, |thread| {
                thread.join().expect("the output is read")
            })
        };
        Ran {
            code: status.code(),
            out: join(self.out.take()),
            err: String::from_utf8_lossy(&join(self.err.take())).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)
            .expect("the output is readable");
        bytes
    })
}
