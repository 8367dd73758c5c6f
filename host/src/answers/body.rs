//! Bodies of responses.

use crate::store::Lost;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Reason that a response body has no end. The connection or the stream is reset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Bytes announced to the client are not available.
    #[error("the exchange was reset")]
    Reset,
    /// The instance that produced the body failed.
    #[error("the instance failed: {0}")]
    Instance(String),
    /// The response depends on a write that the store lost.
    #[error("{0}")]
    Lost(Lost),
}

/// Body of a response of this host.
pub(crate) struct ResponseBody(Kind);

/// A body that the driver or an instance produces piece by piece.
pub(crate) type Streamed = dyn Body<Data = Bytes, Error = BodyError> + Send;

enum Kind {
    Whole(Bytes),
    Unannounced(Bytes),
    Streamed(Pin<Box<Streamed>>),
}

impl ResponseBody {
    /// A complete body with an announced length.
    #[must_use]
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    /// A complete body without an announced length.
    #[must_use]
    pub(crate) const fn unannounced(bytes: Bytes) -> Self {
        Self(Kind::Unannounced(bytes))
    }

    /// A body that is still being produced.
    #[must_use]
    pub(crate) fn streamed(body: Box<Streamed>) -> Self {
        Self(Kind::Streamed(Box::into_pin(body)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Whole(bytes) | Kind::Unannounced(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) | Kind::Unannounced(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Kind::Streamed(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) | Kind::Unannounced(bytes) => bytes.is_empty(),
            Kind::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Unannounced(_) => SizeHint::default(),
            Kind::Streamed(body) => body.size_hint(),
        }
    }
}
