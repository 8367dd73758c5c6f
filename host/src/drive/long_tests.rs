//! Long requests are served apart from short ones.

use super::driver::Driver;
use super::lanes::Factories;
use crate::answers::OwnAnswers;
use crate::budget::Pool;
use crate::limits::LONG_BODY;
use crate::meters::WebhookMeters;
use crate::outbound::Outbound;
use crate::store::{MemoryStore, Store};
use crate::worker::fake::{Script, request};
use durable_streams_edge::limits::Config;
use futures::FutureExt;
use http::{Method, StatusCode};
use metrics::Histogram;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longer than any passing test takes.
const FOREVER: Duration = Duration::from_secs(60);

struct Setup {
    script: Arc<Script>,
    store: Arc<dyn Store>,
    driver: Arc<Driver>,
}

/// Two instances for short requests and one for long ones.
fn setup() -> Setup {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let factories = Factories {
        short: (0..2).map(|_| script.factory(&store)).collect(),
        long: vec![script.factory(&store)],
    };
    let (outbound, own) = (
        Outbound::new(false, WebhookMeters::none()),
        OwnAnswers::new(Config::default(), false),
    );
    let driver = Driver::new(
        &store,
        factories,
        &outbound,
        &own,
        &Pool::new(1 << 20),
        &Histogram::noop(),
    );
    Setup {
        script,
        store,
        driver,
    }
}

impl Setup {
    /// Sends a request without waiting for its answer.
    fn bring(&self, method: Method, target: &str, body: &str) -> JoinHandle<StatusCode> {
        let (driver, request) = (Arc::clone(&self.driver), request(method, target, body));
        tokio::spawn(async move {
            let response = driver.handle(request, None).await;
            response.expect("a response").status()
        })
    }

    /// Sends a long request that blocks its instance until the gate opens.
    async fn block(&self, target: &str) -> JoinHandle<StatusCode> {
        let long = "x".repeat(LONG_BODY);
        let blocked = self.bring(Method::POST, target, &long);
        while self.script.log().starts.is_empty() {
            tokio::task::yield_now().await;
        }
        blocked
    }

    /// Instances that served requests to paths with this prefix.
    fn instances(&self, prefix: &str) -> BTreeSet<usize> {
        let log = self.script.log();
        let served = log.served.iter();
        let served = served.filter(|(path, _)| path.starts_with(prefix));
        served.map(|(_, instance)| *instance).collect()
    }

    fn length(&self, path: &str) -> usize {
        let seen = self.store.get(path).expect("the store answers");
        seen.value.unwrap_or_default().len()
    }
}

async fn answers(brought: Vec<JoinHandle<StatusCode>>) -> Vec<StatusCode> {
    let mut answers = Vec::new();
    for one in brought {
        answers.push(one.await.expect("the task ends"));
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_requests_are_answered_while_a_long_one_blocks_its_instance() {
    let setup = setup();
    let blocked = setup.block("/block").await;
    let short = (0..20).flat_map(|stream| {
        let path = format!("/short/{stream}");
        let append = setup.bring(Method::POST, &path, "x");
        [append, setup.bring(Method::GET, &path, "")]
    });
    let answered = timeout(FOREVER, answers(short.collect())).await;
    setup.script.open_gate();
    let answered = answered.expect("no short request waits for the long one");
    assert!(answered.iter().all(StatusCode::is_success), "{answered:?}");
    assert_eq!(blocked.await.expect("answered"), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_wait_for_each_other_take_no_short_instance_and_none_is_lost() {
    let setup = setup();
    let long = "x".repeat(LONG_BODY);
    let mut brought = vec![setup.block("/block").await];
    brought.extend((0..8).map(|n| setup.bring(Method::POST, &format!("/large/{n}"), &long)));
    // Each kind of instance serves some of the requests.
    let short = (0..20).map(|n| setup.bring(Method::POST, &format!("/short/{n}"), "x"));
    let short = timeout(FOREVER, answers(short.collect())).await;
    let waited = setup.instances("/large").is_empty();
    setup.script.open_gate();
    short.expect("no short request waits for a long one");
    assert!(waited, "the large bodies wait for the one that blocks");
    let answered = answers(brought).await;
    assert_eq!(answered, [StatusCode::NO_CONTENT; 9]);
    let lengths: Vec<usize> = (0..8)
        .map(|n| setup.length(&format!("/large/{n}")))
        .collect();
    assert_eq!(lengths, [LONG_BODY; 8]);
    assert_eq!(setup.instances("/large").len(), 1);
    assert!(
        setup
            .instances("/large")
            .is_disjoint(&setup.instances("/short"))
    );
}

/// Each short append won against the long one, so the long one started over every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_appends_to_a_stream_follow_its_long_one() {
    let setup = setup();
    let first = setup.block("/block/stream").await;
    let mut short: Vec<_> = (0..8)
        .map(|_| {
            let request = request(Method::POST, "/block/stream", "x");
            Box::pin(setup.driver.handle(request, None))
        })
        .collect();
    for one in &mut short {
        assert!(one.now_or_never().is_none(), "it waits for the long one");
    }
    setup.script.open_gate();
    assert_eq!(first.await.expect("answered"), StatusCode::NO_CONTENT);
    for one in short {
        let response = one.await.expect("a response");
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(setup.length("/block/stream"), LONG_BODY + 8);
    assert_eq!(setup.instances("/block").len(), 1);
}

#[tokio::test]
async fn a_subscription_whose_step_took_many_store_calls_is_served_apart_from_then_on() {
    let setup = setup();
    let claim = "/v1/stream/__ds/subscriptions/many/claim";
    for _ in 0..3 {
        let answered = setup.bring(Method::POST, claim, "x").await;
        assert_eq!(answered.expect("answered"), StatusCode::NO_CONTENT);
    }
    let log = setup.script.log();
    let served: Vec<usize> = log.served.iter().map(|(_, instance)| *instance).collect();
    assert_eq!(served.len(), 3);
    assert_ne!(served[0], served[1]);
    assert_eq!(served[1], served[2]);
}
