//! A receiver of webhooks on this machine.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver as Queue, Sender};
use std::sync::{Arc, Mutex, PoisonError};

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut same = self.headers.iter().filter(|(known, _)| known == name);
        let (_, value) = same.next().unwrap_or_else(|| panic!("no {name}: {self:?}"));
        assert!(same.next().is_none(), "{name} is there twice");
        value
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// Answer to the next requests: the rest of the status line, fields and body.
type Answer = Arc<Mutex<String>>;

/// A receiver that listens until the test ends.
pub(crate) struct Receiver {
    address: SocketAddr,
    answer: Answer,
    requests: Queue<Received>,
}

impl Receiver {
    /// Starts a receiver that answers 200 with this body.
    pub(crate) fn start(body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let answer = Answer::default();
        let (send, requests) = mpsc::channel();
        let answers = Arc::clone(&answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, send) = (Arc::clone(&answers), send.clone());
                std::thread::spawn(move || serve(stream, &answers, &send));
            }
        });
        let receiver = Self {
            address,
            answer,
            requests,
        };
        receiver.answer("200 OK", body);
        receiver
    }

    /// Sets the answer to later requests.
    pub(crate) fn answer(&self, status: &str, body: &str) {
        self.answer_with(status, "", body);
    }

    /// Sets the answer with header fields, each with its line end.
    pub(crate) fn answer_with(&self, status: &str, fields: &str, body: &str) {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n{body}");
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?x=1", self.address)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.address.port()
    }

    /// The next request.
    #[track_caller]
    pub(crate) fn next(&self) -> Received {
        self.requests.recv_timeout(PATIENCE).expect("a webhook")
    }

    /// A request that has already arrived.
    pub(crate) fn came(&self) -> Option<Received> {
        self.requests.try_recv().ok()
    }
}

fn serve(mut stream: TcpStream, answer: &Answer, send: &Sender<Received>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers: Vec<(String, String)> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    // The test may be over.
    let _ = send.send(Received {
        path,
        headers,
        body,
    });
    let _ = stream.write_all(answer.as_bytes());
}
