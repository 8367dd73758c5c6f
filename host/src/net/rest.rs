//! Reads the rest of a request body after an instance responded early.
//!
//! An instance responds to a body that is too large while the client still sends it. Without
//! reading the rest the connection would be reset, and the response lost.

use super::collect::discard;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that reads its rest for a short time after the drop.
#[derive(Debug)]
pub(super) struct Rest<B>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    body: Option<B>,
    /// Whether the client waits for permission to send the body. The first read gives the
    /// permission.
    waits: bool,
}

impl<B> Rest<B>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    /// The body of a request with these fields.
    pub(super) fn new(body: B, headers: &HeaderMap) -> Self {
        Self {
            body: Some(body),
            waits: headers.contains_key(EXPECT),
        }
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.waits = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_else(|| SizeHint::with_exact(0))
    }
}

impl<B> Drop for Rest<B>
where
    B: Body<Data = Bytes, Error: Send> + Send + Unpin + 'static,
{
    fn drop(&mut self) {
        if let Some(body) = self.body.take()
            && !body.is_end_stream()
            && !self.waits
            // There is no runtime at the end of the process.
            && tokio::runtime::Handle::try_current().is_ok()
        {
            discard(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::collect::tests::unannounced_body;
    use http::header::HeaderValue;
    use http_body_util::BodyExt;

    /// Most clients got a broken connection instead of the response.
    #[tokio::test]
    async fn a_body_that_is_dropped_is_read_unless_its_client_waits_for_permission() {
        for (frames, expects, is_read) in [
            (0, false, true),
            (1, false, true),
            (0, true, false),
            (1, true, true),
        ] {
            let (body, ended) = unannounced_body(100);
            let expect = (EXPECT, HeaderValue::from_static("100-continue"));
            let headers = expects.then_some(expect).into_iter().collect();
            let mut body = Rest::new(body, &headers);
            for _ in 0..frames {
                assert!(body.frame().await.is_some());
            }
            drop(body);
            assert_eq!(ended.await.is_ok(), is_read, "{frames} {expects}");
        }
    }
}
