//! Response bodies that an instance writes.

use crate::answers::BodyError;
use crate::budget::Room;
use crate::store::{Outlet, Settle};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::WasiBody;

/// Future that is ready when the server shuts down.
pub(super) type Drain = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Response body written by an instance. Each piece is held back until the writes before it are
/// settled.
pub(super) struct InstanceBody {
    body: WasiBody,
    outlet: Outlet,
    drain: Option<Drain>,
    held: Option<(Piece, Settle)>,
    /// Room for the bytes that the instance wrote and the client has not received.
    room: Option<Room>,
}

/// A frame, the end, or an error.
type Piece = Option<Result<Frame<Bytes>, BodyError>>;

impl InstanceBody {
    /// With `drain` the body also ends at shutdown, as soon as the instance has nothing to write.
    pub(super) const fn new(
        body: WasiBody,
        outlet: Outlet,
        drain: Option<Drain>,
        room: Option<Room>,
    ) -> Self {
        Self {
            room,
            body,
            outlet,
            drain,
            held: None,
        }
    }

    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<Piece> {
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
                // The client has received everything, and the instance has nothing to write.
                self.room = None;
                ready!(drain.as_mut().poll(context));
                None
            }
        };
        let error = |error| BodyError::Instance(format!("{error:?}"));
        Poll::Ready(frame.map(|frame| frame.map_err(error)))
    }
}

impl Body for InstanceBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Piece> {
        self.poll_settled(context)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.held {
            None => self.body.size_hint(),
            // The size hint of the instance's body does not include a frame that is held back.
            Some(_) => SizeHint::default(),
        }
    }
}
