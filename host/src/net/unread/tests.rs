use super::*;
use crate::net::crowd::Activity;
use crate::net::server;
use futures::channel::mpsc;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Weak;

type Frames = mpsc::UnboundedReceiver<Result<Frame<Bytes>, Infallible>>;
type Feed = mpsc::UnboundedSender<Result<Frame<Bytes>, Infallible>>;

/// Bytes, and a weak reference that shows whether they are still in memory.
fn tracked(length: usize) -> (Bytes, Weak<[u8]>) {
    struct Owner(Arc<[u8]>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let bytes: Arc<[u8]> = vec![b'x'; length].into();
    let weak = Arc::downgrade(&bytes);
    (Bytes::from_owner(Owner(bytes)), weak)
}

/// A body, and the sender of its frames.
fn body() -> (StreamBody<Frames>, Feed) {
    let (feed, frames) = mpsc::unbounded();
    (StreamBody::new(frames), feed)
}

fn whole(bytes: Bytes) -> StreamBody<Frames> {
    let (body, feed) = body();
    let sent = feed.unbounded_send(Ok(Frame::data(bytes)));
    sent.expect("there is a body");
    body
}

/// A client with this window for each stream. Its server responds with `bodies` in turn, and resets
/// streams after stalling for `patience`.
async fn client(
    window: u32,
    patience: Duration,
    bodies: Vec<StreamBody<Frames>>,
) -> SendRequest<Empty<Bytes>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let bodies = Arc::new(Mutex::new(bodies.into_iter()));
    let service = service_fn(move |_: Request<Incoming>| {
        let body = bodies.lock().expect("no panic").next();
        let body = body.expect("one more body");
        async {
            Ok::<_, Infallible>(Response::new(Outgoing::new(
                body,
                Activity::new().begin(),
                None,
                None,
            )))
        }
    });
    tokio::spawn(async move {
        let builder = server::builder(patience);
        let _ = builder.serve_connection(TokioIo::new(far), service).await;
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(window);
    let handshake = builder.handshake(TokioIo::new(near)).await;
    let (requests, connection) = handshake.expect("a connection");
    tokio::spawn(connection);
    requests
}

async fn get(requests: &mut SendRequest<Empty<Bytes>>) -> Incoming {
    let request = Request::get("http://x/").body(Empty::new());
    let response = requests.send_request(request.expect("a request")).await;
    response.expect("a response").into_body()
}

async fn freed(kept: &Weak<[u8]>) {
    while kept.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
}

/// Such streams kept unread bytes for any length of time.
#[tokio::test]
async fn an_unread_stream_is_reset_and_its_bytes_are_freed() {
    for window in [0, 1] {
        let (large, kept) = tracked(1 << 20);
        let bodies = vec![whole(large), whole(Bytes::new())];
        let mut requests = client(window, Duration::ZERO, bodies).await;
        let mut unread = get(&mut requests).await;
        freed(&kept).await;
        let mut last = unread.frame().await;
        while matches!(last, Some(Ok(_))) {
            last = unread.frame().await;
        }
        assert!(matches!(last, Some(Err(_))), "the client gets the reset");
        // Other streams on the connection continue.
        let other = get(&mut requests).await.collect().await;
        assert!(other.is_ok(), "{other:?}");
    }
}

#[tokio::test]
async fn a_live_read_that_the_client_stops_taking_is_reset_too() {
    let (body, feed) = body();
    let mut requests = client(100, Duration::ZERO, vec![body]).await;
    let unread = get(&mut requests).await;
    let (event, kept) = tracked(2000);
    let sent = feed.unbounded_send(Ok(Frame::data(event)));
    sent.expect("it is read");
    freed(&kept).await;
    while !feed.is_closed() {
        tokio::task::yield_now().await;
    }
    drop(unread);
}

#[tokio::test]
async fn trailers_wait_for_the_pieces_before_them() {
    let (body, feed) = body();
    let (large, kept) = tracked(2000);
    let trailers = http::HeaderMap::new();
    for frame in [Frame::data(large), Frame::trailers(trailers)] {
        feed.unbounded_send(Ok(frame)).expect("there is a body");
    }
    let mut requests = client(1, Duration::ZERO, vec![body]).await;
    let unread = get(&mut requests).await;
    freed(&kept).await;
    drop(unread);
}

/// The server has no patience here, but a stream without unsent bytes does not stall.
#[tokio::test]
async fn a_live_read_with_nothing_to_take_goes_on() {
    let (silent, feed) = body();
    let (large, kept) = tracked(1 << 20);
    let bodies = vec![silent, whole(large)];
    let mut requests = client(100, Duration::ZERO, bodies).await;
    let read = get(&mut requests).await;
    let unread = get(&mut requests).await;
    freed(&kept).await;
    assert!(!feed.is_closed(), "the other began before and is there");
    drop((feed, unread));
    let read = read.collect().await.map(|read| read.to_bytes());
    assert!(read.as_ref().is_ok_and(Bytes::is_empty), "{read:?}");
}

#[tokio::test]
async fn a_client_that_takes_little_at_a_time_gets_everything() {
    for length in [1, LEFT, LEFT + 1, 100_000] {
        let (large, _) = tracked(length);
        let patience = Duration::from_secs(3600);
        let mut requests = client(1000, patience, vec![whole(large)]).await;
        let read = get(&mut requests).await.collect().await;
        assert_eq!(read.expect("no reset").to_bytes().len(), length);
    }
}

/// The clock starts with the first unsent byte, and each byte sent extends the deadline a little.
/// Without unsent bytes the clock does not run.
#[test]
fn a_stream_stalls_when_it_is_a_minute_behind_the_least_rate() {
    let (begun, secs) = (Instant::now(), Duration::from_secs);
    let stalls = |unread: &Unread| {
        let stalls = unread.stalls_at();
        stalls.map(|stalls| stalls.duration_since(begun).as_secs())
    };
    let unread = Unread::new(secs(60));
    assert_eq!(stalls(&unread), None);
    unread.give(100_000, begun + secs(100));
    assert_eq!(stalls(&unread), Some(160));
    unread.give(10, begun + secs(110));
    assert_eq!(stalls(&unread), Some(160), "more to send is no progress");
    unread.take(1, begun + secs(120));
    assert_eq!(stalls(&unread), Some(160), "nor is a byte");
    unread.take(10 << 10, begun + secs(130));
    assert_eq!(stalls(&unread), Some(170));
    unread.take(100_000, begun + secs(131));
    assert_eq!(stalls(&unread), None);
    unread.give(1, begun + secs(200));
    assert_eq!(stalls(&unread), Some(260), "all was taken before");
}

#[tokio::test]
async fn without_a_stream_a_body_ends_as_it_does() {
    let mut outgoing = Outgoing::new(
        Full::new(Bytes::from("text")),
        Activity::new().begin(),
        None,
        None,
    );
    let frame = outgoing.frame().await.expect("a frame").expect("no error");
    assert!(outgoing.is_end_stream());
    assert_eq!(frame.into_data().expect("data").copy_to_bytes(4), "text");
    assert!(outgoing.frame().await.is_none());
}
