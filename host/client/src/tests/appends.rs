//! Retries of writes.

use super::script::{Script, Step};
use super::{options, stream};
use crate::{
    AppendOptions, Client, CreateOptions, Error, ForkPoint, ListOptions, Options, Producer,
    ProducerOptions, ProducerState, Session, Stream,
};

const OFFSET: &str = "stream-next-offset: 1";

fn plain() -> AppendOptions {
    AppendOptions {
        content_type: Some("text/plain".to_owned()),
        ..AppendOptions::default()
    }
}

fn producer(session: Session) -> ProducerOptions {
    ProducerOptions {
        id: Some("p".to_owned()),
        session,
        content_type: Some("text/plain".to_owned()),
        ..ProducerOptions::default()
    }
}

#[tokio::test]
async fn a_plain_append_is_not_sent_again_after_a_cut() {
    let (stream, script) = stream([Step::cut(), Step::response("204 No Content", &[OFFSET], "")]);
    let error = stream.append("x", &plain()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn a_plain_append_is_sent_again_after_a_response_that_says_it_had_no_effect() {
    let busy = ["retry-after: 0"];
    let (stream, script) = stream([
        Step::response("503 Service Unavailable", &busy, ""),
        Step::response("429 Too Many Requests", &[], ""),
        Step::response("507 Insufficient Storage", &[], ""),
        Step::response("204 No Content", &[OFFSET], ""),
    ]);
    let appended = stream.append("x", &plain()).await.unwrap();
    assert_eq!(appended.next_offset.as_str(), "1");
    assert_eq!(script.requests().len(), 4);
}

/// The last try alone had no effect.
#[tokio::test]
async fn an_append_that_may_have_been_applied_is_unknown_whatever_its_last_try_says() {
    let mut options = options();
    options.retry.give_up_after = std::time::Duration::from_millis(200);
    let busy = || Step::response("503 Service Unavailable", &["retry-after: 9"], "");
    let script = Script::start([Step::cut(), busy(), Step::cut(), busy()]);
    let client = Client::new(&script.url(), options).unwrap();
    let stream = client.stream("s").unwrap();
    let mut producer = stream.producer(producer(Session::Epoch(3))).await.unwrap();
    producer.send("a").await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    let error = stream.delete().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
}

/// A proxy that asks for a password answers 200 to everything.
#[tokio::test]
async fn a_200_without_an_offset_is_no_acknowledgement() {
    let (stream, _script) = stream([Step::response("200 OK", &[], "<html>")]);
    let mut producer = stream.producer(producer(Session::Epoch(3))).await.unwrap();
    producer.send("a").await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn a_session_that_finds_no_free_epoch_ends() {
    let taken = |epoch: u64| {
        let epoch = format!("producer-epoch: {}", (1_u64 << 52) + epoch);
        Step::response("403 Forbidden", &[&epoch], "")
    };
    let (stream, script) = stream((0..100).map(taken));
    let mut producer = stream.producer(producer(Session::New)).await.unwrap();
    producer.send("a").await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    assert!(script.requests().len() < 10);
}

#[tokio::test]
async fn a_list_that_does_not_move_on_is_an_error() {
    let page = || Step::response("200 OK", &[], r#"{"streams":[],"next":"x"}"#);
    let script = Script::start([page(), page(), page()]);
    let client = Client::new(&script.url(), options()).unwrap();
    let mut list = client.list(ListOptions::default());
    assert!(list.next().await.is_some_and(|page| page.is_ok()));
    let error = list.next().await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
    assert!(list.next().await.is_none());
}

#[tokio::test]
async fn a_delete_whose_response_was_lost_is_a_success() {
    let missing = || Step::response("404 Not Found", &[], "");
    let (stream, _script) = stream([Step::cut(), missing(), missing()]);
    stream.delete().await.unwrap();
    let error = stream.delete().await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[tokio::test]
async fn a_producer_repeats_a_batch_with_its_number_until_it_is_acknowledged() {
    let (stream, script) = stream([
        Step::cut(),
        Step::response("503 Service Unavailable", &[], ""),
        Step::response("204 No Content", &[OFFSET], ""),
        Step::response("200 OK", &[OFFSET], ""),
    ]);
    let mut producer = stream.producer(producer(Session::Epoch(3))).await.unwrap();
    let first = producer
        .send("a")
        .await
        .unwrap()
        .acknowledged()
        .await
        .unwrap();
    assert!(first.is_duplicate);
    producer.send("b").await.unwrap();
    producer.flush().await.unwrap();
    let state = ProducerState {
        id: "p".to_owned(),
        epoch: 3,
        next_seq: 2,
    };
    assert_eq!(producer.state(), state);
    let requests = script.requests();
    let numbers = ["0", "0", "0", "1"];
    assert_eq!(requests.len(), numbers.len());
    for (request, number) in requests.iter().zip(numbers) {
        assert!(
            request.contains(&format!("producer-seq: {number}\r\n")),
            "{request}"
        );
        assert!(request.contains("producer-epoch: 3\r\n"), "{request}");
    }
}

#[tokio::test]
async fn a_new_session_takes_the_epoch_after_the_one_that_the_server_knows() {
    let known = format!("producer-epoch: {}", 1_u64 << 52);
    let (stream, script) = stream([
        Step::response("403 Forbidden", &[&known], ""),
        Step::response("200 OK", &[OFFSET], ""),
        Step::response("403 Forbidden", &[&known], ""),
    ]);
    let mut producer = stream.producer(producer(Session::New)).await.unwrap();
    producer
        .send("a")
        .await
        .unwrap()
        .acknowledged()
        .await
        .unwrap();
    assert_eq!(producer.state().epoch, (1 << 52) + 1);
    // A session that was accepted never claims another epoch.
    let fenced = producer
        .send("b")
        .await
        .unwrap()
        .acknowledged()
        .await
        .unwrap_err();
    assert!(matches!(fenced, Error::Fenced { .. }), "{fenced}");
    let later = producer.send("c").await.unwrap_err();
    assert!(matches!(later.root(), Error::Fenced { .. }), "{later}");
    assert_eq!(script.requests().len(), 3);
}

/// A producer `q` that resumes its epoch 5 at the number 8.
async fn resumed(stream: &Stream) -> Producer {
    let state = ProducerState {
        id: "q".to_owned(),
        epoch: 5,
        next_seq: 8,
    };
    let options = producer(Session::Resume(state));
    stream.producer(options).await.unwrap()
}

#[tokio::test]
async fn a_resumed_session_goes_on_with_its_number() {
    let (stream, script) = stream([Step::response("204 No Content", &[], "")]);
    let mut producer = resumed(&stream).await;
    producer.send("a").await.unwrap();
    producer.flush().await.unwrap();
    let request = &script.requests()[0];
    for field in ["producer-id: q", "producer-epoch: 5", "producer-seq: 8"] {
        assert!(request.contains(&format!("{field}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_gap_before_the_first_batch_ends_the_session() {
    let gap = ["producer-expected-seq: 0", "producer-received-seq: 8"];
    let (stream, _script) = stream([Step::response("409 Conflict", &gap, "")]);
    let mut producer = resumed(&stream).await;
    producer.send("a").await.unwrap();
    let error = producer.flush().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::SequenceGap {
                expected: 0,
                sent: 8
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn the_token_goes_to_its_own_server_only() {
    let (own, other) = (
        Script::start([Step::response("204 No Content", &[], "")]),
        Script::start([Step::response("204 No Content", &[], "")]),
    );
    let options = Options {
        token: Some("secret".to_owned()),
        ..options()
    };
    let client = Client::new(&own.url(), options).unwrap();
    client.stream("s").unwrap().delete().await.unwrap();
    client
        .stream(&format!("{}/s", other.url()))
        .unwrap()
        .delete()
        .await
        .unwrap();
    assert!(own.requests()[0].contains("authorization: bearer secret\r\n"));
    assert!(!other.requests()[0].contains("secret"));
}

#[tokio::test]
async fn a_server_without_an_extension_is_named() {
    let (stream, script) = stream([Step::response("404 Not Found", &[], "")]);
    let error = stream.stop().await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unsupported {
                extension: "stop",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().starts_with(&script.url()), "{error}");
    assert!(script.requests()[0].starts_with("get /__ds http"));
}

#[tokio::test]
async fn a_server_without_forks_is_found_out() {
    let (stream, _script) = stream([
        Step::response("200 OK", &["stream-next-offset: 5"], ""),
        Step::response("201 Created", &["stream-next-offset: 0"], ""),
    ]);
    let source = stream.client().stream("source").unwrap();
    let (point, options) = (ForkPoint::default(), CreateOptions::default());
    let error = stream
        .fork_from(&source, &point, &options)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("this server has no forks"),
        "{error}"
    );
}

/// The second batch overtook the first one, and the response to it came after the first one's
/// acknowledgement. The session took this for lost appends.
#[tokio::test]
async fn a_batch_that_overtook_another_is_sent_again() {
    let gap = ["producer-expected-seq: 1", "producer-received-seq: 2"];
    let accepted = || Step::response("200 OK", &[OFFSET], "");
    let refused = Step::response("409 Conflict", &gap, "");
    let either = Step::When("producer-seq: 2\r\n", refused.into(), accepted().into());
    let (stream, script) = stream([accepted(), either.clone(), either, accepted()]);
    let mut producer = stream.producer(producer(Session::Epoch(3))).await.unwrap();
    for batch in ["a", "b", "c"] {
        producer.send(batch).await.unwrap();
    }
    // The last two batches are on their way at once.
    producer.flush().await.unwrap();
    assert_eq!(script.requests().len(), 4);
}
