use super::calls::StepResult;
use super::jobs::{BATCH_BYTES, BATCH_REQUESTS};
use super::{Deliver, Worker};
use crate::exchange::{DeliveryResult, StepError};
use crate::length::Ticket;
use crate::store::{MemoryStore, Store};
use crate::worker::fake::{Script, request};
use bytes::Bytes;
use futures::FutureExt;
use http::{Method, StatusCode};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

struct Setup {
    script: Arc<Script>,
    store: Arc<dyn Store>,
    worker: Arc<Worker>,
}

fn setup() -> Setup {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let worker = Worker::new(
        Arc::clone(&store),
        script.factory(&store),
        Box::new(|_, _| {}),
        Arc::default(),
    );
    Setup {
        script,
        store,
        worker,
    }
}

fn text(store: &Arc<dyn Store>, key: &str) -> Bytes {
    let seen = store.get(key).expect("the store answers");
    seen.value.unwrap_or_default()
}

fn status(outcome: Result<StepResult, oneshot::error::RecvError>) -> StatusCode {
    let answered = outcome.expect("not dropped").expect("an answer");
    answered.answer.message.head.expect("a head").status
}

/// Sends requests while the instance is busy, and lets the instance go on after that. The instance
/// blocks a thread of the runtime, so the runtime needs two.
async fn while_busy<T>(setup: &Setup, bring: impl FnOnce(&Arc<Worker>) -> T) -> T {
    let busy = setup.worker.start(request(Method::GET, "/block", ""));
    while setup.script.log().starts.is_empty() {
        tokio::task::yield_now().await;
    }
    let brought = bring(&setup.worker);
    setup.script.open_gate();
    assert_eq!(status(busy.await), StatusCode::OK);
    brought
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_that_wait_for_one_path_are_started_together_in_their_order() {
    let setup = setup();
    let pending = while_busy(&setup, |worker| {
        let post = |path: &str, body: &str| worker.start(request(Method::POST, path, body));
        [
            post("/a", "1"),
            post("/b", "2"),
            worker.start(request(Method::GET, "/a", "")),
            post("/a", "3"),
            post("/a", "4"),
        ]
    })
    .await;
    for pending in pending {
        status(pending.await);
    }
    let starts: Vec<Vec<Bytes>> = setup.script.log().starts[1..]
        .iter()
        .map(|(bodies, _)| bodies.clone())
        .collect();
    assert_eq!(starts, [vec!["1", "3", "4"], vec!["2"], vec![""]]);
    assert_eq!(text(&setup.store, "/a"), "134");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_bounded_in_requests_and_in_bytes() {
    let setup = setup();
    let large = "x".repeat(BATCH_BYTES / 2);
    let pending = while_busy(&setup, |worker| {
        let small = (0..BATCH_REQUESTS + 1).map(|_| request(Method::POST, "/small", "x"));
        let large = (0..3).map(|_| request(Method::POST, "/large", &large));
        let start = |request| worker.start(request);
        small.chain(large).map(start).collect::<Vec<_>>()
    })
    .await;
    for pending in pending {
        status(pending.await);
    }
    let log = setup.script.log();
    let mut sizes: Vec<usize> = log.starts[1..].iter().map(|start| start.0.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, BATCH_REQUESTS]);
}

/// A read may ask for thousands of further steps, and its client may not wait for them.
#[tokio::test]
async fn a_read_is_started_again_only_while_its_client_waits() {
    let setup = setup();
    let read = setup.worker.start(request(Method::GET, "/again", ""));
    while setup.script.log().starts.is_empty() {
        tokio::task::yield_now().await;
    }
    drop(read);
    // The second start of the read would come before that of a later request.
    let write = setup.worker.start(request(Method::POST, "/again", "x"));
    assert_eq!(status(write.await), StatusCode::NO_CONTENT);
    let starts = setup.script.log().starts.clone();
    let body = |body: &'static str| vec![Bytes::from_static(body.as_bytes())];
    let expected = [(body(""), false), (body("x"), false), (body("x"), true)];
    assert_eq!(starts, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_to_be_started_again_are_started_together_with_no_others() {
    let setup = setup();
    let pending = while_busy(&setup, |worker| {
        ["1", "2", "3"].map(|body| worker.start(request(Method::POST, "/again", body)))
    })
    .await;
    let [first, second, third] = pending;
    assert_eq!(status(second.await), StatusCode::CONFLICT);
    assert_eq!(status(first.await), StatusCode::NO_CONTENT);
    assert_eq!(status(third.await), StatusCode::NO_CONTENT);
    let log = setup.script.log();
    let again: Vec<_> = log.starts[1..].to_vec();
    let bodies = |bodies: &[&'static str]| -> Vec<Bytes> {
        bodies
            .iter()
            .map(|body| Bytes::from_static(body.as_bytes()))
            .collect()
    };
    assert_eq!(
        again,
        [
            (bodies(&["1", "2", "3"]), false),
            (bodies(&["1", "3"]), true)
        ]
    );
}

#[tokio::test]
async fn an_instance_that_broke_is_replaced() {
    let setup = setup();
    let broken = setup.worker.start(request(Method::POST, "/break", "x"));
    let outcome = broken.await.expect("not dropped");
    assert!(matches!(outcome, Err(StepError::Broken(_))), "{outcome:?}");
    let next = setup.worker.start(request(Method::POST, "/a", "x"));
    assert_eq!(status(next.await), StatusCode::NO_CONTENT);
    assert_eq!(setup.script.log().instances, 2);
}

/// Later callers of that instance waited forever.
#[test]
fn a_panic_in_the_task_of_an_instance_ends_the_process() {
    const CHILD: &str = "DS_TEST_PANIC";
    let name = "worker::tests::a_panic_in_the_task_of_an_instance_ends_the_process";
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        return runtime.block_on(async {
            let panics = setup().worker.start(request(Method::POST, "/panic", "x"));
            // The process must end before the caller receives a result.
            let _ = panics.await;
        });
    }
    let program = std::env::current_exe().expect("this program");
    let mut child = std::process::Command::new(program);
    let child = child.args([name, "--exact", "--nocapture"]).env(CHILD, "1");
    let ended = child.output().expect("it runs");
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), None, "by a signal: {errors}");
    assert!(errors.contains("the task of an instance"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_client_left_is_not_started_but_a_write_is() {
    let setup = setup();
    let last = while_busy(&setup, |worker| {
        drop(worker.start(request(Method::GET, "/a", "")));
        drop(worker.start(request(Method::POST, "/a", "written")));
        worker.start(request(Method::GET, "/b", ""))
    })
    .await;
    status(last.await);
    assert_eq!(setup.script.log().starts.len(), 3);
    assert_eq!(text(&setup.store, "/a"), "written");
}

#[tokio::test]
async fn background_work_says_whether_there_was_any() {
    let setup = setup();
    assert!(setup.worker.work(0, Ticket::default()).await);
    assert!(!setup.worker.work(2, Ticket::default()).await);
}

/// The host refused background work while steps waited, so no stream expired on a busy server.
#[tokio::test(flavor = "multi_thread")]
async fn background_work_is_done_on_a_busy_instance_too() {
    let setup = setup();
    let work = while_busy(&setup, |worker| {
        let worker = Arc::clone(worker);
        let mut work = Box::pin(async move { worker.work(0, Ticket::default()).await });
        assert_eq!((&mut work).now_or_never(), None, "it waits for its turn");
        work
    })
    .await;
    assert!(work.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_at_once_get_each_an_answer_and_no_append_is_lost() {
    let setup = setup();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let worker = Arc::clone(&setup.worker);
            tokio::spawn(async move {
                for _ in 0..100 {
                    let path = format!("/{}", task % 4);
                    let pending = worker.start(request(Method::POST, &path, "x"));
                    assert_eq!(status(pending.await), StatusCode::NO_CONTENT);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends");
    }
    let lengths = ["/0", "/1", "/2", "/3"].map(|key| text(&setup.store, key).len());
    assert_eq!(lengths, [1600; 4]);
}

#[tokio::test]
async fn a_delivery_is_passed_up_and_its_result_is_passed_to_the_instance() {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let handed = Arc::new(Mutex::new(Vec::new()));
    let deliver: Deliver = {
        let handed = Arc::clone(&handed);
        Box::new(move |worker, delivery| {
            handed.lock().expect("no panic").push(delivery.body);
            worker.delivered(delivery.token, DeliveryResult::Failed, Ticket::default());
        })
    };
    let factory = script.factory(&store);
    let worker = Worker::new(store, factory, deliver, Arc::default());
    let append = worker.start(request(Method::POST, "/tell/a", "told"));
    assert_eq!(status(append.await), StatusCode::NO_CONTENT);
    while script.log().outcomes.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(*handed.lock().expect("no panic"), ["told"]);
    assert_eq!(script.log().outcomes, [DeliveryResult::Failed]);
}
