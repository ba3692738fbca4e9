//! A small HTTP client for talking to gateways and the fake provider: whole answers and streams.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// How long a test waits for any one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A pooled client.
#[derive(Clone)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An answer whose body still flows.
#[derive(Debug)]
pub struct Flow {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
}

// === impl Http ===

impl Http {
    pub fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// HTTP/2 by prior knowledge, all requests on one connection.
    pub fn two() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).http2_only(true).build_http() }
    }

    pub async fn get(&self, url: &str) -> anyhow::Result<Answer> {
        self.open(Request::get(url).body(Full::default())?).await?.whole().await
    }

    /// Posts JSON and waits for the whole answer.
    pub async fn post(&self, url: &str, body: &Value) -> anyhow::Result<Answer> {
        self.start(url, body).await?.whole().await
    }

    /// Posts JSON and answers as soon as the head is there.
    pub async fn start(&self, url: &str, body: &Value) -> anyhow::Result<Flow> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(serde_json::to_vec(body)?)))?;
        self.open(request).await
    }

    /// Sends any request.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Flow> {
        let url = request.uri().to_string();
        let response = tokio::time::timeout(PATIENCE, self.client.request(request))
            .await
            .map_err(|_| anyhow::anyhow!("{url} did not answer within {PATIENCE:?}"))??;
        let (head, body) = response.into_parts();
        Ok(Flow { status: head.status, headers: head.headers, body })
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Answer ===

impl Answer {
    pub fn json(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `x-kt-config-version`.
    pub fn version(&self) -> Option<&str> {
        config_version(&self.headers)
    }
}

// === impl Flow ===

impl Flow {
    /// `x-kt-config-version`.
    pub fn version(&self) -> Option<&str> {
        config_version(&self.headers)
    }

    /// The next bytes of the body; `None` at its end.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame())
                .await
                .map_err(|_| anyhow::anyhow!("the body stood still for {PATIENCE:?}"))?;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    pub async fn whole(mut self) -> anyhow::Result<Answer> {
        let mut body = Vec::new();
        while let Some(bytes) = self.next().await? {
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: body.into() })
    }
}

/// A chat request for the model of the example packs.
pub fn chat(text: &str) -> Value {
    json!({ "model": "gpt-5.4-mini-mini", "messages": [{ "role": "user", "content": text }] })
}

/// A streamed chat request that takes `chunks` pieces `delay_ms` apart.
pub fn slow_stream(text: &str, chunks: u32, delay_ms: u32) -> Value {
    json!({
        "model": "gpt-5.4-mini-mini",
        "stream": true,
        "messages": [{ "role": "user", "content": text }],
        "x_fake": { "chunks": chunks, "chunk_delay_ms": delay_ms },
    })
}

fn config_version(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-kt-config-version").and_then(|value| value.to_str().ok())
}
