//! What the suites share: a provider that does what a test says, packs, and a gateway on port 0.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use policy_config::ConfigDigest;
use policy_config::schema::{
    DetectAction, MarkerFormat, Pack, PiiAction, PiiDetector, PolicyConfig, PolicyMode, PolicySettings,
    PromptInjection, Provider, ProviderTarget, Providers, RoutingStrategy, SecretKeyRef,
};
use policy_engine::{Engine, Secret, Secrets};
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger, DrainWatcher};
use service_kit::readiness::Readiness;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

use crate::activation::live::{ActivePolicy, LivePolicy};
use crate::decisions::DecisionLog;
use crate::proxy::{BoundProxy, Heir, Proxy, ProxySettings};

pub(super) type ProviderBody = UnsyncBoxBody<Bytes, std::io::Error>;
pub(super) type Handled = Pin<Box<dyn Future<Output = Response<ProviderBody>> + Send>>;

/// A request as the provider got it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// With its query.
    pub(super) path: String,
    pub(super) version: http::Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A provider that answers by a function of the test's.
pub(super) struct ScriptedProvider {
    pub(super) base_url: String,
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections it has accepted.
    pub(super) met: Arc<AtomicUsize>,
    /// Those of them that are open.
    pub(super) open: Arc<AtomicUsize>,
}

pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) live: LivePolicy,
    pub(super) trigger: DrainTrigger,
    pub(super) heir: Heir,
    /// Of the engine over large bodies.
    pub(super) turns: Arc<Semaphore>,
    /// For requests in flight.
    pub(super) places: Arc<Semaphore>,
    /// Of memory for bodies.
    pub(super) shares: Arc<Semaphore>,
    log: PathBuf,
    _directory: tempfile::TempDir,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

pub(super) const PROVIDER_KEY: &str = "sk-canary-provider-key";

// === impl ScriptedProvider ===

impl ScriptedProvider {
    pub(super) async fn start(answer: impl Fn(Seen) -> Handled + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let met = Arc::new(AtomicUsize::new(0));
        let (kept, answer, accepted) = (Arc::clone(&seen), Arc::new(answer), Arc::clone(&met));
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        test_watcher().spawn("provider", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                let counted = Arc::clone(&counted);
                counted.fetch_add(1, Ordering::SeqCst);
                test_watcher().spawn("provider connection", async move {
                    serve_provider(stream, kept, answer).await;
                    counted.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { base_url, seen, met, open }
    }

    /// Answers every request with this status and JSON.
    pub(super) async fn fixed(status: u16, body: &'static str) -> Self {
        Self::start(move |_| Box::pin(async move { json_response(status, body) })).await
    }

    pub(super) fn calls(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Serves one provider connection; also used beneath TLS.
pub(super) async fn serve_provider<S>(
    stream: S,
    kept: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<impl Fn(Seen) -> Handled + Send + Sync + 'static>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            let seen = Seen { path, version: head.version, headers: head.headers, body };
            kept.lock().unwrap().push(seen.clone());
            Ok::<_, Infallible>(answer(seen).await)
        }
    });
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

pub(super) fn json_response(status: u16, body: &'static str) -> Response<ProviderBody> {
    let body = Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {});
    let builder = Response::builder().status(status).header("content-type", "application/json");
    builder.body(body.boxed_unsync()).unwrap()
}

/// A server-sent event stream that the test feeds.
pub(super) fn event_stream(pieces: mpsc::Receiver<std::io::Result<Bytes>>) -> Response<ProviderBody> {
    use tokio_stream::StreamExt;
    let frames = tokio_stream::wrappers::ReceiverStream::new(pieces).map(|piece| piece.map(Frame::data));
    let builder = Response::builder().header("content-type", "text/event-stream; charset=utf-8");
    builder.body(BodyExt::boxed_unsync(StreamBody::new(frames))).unwrap()
}

pub(super) const FIRST_PIECE: &str = "event: ping\ndata: {}\n\n";

/// Answers each request with a stream of one piece so far, and lets the test feed the rest.
pub(super) async fn fed_provider() -> (ScriptedProvider, mpsc::Receiver<mpsc::Sender<std::io::Result<Bytes>>>)
{
    let (feeding, feeds) = mpsc::channel(4);
    let provider = ScriptedProvider::start(move |_| {
        let feeding = feeding.clone();
        Box::pin(async move {
            let (sender, pieces) = mpsc::channel(2);
            sender.send(Ok(FIRST_PIECE.into())).await.unwrap();
            feeding.send(sender).await.unwrap();
            event_stream(pieces)
        })
    })
    .await;
    (provider, feeds)
}

pub(super) const COMPLETION: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;

pub(super) fn chat(text: &str) -> String {
    serde_json::json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string()
}

// === packs ===

pub(super) fn target(base_url: &str) -> ProviderTarget {
    ProviderTarget {
        secret_key_ref: Some(SecretKeyRef::Env("TEST_API_KEY".to_owned())),
        timeout: Duration::from_secs(20),
        ..ProviderTarget::new("primary", Provider::OpenAiCompatible, "m", base_url)
    }
}

pub(super) fn config(version: &str, target: ProviderTarget) -> PolicyConfig {
    PolicyConfig {
        pack: Pack {
            name: "test".parse().unwrap(),
            version: version.parse().unwrap(),
            enabled: true,
            description: None,
            author: None,
        },
        providers: Providers {
            targets: vec![target],
            routing: RoutingStrategy::Ordered,
            fallback: Default::default(),
            circuit_breaker: Default::default(),
        },
        budget: policy_config::schema::settings::DEFAULT_BUDGET,
        policies: vec![PolicySettings::PromptInjection(PromptInjection {
            mode: PolicyMode::Enforce,
            action: DetectAction::Block,
            message: "Request blocked".to_owned(),
            attack_patterns: Vec::new(),
        })],
    }
}

/// Two or more targets for one model, by the names `t0`, `t1` and so on.
pub(super) fn several(version: &str, base_urls: &[&str]) -> PolicyConfig {
    let mut pack = config(version, target("http://127.0.0.1:1"));
    let named = |(index, base_url): (usize, &&str)| ProviderTarget {
        id: policy_config::schema::TargetId(format!("t{index}")),
        ..target(base_url)
    };
    pack.providers.targets = base_urls.iter().enumerate().map(named).collect();
    pack
}

/// With a policy that reads requests and responses.
pub(super) fn redacting(version: &str, target: ProviderTarget) -> PolicyConfig {
    let mut config = config(version, target);
    config.policies.push(PolicySettings::PiiDetector(PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: false,
        detect_patterns: Default::default(),
        marker_format: MarkerFormat::Label,
        custom_markers: Default::default(),
    }));
    config
}

pub(super) fn active(config: &PolicyConfig) -> Arc<ActivePolicy> {
    let mut secrets = Secrets::new();
    for target in &config.providers.targets {
        secrets.insert(target.id.clone(), Secret::new(PROVIDER_KEY.to_owned()));
    }
    active_with(config, secrets)
}

pub(super) fn active_with(config: &PolicyConfig, secrets: Secrets) -> Arc<ActivePolicy> {
    let version = config.pack.version.clone();
    let digest = ConfigDigest::of(version.to_string().as_bytes());
    let engine = Engine::compile(config, secrets).unwrap();
    Arc::new(ActivePolicy::new(engine, version, digest, Vec::new()))
}

// === impl Gateway ===

impl Gateway {
    pub(super) async fn start(config: &PolicyConfig) -> Self {
        Self::with(Some(active(config)), ProxySettings::default()).await
    }

