use super::*;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The certificates are valid for a hundred years from 2020. `authority.pem` signed `worker.pem`
/// for the name `worker.example`; `stranger.pem` signed nothing.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/tls/", $name))
    };
}

/// Body of the requests to a worker.
const BODY: &[u8] = b"wake";

fn address(text: &str) -> SocketAddr {
    format!("{text}:443").parse().expect("an address")
}

#[test]
fn a_name_with_any_address_that_is_not_public_is_refused() {
    let target = url::judge("https://worker.example/", false).expect("a URL");
    let chosen = |all: &[&str]| choose(&target, all.iter().map(|one| address(one)).collect());
    assert_eq!(chosen(&["8.8.8.8"]).expect("public"), address("8.8.8.8"));
    assert_eq!(
        chosen(&["[2606:4700::1]", "8.8.8.8"]).expect("public"),
        address("8.8.8.8")
    );
    for all in [
        &["127.0.0.1"][..],
        &["8.8.8.8", "10.0.0.1"],
        &["8.8.8.8", "[::1]"],
        &["[::ffff:10.0.0.1]"],
        &["169.254.169.254"],
        &["[64:ff9b::a00:1]"],
        &[],
    ] {
        assert!(chosen(all).is_err(), "{all:?}");
    }
}

#[test]
fn localhost_is_this_machine_only() {
    let target = url::judge("http://localhost:80/", true).expect("a URL");
    let chosen = |text| choose(&target, vec![address(text)]);
    assert!(chosen("127.0.0.1").is_ok() && chosen("[::1]").is_ok());
    assert!(chosen("8.8.8.8").is_err() && chosen("10.0.0.1").is_err());
}

#[tokio::test]
async fn a_url_that_a_webhook_may_not_have_is_not_even_resolved() {
    let client = Outbound::new(false, WebhookMeters::none());
    let headers = HeaderMap::new();
    let sent = client.send(Method::POST, "http://127.0.0.1:9/", &headers, Bytes::new());
    assert!(matches!(sent.await, Err(OutboundError::Url(_))));
}

fn certificate(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).expect("a certificate")
}

/// Serves one request over TLS as `worker.example`.
async fn worker() -> SocketAddr {
    let key = PrivateKeyDer::from_pem_slice(pem!("worker.key")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate(pem!("worker.pem"))], key)
        .expect("the key fits the certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        // A client that does not trust the certificate ends the connection here.
        let Ok(mut stream) = acceptor.accept(stream).await else {
            return;
        };
        let mut asked = Vec::new();
        while !asked.ends_with(BODY) {
            let read = stream.read_buf(&mut asked).await.expect("a request");
            assert_ne!(read, 0, "the request ended early");
        }
        let length = asked.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("sent");
        stream.write_all(&asked).await.expect("sent");
    });
    address
}

/// Posts to a worker at a local address, as if its name resolved to that address. Returns the
/// request that the worker received.
async fn post_to_worker(url: &str, authority: &[u8]) -> Result<String, OutboundError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(authority)).expect("an authority");
    let client = Outbound::trusting(roots, false, WebhookMeters::none());
    let target = url::judge(url, false)?;
    let body = Bytes::from_static(BODY);
    let request = request(Method::POST, &target, &HeaderMap::new(), body)?;
    let response = client.send_to(worker().await, &target, request).await?;
    let asked = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&asked).into_owned())
}

#[tokio::test]
async fn https_reaches_only_servers_with_a_certificate_for_the_name() {
    let authority = pem!("authority.pem");
    let asked = post_to_worker("https://worker.example/hook?x=1", authority).await;
    let asked = asked.expect("an answer");
    assert!(asked.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: worker.example\r\n"), "{asked}");
    assert!(asked.ends_with("\r\n\r\nwake"), "{asked}");
    for (url, authority) in [
        ("https://other.example/hook", &authority[..]),
        ("https://worker.example/hook", pem!("stranger.pem")),
    ] {
        let refused = post_to_worker(url, authority).await;
        assert!(matches!(refused, Err(OutboundError::Io(_))), "{refused:?}");
    }
}

/// 64 deliveries to one receiver that did not respond kept all others waiting.
#[tokio::test]
async fn a_receiver_that_does_not_answer_keeps_no_other_waiting() {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (slow, quick) = (listen().await, listen().await);
    let (slow, quick) = (slow.expect("a free port"), quick.expect("a free port"));
    let url = |listener: &TcpListener| {
        let address = listener.local_addr().expect("its address");
        format!("http://{address}/")
    };
    let client = Outbound::new(true, WebhookMeters::none());
    let post = |url: String| {
        let client = Arc::clone(&client);
        let patience = Duration::from_secs(60);
        async move {
            let headers = HeaderMap::new();
            client.post(&url, &headers, Bytes::new(), patience).await
        }
    };
    let _waits: Vec<_> = (0..64).map(|_| tokio::spawn(post(url(&slow)))).collect();
    let mut taken = Vec::new();
    for _ in 0..16 {
        taken.push(slow.accept().await.expect("a connection"));
    }
    let to_quick = url(&quick);
    tokio::spawn(async move {
        let (mut stream, _) = quick.accept().await.expect("a connection");
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(answer).await.expect("sent");
        // Waits until the client has the response.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let answered = post(to_quick).await.expect("an answer");
    assert_eq!(answered.status, StatusCode::NO_CONTENT);
}
