//! Bodies passed on unread, with detection of clients that fall behind.

use super::pace::{PaceError, Paced};
use crate::budget::Reservation;
use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use wasmtime_wasi_http::{Error, WasiBody};

/// Returns a body that fails if it comes too slowly, and a future that is ready after that failure.
/// An instance reads the whole body before its first effect.
pub(super) fn watched<B>(
    body: Paced<B>,
    mut room: Reservation,
) -> (WasiBody, impl Future<Output = ()> + Send + use<B>)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    Error: From<B::Error>,
{
    let (sender, receiver) = oneshot::channel();
    let mut sender = Some(sender);
    let body = body.map_frame(move |frame| {
        // Bytes without room are passed on all the same. Room is short then, so slow bodies fail.
        let _ = room.grow(frame.data_ref().map_or(0, Bytes::len));
        frame
    });
    let body = body.map_err(move |error| match error {
        PaceError::Body(error) => error.into(),
        PaceError::TooSlow => {
            // The receiver is gone if the request was answered without its body.
            let _ = sender.take().map(|sender| sender.send(()));
            Error::ConnectionReadTimeout
        }
    });
    let fell_behind = async move {
        if receiver.await.is_err() {
            std::future::pending().await
        }
    };
    (body.boxed_unsync(), fell_behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::net::pace::tests::{Begun, short_room};
    use futures::FutureExt;
    use http_body_util::Full;
    use std::sync::Arc;
    use std::time::Duration;

    /// A few such uploads kept all the room of an instance for any length of time.
    #[tokio::test]
    async fn an_abandoned_body_is_reported_before_the_instance_can_answer() {
        let begun = Begun(Bytes::from_static(b"begun"));
        let room = short_room(10);
        let paced = Paced::with(begun, Arc::clone(&room), Duration::ZERO);
        let (body, fell_behind) = watched(paced, room.reserve());
        let mut fell_behind = Box::pin(fell_behind);
        assert_eq!((&mut fell_behind).now_or_never(), None);
        let outcome = body.collect().await;
        assert!(matches!(outcome, Err(Error::ConnectionReadTimeout)));
        assert_eq!(fell_behind.now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_complete_body_is_passed_on_and_nothing_is_reported() {
        let whole = Full::new(Bytes::from_static(b"whole"));
        let room = Arc::new(Budget::new(10));
        let (body, fell_behind) = watched(Paced::new(whole, Arc::clone(&room)), room.reserve());
        assert_eq!(body.collect().await.expect("it comes").to_bytes(), "whole");
        assert_eq!(fell_behind.now_or_never(), None);
    }
}
