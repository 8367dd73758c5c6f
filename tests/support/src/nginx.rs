//! An nginx with default settings in front of a server, for one test.
//!
//! `DS_TEST_NGINX` may name a program to start instead of `nginx`. `0` means that tests must not use
//! the machine's nginx.

use std::io::{BufRead, BufReader, Error, Result};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Kills nginx when standard input ends, since the process that started nginx is gone then.
const GUARD: &str = r#"
    "$@" </dev/null & server=$!
    cat >/dev/null
    kill -KILL "$server"
    wait "$server" 2>/dev/null
    rm -r "$directory""#;

/// Programs to try. Debian installs nginx in a directory that only root has in its `PATH`.
const CANDIDATES: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// Number of ports to try. Another process may take a free port before nginx listens on it.
const TRIES: usize = 10;

/// Returns the program to start.
///
/// # Errors
///
/// No nginx is usable. The text is the reason, to be printed.
pub fn program() -> std::result::Result<String, String> {
    let wanted = std::env::var("DS_TEST_NGINX").unwrap_or_default();
    let candidates = match &*wanted {
        "" => CANDIDATES.to_vec(),
        "0" => return Err("DS_TEST_NGINX is 0".to_owned()),
        program => vec![program],
    };
    let answers = |program: &&&str| {
        let mut command = Command::new(program);
        command.arg("-v").stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let found = candidates.iter().find(answers);
    found
        .map(|program| (*program).to_owned())
        .ok_or_else(|| format!("there is no {}: apt-get install nginx", candidates[0]))
}

/// A running nginx with its own directory. Dropping this value ends nginx.
#[derive(Debug)]
pub struct NginxServer {
    guard: Option<Child>,
    address: SocketAddr,
}

impl NginxServer {
    /// Starts an nginx that forwards all requests to `upstream`, with its files in a new directory
    /// below `parent`.
    ///
    /// # Errors
    ///
    /// nginx does not start.
    pub fn start(program: &str, parent: &Path, upstream: SocketAddr) -> Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut why = Error::other("it was not tried");
        for _ in 0..TRIES {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let directory = parent.join(format!("nginx-{}-{count}", std::process::id()));
            std::fs::create_dir_all(&directory)?;
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let config = config(&directory, address, upstream);
            std::fs::write(directory.join("nginx.conf"), config)?;
            match run(program, &directory, address) {
                Ok(server) => return Ok(server),
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    /// Returns the address that nginx listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Returns settings to run without root and without files elsewhere. The proxy keeps its defaults.
fn config(directory: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|name| {
        let path = directory.join(name);
        format!("    {name}_temp_path {};\n", path.display())
    });
    format!(
        "daemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr notice;\nevents {{}}\n\
         http {{\n    access_log off;\n{}    server {{\n        listen {address};\n        \
         location / {{\n            proxy_pass http://{upstream};\n        }}\n    }}\n}}\n",
        directory.display(),
        paths.concat()
    )
}

fn run(program: &str, directory: &PathBuf, address: SocketAddr) -> Result<NginxServer> {
    let mut command = Command::new("sh");
    command.args(["-c", GUARD, "guard", program, "-c"]);
    command.arg(directory.join("nginx.conf"));
    command.args(["-e", "stderr", "-p"]).arg(directory);
    command.env("directory", directory);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut guard = command.spawn()?;
    let lines = guard.stderr.take().map(BufReader::new);
    let mut server = NginxServer {
        guard: Some(guard),
        address,
    };
    let mut said = Vec::new();
    let mut lines = lines.ok_or_else(|| Error::other("no output"))?.lines();
    for line in lines.by_ref() {
        let line = line?;
        // nginx prints this line once it listens.
        if line.contains("event method") {
            // This thread reads later lines, so that they can't fill the pipe.
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(server);
        }
        let is_over = line.contains("[emerg]");
        said.push(line);
        if is_over {
            break;
        }
    }
    server.end();
    Err(Error::other(said.join("\n")))
}

impl NginxServer {
    fn end(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // If waiting for the shell fails, nothing else can be done.
            let _ = guard.wait();
        }
    }
}

impl Drop for NginxServer {
    fn drop(&mut self) {
        self.end();
    }
}
