//! The provider over a real connection: paced streams, faults, the key, what it received.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use fake_provider::{Bound, FakeProvider, Received};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use service_kit::drain::{self, DrainTrigger, DrainWatcher};
use tokio::net::TcpStream;

struct Running {
    addr: SocketAddr,
    received: Received,
    watcher: DrainWatcher,
    _trigger: DrainTrigger,
}

async fn bound() -> Bound {
    FakeProvider::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap()
}

fn serve(bound: Bound) -> Running {
    let (trigger, watcher) = drain::channel();
    let running =
        Running { addr: bound.addr, received: bound.received(), watcher: watcher.clone(), _trigger: trigger };
    let serving = watcher.clone();
    watcher.spawn("provider", async move { bound.serve(serving).await });
    running
}

impl Running {
    /// Status and body; `None` where the connection broke off.
    async fn call(&self, path: &str, key: &str, body: Option<Value>) -> (StatusCode, Option<String>) {
        let stream = TcpStream::connect(self.addr).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        self.watcher.spawn("client connection", async move { connection.await.ok() });
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = Full::new(Bytes::from(body.map(|body| body.to_string()).unwrap_or_default()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "fake")
            .header("authorization", key)
            .body(body);
        let response = sender.send_request(request.unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.ok();
        (status, body.map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap()))
    }
}

fn ask(extra: Value) -> Option<Value> {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    request.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Some(request)
}

const CHAT: &str = "/v1/chat/completions";

#[tokio::test]
async fn it_answers_whole_and_streamed_and_tells_what_it_received() {
    let running = serve(bound().await);
    let (status, body) = running.call(CHAT, "Bearer k", ask(json!({}))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.unwrap().contains("You said: hello"));
    let script = json!({"stream": true, "x_fake": {"chunks": 3, "chunk_delay_ms": 1, "reply": "abcdef"}});
    let (_, body) = running.call(CHAT, "Bearer k", ask(script)).await;
    let body = body.unwrap();
    assert!(body.contains(r#""content":"ab""#) && body.ends_with("data: [DONE]\n\n"), "{body}");
    let (_, listed) = running.call("/__received", "", None).await;
    let listed: Value = serde_json::from_str(&listed.unwrap()).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[1]["headers"]["authorization"], "present (8 bytes)");
    assert_eq!(listed[0]["body"].as_str().unwrap(), running.received.all()[0].body);
    let (status, models) = running.call("/v1/models", "", None).await;
    assert!(status == StatusCode::OK && models.unwrap().contains("fake-slow"));
}

#[tokio::test]
async fn faults_come_when_asked_for() {
    let running = serve(bound().await);
    let (status, _) = running.call(CHAT, "", ask(json!({"x_fake": {"status": 429}}))).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let (_, body) = running.call(CHAT, "", ask(json!({"stream": true, "x_fake": {"break_after": 2}}))).await;
    assert_eq!(body, None);
    let (status, _) = running.call(CHAT, "", ask(json!({"x_fake": {"nonsense": 1}}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = running.call("/v1/elsewhere", "", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_required_key_is_required_exactly() {
    let running = serve(bound().await.require_key("sk-right"));
    for (key, expected) in [
        ("Bearer sk-right", StatusCode::OK),
        ("Bearer sk-wrong", StatusCode::UNAUTHORIZED),
        ("sk-right", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(running.call(CHAT, key, ask(json!({}))).await.0, expected, "{key}");
    }
}

#[tokio::test]
async fn every_api_is_spoken_at_its_path_and_a_fault_may_pass() {
    let running = serve(bound().await.require_key("sk-right"));
    let text = json!({"model": "m", "input": "hello", "prompt": "hello",
        "messages": [{"role": "user", "content": "hello"}]});
    for (path, holds) in [
        ("/v1/completions", r#""text":"You said: hello""#),
        ("/v1/embeddings", r#""embedding":["#),
        ("/v1/responses", r#""object":"response""#),
        ("/v1/messages", r#""type":"message""#),
        ("/openai/v1/chat/completions", r#""object":"chat.completion""#),
        ("/openai/deployments/d/embeddings?api-version=1", r#""embedding":["#),
    ] {
        let (status, body) = running.call(path, "Bearer sk-right", Some(text.clone())).await;
        assert!(status == StatusCode::OK && body.as_ref().unwrap().contains(holds), "{path}: {body:?}");
    }
    assert!(running.received.last().unwrap().path.ends_with("?api-version=1"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let script = json!({"x_fake": {"status": 503, "times": 2, "name": "twice"}});
        statuses.push(running.call(CHAT, "Bearer sk-right", ask(script)).await.0.as_u16());
    }
    assert_eq!(statuses, [503, 503, 200]);
}
