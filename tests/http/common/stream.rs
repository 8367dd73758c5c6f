//! One stream on a server, and the usual requests to it.

use super::client::Connection;
use super::sse::Events;
use super::{Request, Response};
use std::net::SocketAddr;

/// A stream, or a name that may become one.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) content_type: String,
}

impl Stream {
    pub(crate) fn request(&self, method: &str) -> Request {
        Request::new(self.address, method, &self.path)
    }

    /// A PUT without any field.
    pub(crate) fn put(&self) -> Request {
        self.request("PUT")
    }

    /// A POST with the stream's content type.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Request {
        self.request("POST")
            .header("Content-Type", &self.content_type)
            .body(body)
    }

    /// A GET with this query.
    pub(crate) fn get(&self, query: &str) -> Request {
        Request::new(self.address, "GET", &format!("{}?{query}", self.path))
    }

    pub(crate) fn head(&self) -> Request {
        self.request("HEAD")
    }

    pub(crate) fn delete(&self) -> Request {
        self.request("DELETE")
    }

    /// The same name as a stream of another content type.
    pub(crate) fn name_again(&self, content_type: &str) -> Self {
        Self {
            content_type: content_type.to_owned(),
            ..self.clone()
        }
    }

    /// Creates the stream with its content type.
    #[track_caller]
    pub(crate) fn create(&self) -> Response {
        self.put()
            .header("Content-Type", &self.content_type)
            .send()
            .expect(201)
    }

    /// Appends and returns the new tail.
    #[track_caller]
    pub(crate) fn append(&self, body: impl AsRef<[u8]>) -> String {
        self.post(body).send().expect(204).next_offset()
    }

    /// Closes without appending.
    #[track_caller]
    pub(crate) fn close(&self) -> Response {
        self.request("POST")
            .header("Stream-Closed", "true")
            .body("")
            .send()
            .expect(204)
    }

    /// The tail.
    #[track_caller]
    pub(crate) fn tail(&self) -> String {
        self.head().send().expect(200).next_offset()
    }

    /// One page from this offset.
    #[track_caller]
    pub(crate) fn read(&self, offset: &str) -> Response {
        self.get(&format!("offset={offset}")).send().expect(200)
    }

    /// The pages from this offset to the tail.
    #[track_caller]
    pub(crate) fn pages(&self, offset: &str) -> Vec<Response> {
        let mut pages: Vec<Response> = Vec::new();
        let mut at = offset.to_owned();
        loop {
            let page = self.read(&at);
            let next = page.next_offset();
            let over = page.is_up_to_date();
            assert!(
                over || next > at || at == "-1",
                "no progress at {at}: {page:?}"
            );
            at = next;
            pages.push(page);
            if over {
                return pages;
            }
        }
    }

    /// Everything from this offset to the tail.
    #[track_caller]
    pub(crate) fn read_all(&self, offset: &str) -> Vec<u8> {
        let pages = self.pages(offset);
        pages.into_iter().flat_map(|page| page.body).collect()
    }

    pub(crate) fn long_poll(&self, offset: &str) -> Request {
        self.get(&format!("offset={offset}&live=long-poll"))
    }

    /// Starts a long-poll and gives it time to reach the server.
    #[track_caller]
    pub(crate) fn wait_at(&self, offset: &str) -> Connection {
        let connection = self.long_poll(offset).start();
        // No answer shows that a request is waiting. A few later requests that are answered make it
        // likely. The tests hold in either order.
        for _ in 0..3 {
            self.head().send();
        }
        connection
    }

    #[track_caller]
    pub(crate) fn sse(&self, offset: &str) -> Events {
        let connection = self.get(&format!("offset={offset}&live=sse")).open();
        assert_eq!(connection.head().status, 200, "{:?}", connection.head());
        Events::of(connection)
    }
}
