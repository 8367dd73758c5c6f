//! A server that follows a script: one connection and one request for each step.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answer to one request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends these bytes, and ends the connection.
    Send(Vec<u8>),
    /// Never answers.
    Hang,
    /// The first step if the request has this text, else the second one.
    When(&'static str, Box<Self>, Box<Self>),
}

impl Step {
    /// Ends the connection without a response.
    pub(super) fn cut() -> Self {
        Self::Send(Vec::new())
    }

    /// A whole response. Each field is one line.
    pub(super) fn response(status: &str, fields: &[&str], body: &str) -> Self {
        let mut text = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        if !status.starts_with("204") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for field in fields {
            text.push_str(&format!("{field}\r\n"));
        }
        Self::Send(format!("{text}\r\n{body}").into_bytes())
    }

    /// An SSE response that is cut after these events.
    pub(super) fn events(fields: &[&str], events: &str) -> Self {
        let mut text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n".to_owned();
        text.push_str("content-type: text/event-stream\r\n");
        for field in fields {
            text.push_str(&format!("{field}\r\n"));
        }
        text.push_str(&format!("\r\n{:x}\r\n{events}\r\n", events.len()));
        Self::Send(text.into_bytes())
    }
}

/// The running server.
#[derive(Debug)]
pub(super) struct Script {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Script {
    pub(super) fn start(steps: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut steps) = (
            Arc::clone(&requests),
            steps.into_iter().collect::<VecDeque<_>>(),
        );
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            while let Some(step) = steps.pop_front() {
                let (mut connection, _) = listener.accept().unwrap();
                let request = request(&mut connection);
                let step = match step {
                    Step::When(text, yes, no) => *if request.contains(text) { yes } else { no },
                    step => step,
                };
                seen.lock().unwrap().push(request);
                match step {
                    Step::Send(bytes) => connection.write_all(&bytes).unwrap(),
                    Step::Hang => hanging.push(connection),
                    Step::When(..) => panic!("conditions are not nested"),
                }
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, each with its head in lower case and its body.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// Reads one request.
fn request(connection: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let read = connection.read(&mut buffer).unwrap();
        assert!(read > 0, "the request ended early: {text:?}");
        bytes.extend_from_slice(&buffer[..read]);
    }
}