    pub(super) async fn with(policy: Option<Arc<ActivePolicy>>, settings: ProxySettings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("decisions.jsonl");
        let (trigger, watcher) = drain::channel();
        let live = LivePolicy::empty();
        if let Some(policy) = policy {
            live.swap(policy);
        }
        let decisions = DecisionLog::open(&log, &watcher).unwrap();
        let proxy = Proxy::new(settings, live.clone(), Readiness::new(), decisions, Clock::system()).unwrap();
        let shares = Arc::clone(&proxy.body_budget.shares);
        let (turns, places) = (Arc::clone(&proxy.turns), Arc::clone(&proxy.in_flight));
        let bound = BoundProxy::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (address, heir) = (bound.address(), bound.heir());
        let told = watcher.clone();
        watcher.spawn("proxy", bound.serve(Arc::new(proxy), told));
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { address, live, trigger, heir, turns, places, shares, log, _directory: directory, client }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder().method(method).uri(format!("http://{}{path}", self.address))
    }

    pub(super) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.unwrap()
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (head, body) = self.open(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }

    pub(super) async fn post(&self, body: impl Into<Bytes>) -> Answer {
        self.send(self.chat_request(body)).await
    }

    pub(super) fn chat_request(&self, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        self.request("POST", "/v1/chat/completions").body(Full::new(body.into())).unwrap()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path).body(Full::default()).unwrap()).await
    }

    /// Stops the gateway and gives its decision events.
    pub(super) async fn decisions(self) -> Vec<serde_json::Value> {
        drop(self.client);
        self.trigger.start();
        self.trigger.drained(Duration::from_secs(20)).await.unwrap();
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Status, `error.type` and `error.code`.
    pub(super) fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |name: &str| json["error"][name].as_str().unwrap_or_default().to_owned();
        (self.status.as_u16(), text("type"), text("code"))
    }
}

pub(super) fn refused(status: u16, kind: &str, code: &str) -> (u16, String, String) {
    (status, kind.to_owned(), code.to_owned())
}

/// Waits until the condition holds; a test that waits in vain fails with the name of what it awaited.
pub(super) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// For the tasks of the test itself, which nobody drains.
pub(super) fn test_watcher() -> DrainWatcher {
    drain::channel().1
}
