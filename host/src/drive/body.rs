//! Response bodies.

use super::live::{Event, Live};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::WasiBody;

/// Why a response body has no end; the connection or the stream is reset.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Bytes that were promised can't be had.
    #[error("the exchange was reset")]
    Reset,
    /// The instance that produced the body failed.
    #[error("the instance failed: {0}")]
    Instance(String),
}

/// What this host answers with.
pub struct ResponseBody(Kind);

enum Kind {
    Whole(Bytes),
    Live(Box<Live>),
    Instance(WasiBody, Option<Drain>),
}

/// Is done when the server ends.
pub type Drain = Pin<Box<dyn Future<Output = ()> + Send>>;

impl ResponseBody {
    /// A body that is there.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(super) const fn live(live: Box<Live>) -> Self {
        Self(Kind::Live(live))
    }

    /// A body that an instance writes by itself. With `drain` it also ends when the server does
    /// and the instance has nothing to write.
    #[must_use]
    pub const fn instance(body: WasiBody, drain: Option<Drain>) -> Self {
        Self(Kind::Instance(body, drain))
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Live(live) => match ready!(live.poll(context)) {
                Event::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Event::End => Poll::Ready(None),
                Event::Head(_) | Event::Reset => Poll::Ready(Some(Err(BodyError::Reset))),
                Event::Failed(error) => {
                    Poll::Ready(Some(Err(BodyError::Instance(error.to_string()))))
                }
            },
            Kind::Instance(body, drain) => {
                let frame = match (Pin::new(body).poll_frame(context), drain) {
                    (Poll::Ready(frame), _) => frame,
                    (Poll::Pending, None) => return Poll::Pending,
                    (Poll::Pending, Some(drain)) => {
                        ready!(drain.as_mut().poll(context));
                        None
                    }
                };
                let error = |error| BodyError::Instance(format!("{error:?}"));
                Poll::Ready(frame.map(|frame| frame.map_err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Live(_) => false,
            Kind::Instance(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Live(_) => SizeHint::default(),
            Kind::Instance(body, _) => body.size_hint(),
        }
    }
}
