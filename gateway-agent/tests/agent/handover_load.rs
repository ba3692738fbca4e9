//! A restart under load: no connection refused, no request failed, no stream cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fake_provider::FakeProvider;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use service_kit::drain::{self, DrainWatcher};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::installed::Installed;
use crate::support::{eventually, pack};

/// What clients saw.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    unary: AtomicUsize,
    fresh: AtomicUsize,
    streams: AtomicUsize,
}

const KEPT_ALIVE: usize = 8;
const STREAMS: usize = 10;
const CHUNKS: usize = 20;
/// Fresh connections: one each.
const EVERY: Duration = Duration::from_millis(5);

fn chat(stream: bool) -> Value {
    let script = if stream { json!({"chunks": CHUNKS, "chunk_delay_ms": 50}) } else { json!({}) };
    let words = "one two three four five six seven eight nine ten eleven twelve";
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": words}], "x_fake": script})
}

fn request(url: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::post(format!("{url}/v1/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}

/// A client that does not try again by itself.
fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http()
}

async fn unary(url: String, seen: Arc<Seen>) {
    let client = client();
    while !seen.stop.load(Ordering::Relaxed) {
        let response =
            client.request(request(&url, &chat(false))).await.expect("a kept connection is not cut");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.expect("the whole answer").to_bytes();
        assert!(serde_json::from_slice::<Value>(&body).unwrap()["choices"][0]["message"].is_object());
        seen.unary.fetch_add(1, Ordering::Relaxed);
    }
}

async fn stream(url: String, seen: Arc<Seen>) {
    while !seen.stop.load(Ordering::Relaxed) {
        let response = client().request(request(&url, &chat(true))).await.expect("a stream begins");
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.expect("a stream ends whole").to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
        seen.streams.fetch_add(1, Ordering::Relaxed);
    }
}

async fn fresh(gateway: Arc<Installed>, seen: Arc<Seen>, drain: DrainWatcher) {
    while !seen.stop.load(Ordering::Relaxed) {
        let (address, seen) = (gateway.address, seen.clone());
        drain.spawn("fresh connection", async move {
            let mut stream = TcpStream::connect(address).await.expect("never refused");
            let ask = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(ask).await.expect("never reset");
            let mut text = String::new();
            stream.read_to_string(&mut text).await.expect("never reset");
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
            seen.fresh.fetch_add(1, Ordering::Relaxed);
        });
        tokio::time::sleep(EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_takes_over_under_load_and_nobody_notices() {
    let (trigger, drain) = drain::channel();
    let provider = FakeProvider::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let target = format!("http://{}", provider.addr);
    drain.spawn("provider", provider.serve(drain.clone()));
    let source = String::from_utf8(pack("0.1.0")).unwrap().replace("http://127.0.0.1:9", &target);
    let gateway = Arc::new(Installed::with(source.as_bytes(), "0.1.0"));
    let mut serving = gateway.launch(&[]);
    gateway.until_steers(&mut serving).await;

    let seen = Arc::new(Seen::default());
    let url = format!("http://{}", gateway.address);
    let (clients_trigger, clients) = drain::channel();
    let mut tasks = vec![clients.spawn("fresh", fresh(gateway.clone(), seen.clone(), clients.clone()))];
    tasks.extend((0..KEPT_ALIVE).map(|_| clients.spawn("unary", unary(url.clone(), seen.clone()))));
    tasks.extend((0..STREAMS).map(|_| clients.spawn("stream", stream(url.clone(), seen.clone()))));
    let more = async |count: &AtomicUsize, by: usize| {
        let before = count.load(Ordering::Relaxed);
        eventually("clients go on", || match count.load(Ordering::Relaxed) {
            now if now >= before + by => Ok(()),
            now => Err(now),
        })
        .await;
    };
    more(&seen.streams, 1).await;
    for _ in 0..2 {
        let mut newcomer = gateway.launch(&["--take-over"]);
        gateway.until_steers(&mut newcomer).await;
        more(&seen.fresh, 20).await;
        serving.signal(Signal::SIGTERM);
        // While the old one drains.
        more(&seen.fresh, 20).await;
        more(&seen.unary, 20).await;
        let status = serving.until_ended().await;
        assert!(status.success(), "{status}: {}", serving.log());
        assert!(serving.log().trim_end().ends_with("stopped"), "{}", serving.log());
        serving = newcomer;
    }
    seen.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("no client saw a failure");
    }
    clients_trigger.drained(Duration::from_secs(30)).await.unwrap();
    let count = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    assert!(count(&seen.streams) >= STREAMS && count(&seen.fresh) > 100);
    assert!(serving.end().await.success());
    trigger.start();
}
