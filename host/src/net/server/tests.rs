use super::*;
use crate::outbound::Outbound;
use crate::store::MemoryStore;
use crate::worker::fake::Script;
use durable_streams_edge::limits::Config;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest time that anything here waits before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: a.example\r\n\r\n";

/// A server with one instance, and so many places for connections.
struct Served {
    address: SocketAddr,
    places: Arc<Semaphore>,
    script: Arc<Script>,
    _stop: watch::Sender<bool>,
}

async fn serve(places: usize) -> Served {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let own = OwnAnswers::new(Config::default(), false);
    let factories = vec![script.factory(&store)];
    let driver = Driver::new(&store, factories, &Outbound::new(false), &own);
    let gate = Gate::new(Rates::default(), own, store);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let places = Arc::new(Semaphore::new(places));
    let door = Door::new(listener, Arc::clone(&places));
    let (stop, stopped) = watch::channel(false);
    let handler = Handler::Exchange(driver, 1 << 20);
    tokio::spawn(run(door, handler, gate, stopped, Duration::ZERO));
    Served {
        address,
        places,
        script,
        _stop: stop,
    }
}

struct Client(TcpStream);

impl Client {
    async fn connect(served: &Served) -> Self {
        Self(
            TcpStream::connect(served.address)
                .await
                .expect("it listens"),
        )
    }

    async fn say(&mut self, text: &str) {
        self.0
            .write_all(text.as_bytes())
            .await
            .expect("it is taken");
    }

    /// The status of the next answer, which is read to its end; none if the connection ended.
    async fn status(&mut self) -> Option<u16> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("text");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().expect("a length"));
        self.0.read_exact(&mut vec![0; length]).await.ok()?;
        head.split(' ').nth(1)?.parse().ok()
    }
}

/// With a store that hangs, each host was restarted by whoever asked whether it is alive.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn health_is_told_while_every_instance_hangs() {
    let served = serve(10).await;
    let mut hangs = Client::connect(&served).await;
    hangs
        .say("GET /block HTTP/1.1\r\nhost: a.example\r\n\r\n")
        .await;
    while served.script.log().starts.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut client = Client::connect(&served).await;
    client.say(HEALTH).await;
    let status = timeout(PATIENCE, client.status()).await;
    served.script.open_gate();
    assert_eq!(status, Ok(Some(200)));
}

/// The connection was reset, and the answer lost with it.
#[tokio::test]
async fn who_is_refused_before_its_body_came_can_send_it_and_go_on() {
    let served = serve(10).await;
    let half = "x".repeat(100_000);
    for (head, expected) in [
        ("POST /a HTTP/1.1\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: a.example\r\n", 200),
    ] {
        let mut client = Client::connect(&served).await;
        client
            .say(&format!("{head}content-length: 200000\r\n\r\n{half}"))
            .await;
        assert_eq!(client.status().await, Some(expected));
        client.say(&half).await;
        client.say(HEALTH).await;
        assert_eq!(client.status().await, Some(200), "{head}");
    }
}

#[tokio::test]
async fn a_connection_has_its_place_until_it_ends() {
    let served = serve(2).await;
    let mut first = Client::connect(&served).await;
    first.say(HEALTH).await;
    assert_eq!(first.status().await, Some(200));
    assert_eq!(
        served.places.available_permits(),
        0,
        "its own and the next one's"
    );
    let mut second = Client::connect(&served).await;
    second.say(HEALTH).await;
    assert_eq!(second.status().await, Some(200));
    let mut third = Client::connect(&served).await;
    third.say(HEALTH).await;
    drop(first);
    assert_eq!(third.status().await, Some(200));
}

/// hyper drops one of the two fields, and a proxy in front may have gone by the other.
#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_its_connection_ends() {
    const LENGTH: &str = "content-length: 5";
    const CODING: &str = "transfer-encoding: chunked";
    let served = serve(10).await;
    for before in [0, 1, 3] {
        for (first, second) in [(LENGTH, CODING), (CODING, LENGTH)] {
            let mut client = Client::connect(&served).await;
            let chunked = format!("GET /health HTTP/1.1\r\nhost: a\r\n{CODING}\r\n\r\n0\r\n\r\n");
            client.say(&chunked.repeat(before)).await;
            let both = format!("POST /a HTTP/1.1\r\nhost: a\r\n{first}\r\n{second}\r\n\r\n");
            client.say(&format!("{both}0\r\n\r\n{HEALTH}")).await;
            for _ in 0..before {
                assert_eq!(client.status().await, Some(200));
            }
            assert_eq!(client.status().await, Some(400), "{before} {first}");
            assert_eq!(client.status().await, None, "{before} {first}");
        }
    }
}
