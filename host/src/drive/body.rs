//! Response bodies.

use super::live::{Event, Live};
use crate::store::{Lost, Outlet, Settle};
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
    /// It is about what is not there any more.
    #[error("{0}")]
    Lost(Lost),
}

/// What this host answers with.
pub struct ResponseBody(Kind);

enum Kind {
    Whole(Bytes),
    Unannounced(Bytes),
    Live(Box<Live>),
    Instance(Box<Instance>),
}

/// What an instance writes by itself, each piece held back until it may leave.
struct Instance {
    body: WasiBody,
    outlet: Outlet,
    drain: Option<Drain>,
    held: Option<(Piece, Settle)>,
}

/// A frame, the end, or why there is none.
type Piece = Option<Result<Frame<Bytes>, BodyError>>;

impl Instance {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        if self.held.is_none() {
            let piece = ready!(self.poll_piece(context));
            self.held = Some((piece, self.outlet.settle()));
        }
        let Some((_, settle)) = &mut self.held else {
            return Poll::Ready(None);
        };
        let settled = ready!(Pin::new(settle).poll(context));
        let piece = self.held.take().and_then(|(piece, _)| piece);
        Poll::Ready(match self.outlet.check(settled) {
            Ok(()) => piece,
            Err(lost) => Some(Err(BodyError::Lost(lost))),
        })
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
        let frame = match (
            Pin::new(&mut self.body).poll_frame(context),
            &mut self.drain,
        ) {
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

/// Is done when the server ends.
pub type Drain = Pin<Box<dyn Future<Output = ()> + Send>>;

impl ResponseBody {
    /// A body that is there, and of which it is told how long it is.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    /// A body that is there, of a kind that has no length.
    #[must_use]
    pub const fn unannounced(bytes: Bytes) -> Self {
        Self(Kind::Unannounced(bytes))
    }

    pub(super) const fn live(live: Box<Live>) -> Self {
        Self(Kind::Live(live))
    }

    /// A body that an instance writes by itself. With `drain` it also ends when the server does
    /// and the instance has nothing to write.
    #[must_use]
    pub fn instance(body: WasiBody, outlet: Outlet, drain: Option<Drain>) -> Self {
        Self(Kind::Instance(Box::new(Instance {
            body,
            outlet,
            drain,
            held: None,
        })))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        match &mut self.0 {
            Kind::Whole(bytes) | Kind::Unannounced(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) | Kind::Unannounced(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Kind::Live(live) => match ready!(live.poll(context)) {
                Event::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Event::End => Poll::Ready(None),
                Event::Head(_) | Event::Reset => Poll::Ready(Some(Err(BodyError::Reset))),
                Event::Failed(error) => {
                    Poll::Ready(Some(Err(BodyError::Instance(error.to_string()))))
                }
            },
            Kind::Instance(instance) => instance.poll(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) | Kind::Unannounced(bytes) => bytes.is_empty(),
            Kind::Live(_) => false,
            Kind::Instance(instance) => instance.held.is_none() && instance.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Unannounced(_) | Kind::Live(_) => SizeHint::default(),
            // What is held is counted by nobody.
            Kind::Instance(instance) if instance.held.is_none() => instance.body.size_hint(),
            Kind::Instance(_) => SizeHint::default(),
        }
    }
}
