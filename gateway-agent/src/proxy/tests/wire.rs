//! Malformed, slow and hostile HTTP, byte by byte over a raw socket.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{COMPLETION, Gateway, ScriptedProvider, active, chat, config, target};
use crate::proxy::{ProxySettings, ProxyTimeouts};

/// Sends the text and reads until the gateway closes.
pub(super) async fn exchange(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    read_to_end(&mut stream).await
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes));
    let _ =
        reading.await.unwrap_or_else(|_| panic!("still open after {:?}", String::from_utf8_lossy(&bytes)));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The announced length is that of the body, and the body is an error of this code.
pub(super) fn is_whole_error(answer: &str, code: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
    assert_eq!(length.parse(), Ok(body.len()), "{answer}");
    let error: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert_eq!(error["error"]["code"], code, "{answer}");
}

async fn gateway() -> (Gateway, ScriptedProvider) {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    (Gateway::start(&config("0.1.0", target(&provider.base_url))).await, provider)
}

#[tokio::test]
async fn heads_that_can_be_read_in_two_ways_are_refused() {
    let (gateway, provider) = gateway().await;
    let body = chat("hi");
    let length = body.len();
    for (name, text) in [
        ("garbage", "\u{1}\u{2}\u{3}\r\n\r\n".to_owned()),
        ("no version", "GET /healthz\r\nhost: x\r\n\r\n".to_owned()),
        ("no host", "GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned()),
        ("two hosts", "GET /v1/models HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n".to_owned()),
        ("two targets", "GET http://a/v1/models HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n".to_owned()),
        ("space in name", "GET /v1/models HTTP/1.1\r\nhost : x\r\n\r\n".to_owned()),
        ("folded", "GET /v1/models HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n".to_owned()),
        ("bare line feeds", "GET /v1/models HTTP/1.1\nhost: x\nconnection: close\n\n".to_owned()),
        (
            "one bare line feed",
            "GET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            "a bare line feed in the head behind another request",
            "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nx-a: b\nconnection: close\r\n\r\n".to_owned(),
        ),
        (
            "a chunk beyond all numbers",
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "a chunk size with a bare line feed",
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\n{}\r\n0\r\n\r\n".to_owned(),
        ),
        (
            "two lengths",
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\ncontent-length: 1\r\n\r\n{body}"),
        ),
        (
            "bad length",
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: +{length}\r\n\r\n{body}"),
        ),
        (
            "coding that is not chunked",
            format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n{body}"),
        ),
        (
            "bad chunk",
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".to_owned(),
        ),
    ] {
        let answer = exchange(gateway.address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
        assert!(!answer.contains("panicked"));
    }
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn a_smuggled_request_is_not_served() {
    let (gateway, provider) = gateway().await;
    let body = chat("hi");
    let text = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: {}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
        body.len() + 4,
        body.len()
    );
    let answer = exchange(gateway.address, &text).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    is_whole_error(&answer, "invalid_head");
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn tunnels_and_upgrades_are_refused() {
    let (gateway, _provider) = gateway().await;
    let tunnel = exchange(
        gateway.address,
        "CONNECT 127.0.0.1:80 HTTP/1.1\r\nhost: 127.0.0.1:80\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(tunnel.starts_with("HTTP/1.1 404 "), "{tunnel}");
    let upgrade = exchange(gateway.address, "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: a\r\n\r\n").await;
    assert!(upgrade.starts_with("HTTP/1.1 200 "), "an upgrade is ignored: {upgrade}");
}

#[tokio::test]
async fn heads_over_the_limits_are_431() {
    let (gateway, _provider) = gateway().await;
    for count in [99, 500] {
        let headers: String = (0..count).map(|number| format!("x-{number}: 1\r\n")).collect();
        let text = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        let answer = exchange(gateway.address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{count}: {answer}");
        assert_eq!(answer.contains("x-kt-request-id"), count == 99);
    }
    for size in [33 * 1024, 70 * 1024] {
        let text = format!(
            "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {}\r\n\r\n",
            "a".repeat(size)
        );
        let answer = exchange(gateway.address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{size}: {answer}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_counted_as_it_comes() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let settings = ProxySettings { max_body: 1024, ..ProxySettings::default() };
    let gateway = Gateway::with(Some(policy), settings).await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let text = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );
    let answer = exchange(gateway.address, &text).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("body_too_large"), "{answer}");
    let waiting = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 4096\r\nexpect: 100-continue\r\n\r\n";
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(waiting.as_bytes()).await.unwrap();
    let mut first = [0u8; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 413", "refused without asking for the body");
}

#[tokio::test]
async fn trailers_end_at_the_gateway_and_the_next_request_is_its_own() {
    let (gateway, provider) = gateway().await;
    let body = chat("hi");
    let text = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntrailer: x-late\r\n\r\n{:x}\r\n{body}\r\n0\r\nx-late: 1\r\nauthorization: Bearer smuggled\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = exchange(gateway.address, &text).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    let [seen] = &provider.calls()[..] else { panic!("one call") };
    assert_eq!(seen.body, body);
    assert!(
        !seen.headers.contains_key("x-late") && !seen.headers.contains_key("trailer"),
        "{:?}",
        seen.headers
    );
    assert_ne!(seen.headers["authorization"], "Bearer smuggled");
}

#[tokio::test]
async fn who_is_told_to_go_on_and_sends_nothing_is_given_up() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let timeouts = ProxyTimeouts { body_read: Duration::from_millis(200), ..ProxyTimeouts::default() };
    let gateway = Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await;
    let answer = exchange(
        gateway.address,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 "), "{answer}");
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn requests_in_one_packet_are_answered_in_order() {
    let (gateway, _provider) = gateway().await;
    let body = chat("hi");
    let text = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}GET /nothing HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let answer = exchange(gateway.address, &text).await;
    let statuses: Vec<_> =
        answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "404", "200"], "{answer}");
}

#[tokio::test]
async fn slow_heads_and_idle_connections_end_and_kept_alive_ones_rest() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let timeouts = ProxyTimeouts {
        header_read: Duration::from_millis(150),
        idle: Duration::from_millis(900),
        ..ProxyTimeouts::default()
    };
    let gateway = Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await;

    let started = tokio::time::Instant::now();
    let late = exchange(gateway.address, "POST /v1/chat/comp").await;
    assert!(late.starts_with("HTTP/1.1 408 ") && late.contains("connection: close"), "{late}");
    is_whole_error(&late, "head_timeout");
    assert!(started.elapsed() < Duration::from_millis(800), "a head has the shorter time");

    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for _ in 0..2 {
        stream.write_all(ask).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed instead of answered");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        // Longer than a head may take, shorter than a connection may rest.
        let open = tokio::time::timeout(Duration::from_millis(300), stream.read_u8()).await;
        assert!(open.is_err(), "a resting connection was closed");
    }
    assert_eq!(read_to_end(&mut stream).await, "", "and ends when it rests too long");
    assert_eq!(exchange(gateway.address, "").await, "");
}

#[tokio::test]
async fn http2_by_prior_knowledge_is_spoken() {
    let (gateway, _provider) = gateway().await;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for (path, status) in [("/v1/chat/completions", 200), ("/v1/chat/completions/", 404)] {
        let request = gateway.request("POST", path).body(Full::from(chat("hi"))).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.version(), http::Version::HTTP_2);
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["x-kt-config-version"], "0.1.0");
        response.into_body().collect().await.unwrap();
    }
}

/// Set in the process of one test.
const ALONE: &str = "KT_TEST_ALONE";

async fn serve_without_descriptors() {
    const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (gateway, _provider) = gateway().await;
    let last = std::fs::File::open("/dev/null").unwrap();
    let mut idle = Vec::new();
    // Ends when not even the client gets a descriptor; by then the gateway cannot accept either.
    while let Ok(stream) = TcpStream::connect(gateway.address).await {
        idle.push(stream);
        assert!(idle.len() < 1000, "the descriptor limit is not in force");
    }
    // It goes to this client; the gateway has none for it.
    drop(last);
    let mut waiting = TcpStream::connect(gateway.address).await.unwrap();
    waiting.write_all(ASK).await.unwrap();
    let answer = read_to_end(&mut waiting).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    is_whole_error(&answer, "overloaded");
    drop(waiting);
    idle.clear();
    let serves_again = async {
        loop {
            let mut stream = TcpStream::connect(gateway.address).await.unwrap();
            stream.write_all(ASK).await.unwrap();
            if read_to_end(&mut stream).await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), serves_again).await.expect("it serves again");
}

#[test]
fn descriptors_may_run_out() {
    alone("proxy::tests::wire::descriptors_may_run_out", 48, serve_without_descriptors);
}

/// Runs a test in a process of its own, because descriptors are counted by process.
pub(super) fn alone<F: Future<Output = ()>>(name: &str, descriptors: u32, body: impl FnOnce() -> F) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(body());
    }
    let test = std::env::current_exe().unwrap();
    let limited = format!("ulimit -n {descriptors} && exec '{}' --exact {name} --nocapture", test.display());
    let output = std::process::Command::new("sh").args(["-c", &limited]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}
