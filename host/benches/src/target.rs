//! The server under load, and the streams made for one measurement.

use crate::http::{Answer, Connection};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{SystemTime, UNIX_EPOCH};

/// Address of a server, and the base path of its streams.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    authority: String,
    base_path: String,
    /// Prefix of all stream names of this process, so that the streams are new.
    fresh: String,
}

/// The path of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Stream(String);

impl Stream {
    pub(crate) fn path(&self) -> &str {
        &self.0
    }
}

impl Target {
    /// Reads a URL such as `http://127.0.0.1:4437/v1/stream`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("http://")
            .context("the URL does not begin with http://")?;
        let (authority, base_path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = authority
            .to_socket_addrs()
            .with_context(|| format!("{authority} is no address with a port"))?
            .next()
            .context("the URL's host has no address")?;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
        Ok(Self {
            address,
            authority: authority.to_owned(),
            base_path: format!("/{}", base_path.trim_end_matches('/')),
            fresh: format!("bench-{:x}", since_1970.as_nanos()),
        })
    }

    /// A stream of this process, by its number.
    pub(crate) fn stream(&self, number: usize) -> Stream {
        let base_path = self.base_path.trim_end_matches('/');
        Stream(format!("{base_path}/{}/{number}", self.fresh))
    }

    /// A request that reads the stream from `offset`. `query` goes before the offset.
    pub(crate) fn read(&self, stream: &Stream, query: &str, offset: &str) -> Vec<u8> {
        let mut path = format!("{}?{query}offset=", stream.0);
        for byte in offset.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    path.push(char::from(byte));
                }
                // Writing to a string does not fail.
                _ => drop(write!(path, "%{byte:02X}")),
            }
        }
        self.head("GET", &path, "").into_bytes()
    }

    /// A request that appends `body`.
    pub(crate) fn append(&self, stream: &Stream, content_type: &str, body: &[u8]) -> Vec<u8> {
        let fields = format!("content-type: {content_type}\r\n");
        self.request("POST", stream, &fields, body)
    }

    /// A request with a body; `fields` are whole lines of its head.
    pub(crate) fn request(
        &self,
        method: &str,
        stream: &Stream,
        fields: &str,
        body: &[u8],
    ) -> Vec<u8> {
        let fields = format!("{fields}content-length: {}\r\n", body.len());
        let mut request = self.head(method, &stream.0, &fields).into_bytes();
        request.extend_from_slice(body);
        request
    }

    /// Creates a stream.
    pub(crate) async fn create(
        &self,
        connection: &mut Connection,
        stream: &Stream,
        content_type: &str,
    ) -> Result<()> {
        let fields = format!("content-type: {content_type}\r\n");
        let request = self.request("PUT", stream, &fields, &[]);
        let answer = connection.exchange(&request).await?;
        expect(&answer, 201, "PUT of a new stream")
    }

    fn head(&self, method: &str, path: &str, fields: &str) -> String {
        let authority = &self.authority;
        format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\n{fields}\r\n")
    }
}

fn expect(answer: &Answer<'_>, status: u16, name: &str) -> Result<()> {
    if answer.status != status {
        let body = String::from_utf8_lossy(answer.body);
        bail!("{name} was answered {}: {body}", answer.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_a_base_path_names_its_streams() {
        let target = Target::parse("http://127.0.0.1:4437/v1/stream/").unwrap();
        let stream = target.stream(3);
        assert!(stream.0.starts_with("/v1/stream/bench-") && stream.0.ends_with("/3"));
        let read = String::from_utf8(target.read(&stream, "live=sse&", "0_1+2")).unwrap();
        assert!(read.contains("/3?live=sse&offset=0_1%2B2 HTTP/1.1\r\nhost: 127.0.0.1:4437\r\n"));
        assert!(Target::parse("https://127.0.0.1:1/").is_err());
    }
}
