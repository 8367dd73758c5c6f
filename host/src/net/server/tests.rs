use super::*;
use crate::answers::OwnAnswers;
use crate::drive::{Driver, Factories};
use crate::limits::{UNSENT, UNSENT_OF_CONNECTION, UNSENT_OF_EXCHANGE};
use crate::meters::WebhookMeters;
use crate::net::{Address, Certificates, Listen, Listener, Places, Rates};
use crate::outbound::Outbound;
use crate::store::MemoryStore;
use crate::store::Store;
use crate::worker::fake::Script;
use bytes::Bytes;
use durable_streams_edge::limits::Config;
use futures::FutureExt as _;
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use metrics::Histogram;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait of these tests before they fail.
const PATIENCE: Duration = Duration::from_secs(60);

const HEALTH: &str = "GET /health HTTP/1.1\r\nhost: a.example\r\n\r\n";

/// Server with one instance, and a limited number of places for connections.
struct Served {
    address: SocketAddr,
    places: Places,
    script: Arc<Script>,
    unsent: Arc<Unsent>,
    _stop: watch::Sender<bool>,
}

async fn serve(places: usize) -> Served {
    let crowd = Crowd::new(None, Duration::from_secs(3600));
    serve_crowd(Places::new(places, 0), crowd).await
}

async fn serve_crowd(places: Places, crowd: Arc<Crowd>) -> Served {
    let at = Listen::Tcp(([127, 0, 0, 1], 0).into());
    let listener = Listener::bind(&at, None).await.expect("a free port");
    serve_listener(listener, places, crowd).await
}

async fn serve_listener(listener: Listener, places: Places, crowd: Arc<Crowd>) -> Served {
    let script = Arc::new(Script::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let own = OwnAnswers::new(Config::default(), false);
    let factories = Factories {
        short: vec![script.factory(&store)],
        long: vec![script.factory(&store)],
    };
    let unsent = Unsent::new(1 << 20, false);
    let outbound = Outbound::new(false, WebhookMeters::none());
    let driver = Driver::new(
        &store,
        factories,
        &outbound,
        &own,
        unsent.pool(),
        &Histogram::noop(),
    );
    let gate = Gate::new(Rates::default(), own, store);
    let address = match listener.address() {
        Ok(Address::Tcp { address, .. }) => address,
        other => panic!("{other:?}"),
    };
    let door = Door::new(vec![listener], places.clone());
    let (stop, stopped) = watch::channel(false);
    let handler = Handler::Exchange(driver, Arc::new(AtomicUsize::new(1 << 20)));
    let server = Server {
        handler,
        gate,
        unsent: Arc::clone(&unsent),
        crowd,
        desk: None,
        meters: None,
        checkpoint: None,
    };
    tokio::spawn(run(door, server, stopped, Duration::ZERO));
    Served {
        address,
        places,
        script,
        unsent,
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

    /// Status of the next answer, read to its end; `None` if the connection ended.
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

/// With a store that hung, liveness probes failed, and the prober restarted each host.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn health_is_answered_while_every_instance_hangs() {
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

/// The server reset the connection, and the reset lost the answer.
#[tokio::test]
async fn a_client_refused_before_its_body_arrived_can_send_it_and_continue() {
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
    assert_eq!(served.places.left(), 0, "its own and the next one's");
    let mut second = Client::connect(&served).await;
    second.say(HEALTH).await;
    assert_eq!(second.status().await, Some(200));
    let mut third = Client::connect(&served).await;
    third.say(HEALTH).await;
    drop(first);
    assert_eq!(third.status().await, Some(200));
}

/// hyper drops one of the two fields, and a proxy in front may have used the other.
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

/// 200 idle connections of one address kept out probes and everything else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn probes_are_answered_while_all_places_are_taken() {
    let crowd = Crowd::new(None, Duration::from_secs(3600));
    let served = serve_crowd(Places::new(2, 1), crowd).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(&served).await;
        client.say("GET /block HTTP/1.1\r\nhost: a\r\n\r\n").await;
        busy.push(client);
    }
    while served.places.left() > 0 {
        tokio::task::yield_now().await;
    }
    for (path, expected) in [("/health", 200), ("/v1/stream/x", 503), ("/healthz", 200)] {
        let mut client = Client::connect(&served).await;
        client
            .say(&format!(
                "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
            ))
            .await;
        let status = timeout(PATIENCE, client.status()).await;
        assert_eq!(status, Ok(Some(expected)), "{path}");
        assert_eq!(timeout(PATIENCE, client.status()).await, Ok(None), "{path}");
    }
    served.script.open_gate();
}

#[tokio::test]
async fn idle_connections_are_closed_when_nearly_all_places_are_taken() {
    let crowd = Crowd::new(None, Duration::from_secs(3600));
    let served = serve_crowd(Places::new(10, 1), crowd).await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        let mut client = Client::connect(&served).await;
        client.say(HEALTH).await;
        assert_eq!(timeout(PATIENCE, client.status()).await, Ok(Some(200)));
        idle.push(client);
    }
    let first = timeout(PATIENCE, idle[0].status()).await;
    assert_eq!(first, Ok(None), "the oldest is closed");
    idle[29].say(HEALTH).await;
    assert_eq!(idle[29].status().await, Some(200), "the last is not");
}

