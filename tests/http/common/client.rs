//! A blocking HTTP/1.1 client that sends exactly the bytes it gets, even invalid ones, and returns
//! the response as it arrives.

use super::{PATIENCE, Response};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A request to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Body>,
}

#[derive(Debug, Clone)]
enum Body {
    Whole(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

impl Request {
    pub(crate) fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            address,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Producer-Id, Producer-Epoch and Producer-Seq.
    pub(crate) fn producer(self, id: &str, epoch: u64, seq: u64) -> Self {
        self.header("Producer-Id", id)
            .header("Producer-Epoch", epoch.to_string())
            .header("Producer-Seq", seq.to_string())
    }

    /// A body with its Content-Length.
    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(Body::Whole(body.as_ref().to_vec()));
        self
    }

    /// A body of unknown length, sent in these chunks.
    pub(crate) fn chunks<C: AsRef<[u8]>>(mut self, chunks: impl IntoIterator<Item = C>) -> Self {
        let chunks = chunks.into_iter().map(|chunk| chunk.as_ref().to_vec());
        self.body = Some(Body::Chunks(chunks.collect()));
        self
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        };
        if !self.has("host") {
            field("Host", self.address.to_string().as_bytes());
        }
        for (name, value) in &self.headers {
            field(name, value);
        }
        match &self.body {
            Some(Body::Whole(body)) if !self.has("content-length") => {
                field("Content-Length", body.len().to_string().as_bytes());
            }
            Some(Body::Chunks(_)) => field("Transfer-Encoding", b"chunked"),
            Some(Body::Whole(_)) | None => {}
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(given, _)| given.eq_ignore_ascii_case(name))
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match &self.body {
            Some(Body::Whole(body)) => bytes.extend_from_slice(body),
            Some(Body::Chunks(chunks)) => {
                for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            None => {}
        }
        bytes
    }

    /// Sends the request and reads the head of the answer. The body is read from the returned
    /// connection.
    #[track_caller]
    pub(crate) fn open(&self) -> Connection {
        let mut connection = Connection::to(self.address);
        // A server that refuses a large body early may close before it has read all of it.
        let _ = connection.write(&self.bytes());
        connection.expects_body(&self.method);
        connection.read_head();
        connection
    }

    /// Sends the request, but reads nothing yet.
    #[track_caller]
    pub(crate) fn start(&self) -> Connection {
        let mut connection = Connection::to(self.address);
        let sent = connection.write(&self.bytes());
        assert!(sent.is_ok(), "{} {}: {sent:?}", self.method, self.target);
        connection.expects_body(&self.method);
        connection
    }

    /// Sends the request and reads the whole answer.
    #[track_caller]
    pub(crate) fn send(&self) -> Response {
        self.open().finish()
    }
}

/// One connection with at most one request under way.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
    bodiless: bool,
    head: Response,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    /// Bytes left in the chunk that is being read.
    Chunked(usize),
    UntilClose,
    Ended,
}

/// How the body of an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As its framing promised.
    Complete,
    /// The connection ended early.
    CutOff,
}