#[tokio::test]
async fn an_address_has_only_its_share_and_its_oldest_idle_connection_ends_for_a_new_one() {
    let crowd = Crowd::new(Some(2), Duration::from_secs(3600));
    let served = serve_crowd(Places::new(10, 1), crowd).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&served).await;
        client.say(HEALTH).await;
        let status = timeout(PATIENCE, client.status()).await;
        assert_eq!(status, Ok(Some(200)));
        clients.push(client);
    }
    let open = clients.split_off(18);
    for mut client in clients {
        assert_eq!(timeout(PATIENCE, client.status()).await, Ok(None));
    }
    for mut client in open {
        client.say(HEALTH).await;
        let status = timeout(PATIENCE, client.status()).await;
        assert_eq!(status, Ok(Some(200)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let crowd = Crowd::new(None, Duration::from_millis(1));
    let served = serve_crowd(Places::new(10, 1), crowd).await;
    let mut busy = Client::connect(&served).await;
    busy.say("GET /block HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut idle = Client::connect(&served).await;
    assert_eq!(timeout(PATIENCE, idle.status()).await, Ok(None));
    served.script.open_gate();
    assert_eq!(
        timeout(PATIENCE, busy.status())
            .await
            .map(|status| status.is_some()),
        Ok(true)
    );
}

/// Silent HTTP/2 connections never answered the GOAWAY frame, and kept their places.
#[tokio::test]
async fn an_idle_http_2_connection_that_says_nothing_is_closed_too() {
    let crowd = Crowd::new(None, Duration::from_millis(1));
    let served = serve_crowd(Places::new(10, 1), crowd).await;
    let mut silent = Client::connect(&served).await;
    silent.say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    silent.0.write_all(&settings).await.expect("it is taken");
    let mut said = Vec::new();
    let ended = timeout(PATIENCE, silent.0.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "{said:?}");
}

/// 172 kB of requests on connections without an open window made the server hold 1.5 GB. Small
/// answers of such a connection must not wait for its large ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_takes_nothing_makes_the_server_hold_its_share_and_no_more() {
    let served = serve(10).await;
    let mut writer = Client::connect(&served).await;
    for (path, bytes) in [("/large", 1_000_000), ("/small", 10)] {
        let body = "x".repeat(bytes);
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        writer.say(&(head + &body)).await;
        assert_eq!(writer.status().await, Some(204));
    }
    let stream = TcpStream::connect(served.address)
        .await
        .expect("it listens");
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let handshake = builder
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await;
    let (mut requests, connection) = handshake.expect("a connection");
    tokio::spawn(connection);
    let mut get = |path: &str| {
        let request = hyper::Request::get(format!("http://a{path}")).body(Empty::new());
        requests.send_request(request.expect("a request"))
    };
    let mut unread: Vec<_> = (0..100).map(|_| tokio::spawn(get("/large"))).collect();
    let pool = served.unsent.pool();
    let held = || UNSENT - pool.left();
    while held() < UNSENT_OF_CONNECTION - (1 << 20) {
        tokio::task::yield_now().await;
    }
    let small = timeout(PATIENCE, get("/small"))
        .await
        .expect("it does not wait");
    assert_eq!(small.expect("an answer").status(), 200);
    // The connection's share, and one piece for the response that determines its own length.
    assert!(
        held() <= UNSENT_OF_CONNECTION + UNSENT_OF_EXCHANGE,
        "{}",
        held()
    );
    unread.drain(..).for_each(|task| task.abort());
}

/// Connects by TLS, and asks for the server's health.
async fn secure_health(address: SocketAddr, authority: &[u8]) -> Result<(), std::io::Error> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority).expect("a certificate");
    roots.add(certificate).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("a.example").expect("a name");
    let stream = TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(HEALTH.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    assert_eq!(&status, b"HTTP/1.1 200");
    Ok(())
}

/// Handshakes must neither hold up the accept loop nor escape the limits on connections.
#[tokio::test]
async fn a_handshake_counts_as_a_connection_and_holds_up_no_other() {
    let pair = crate::net::tls::tests::pair("a.example");
    let (_directory, files) = pair.write();
    let certificates = Certificates::load(files).expect("a good pair");
    let at = Listen::Tcp(([127, 0, 0, 1], 0).into());
    let listener = Listener::bind(&at, Some(&certificates))
        .await
        .expect("a free port");
    let crowd = Crowd::new(Some(3), Duration::from_secs(3600));
    let served = serve_listener(listener, Places::new(10, 1), crowd).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Client::connect(&served).await);
    }
    while served.places.left() > 6 {
        tokio::task::yield_now().await;
    }
    let asked = secure_health(served.address, pair.certificate.as_bytes());
    let asked = timeout(PATIENCE, asked).await.expect("it does not wait");
    asked.expect("an answer");
    let ended = timeout(PATIENCE, silent[0].0.read_u8()).await;
    assert!(ended.expect("the oldest is ended").is_err());
    let waits = silent[2].0.read_u8().now_or_never();
    assert!(waits.is_none(), "another has its place");
}