impl Connection {
    #[track_caller]
    pub(crate) fn to(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("the server takes connections");
        socket.set_nodelay(true).expect("a socket option");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket option");
        socket
            .set_write_timeout(Some(PATIENCE))
            .expect("a socket option");
        Self {
            reader: BufReader::new(socket),
            bodiless: false,
            head: Response::default(),
            framing: Framing::Ended,
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// The answer to HEAD has no body, even if its fields give a length.
    pub(crate) fn expects_body(&mut self, method: &str) {
        self.bodiless = method == "HEAD";
    }

    /// Ends the request's direction of the connection.
    pub(crate) fn stop_writing(&mut self) {
        // The server may have closed already.
        let _ = self.reader.get_ref().shutdown(std::net::Shutdown::Write);
    }

    /// Reads the head of the next answer that is not an interim one. The test fails if there is
    /// none.
    #[track_caller]
    pub(crate) fn read_head(&mut self) -> &Response {
        match self.try_read_head() {
            Ok(true) => &self.head,
            Ok(false) => panic!("the server closed the connection without an answer"),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Reads the head of the next answer; false if the connection ended instead.
    pub(crate) fn try_read_head(&mut self) -> std::io::Result<bool> {
        loop {
            let mut response = Response::default();
            let line = self.line()?;
            if line.is_empty() {
                return Ok(false);
            }
            response.status = line
                .split(' ')
                .nth(1)
                .and_then(|status| status.parse().ok())
                .ok_or_else(|| std::io::Error::other(format!("not a status line: {line:?}")))?;
            loop {
                let line = self.line()?;
                if line.is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(':') {
                    let field = (name.to_ascii_lowercase(), value.trim().to_owned());
                    response.headers.push(field);
                }
            }
            if response.status >= 200 {
                self.framing = self.framing_of(&response)?;
                self.head = response;
                return Ok(true);
            }
        }
    }

    fn framing_of(&self, response: &Response) -> std::io::Result<Framing> {
        if self.bodiless || matches!(response.status, 204 | 304) {
            return Ok(Framing::Ended);
        }
        if response.header("transfer-encoding") == Some("chunked") {
            return Ok(Framing::Chunked(0));
        }
        match response.header("content-length") {
            None => Ok(Framing::UntilClose),
            Some(length) => match length.parse() {
                Ok(length) => Ok(Framing::Length(length)),
                Err(_) => Err(std::io::Error::other(format!("content-length {length:?}"))),
            },
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(line.into_iter().map(char::from).collect())
    }

    /// The head that was read.
    pub(crate) fn head(&self) -> &Response {
        &self.head
    }

    /// Bytes of the body as they arrive; no bytes mean that the body has ended.
    pub(crate) fn read_some(&mut self) -> std::io::Result<(Vec<u8>, Option<End>)> {
        loop {
            let most = match self.framing {
                Framing::Ended | Framing::Length(0) => {
                    self.framing = Framing::Ended;
                    return Ok((Vec::new(), Some(End::Complete)));
                }
                Framing::Chunked(0) => {
                    let line = self.line()?;
                    let size = line.split(';').next().unwrap_or_default();
                    match usize::from_str_radix(size, 16) {
                        Ok(0) => {
                            while !self.line()?.is_empty() {}
                            self.framing = Framing::Ended;
                        }
                        Ok(size) => self.framing = Framing::Chunked(size),
                        Err(_) => return Ok((Vec::new(), Some(End::CutOff))),
                    }
                    continue;
                }
                Framing::Length(left) | Framing::Chunked(left) => left.min(64 * 1024),
                Framing::UntilClose => 64 * 1024,
            };
            let mut bytes = vec![0; most];
            let read = self.reader.read(&mut bytes)?;
            bytes.truncate(read);
            match &mut self.framing {
                Framing::Length(left) => *left -= read,
                Framing::Chunked(left) => {
                    *left -= read;
                    if *left == 0 && read > 0 {
                        self.line()?;
                    }
                }
                Framing::UntilClose | Framing::Ended => {}
            }
            return match (read, self.framing) {
                (0, Framing::UntilClose) => Ok((bytes, Some(End::Complete))),
                (0, _) => Ok((bytes, Some(End::CutOff))),
                _ => Ok((bytes, None)),
            };
        }
    }

    /// Reads the body to its end. The test fails if the body is cut off.
    #[track_caller]
    pub(crate) fn read_body(&mut self) -> Vec<u8> {
        match self.read_to_end() {
            Ok((body, End::Complete)) => body,
            Ok((_, End::CutOff)) => panic!("the body was cut off: {:?}", self.head),
            Err(error) => panic!("the body did not come: {error}: {:?}", self.head),
        }
    }

    /// Reads the body, and returns how it ended.
    pub(crate) fn read_to_end(&mut self) -> std::io::Result<(Vec<u8>, End)> {
        let mut body = Vec::new();
        loop {
            let (bytes, end) = self.read_some()?;
            body.extend_from_slice(&bytes);
            if let Some(end) = end {
                return Ok((body, end));
            }
        }
    }

    /// The answer with its body; reads the head first if that was not done.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Response {
        if self.head.status == 0 {
            self.read_head();
        }
        let mut response = self.head.clone();
        response.body = self.read_body();
        response
    }
}
