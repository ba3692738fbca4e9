//! The call to a provider: pooled clients, their deadlines, and what can go wrong in words.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use policy_config::schema::{FallbackTrigger, Provider};
use policy_engine::{Endpoint, Target};
use tokio::time::Instant;
use tower::Service;

use super::resolver::{MetadataAddress, ProviderResolver};
use super::targets::{METADATA, Station, Transport};

/// How long a provider connection without a request is kept.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// Provider connections without a request that are kept, per host.
const POOL_IDLE_PER_HOST: usize = 512;
/// A silent HTTP/2 provider connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// What a client of Anthropic's API that does not say so was written for.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

type ProviderClient = Client<Bounded<HttpsConnector<HttpConnector<ProviderResolver>>>, Full<Bytes>>;

/// The provider connections of one gateway, or of one of its workers: keep-alive, HTTP/1.1 or HTTP/2 by ALPN, no
/// redirects. Costs nothing until it is used; what is costly (certificates) is in the [`Transport`]s, which are shared.
#[derive(Default)]
pub(super) struct Upstream {
    /// One for each transport in use. Those that no pack uses any more go when another comes.
    clients: RwLock<Vec<(Weak<Transport>, ProviderClient)>>,
}

/// Why a provider gave no usable answer. The texts are for clients: they name the target and never
/// an address, a key or a provider's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamFailure {
    #[error("the target `{target}` cannot be reached: {why}")]
    Unreachable { target: String, why: &'static str },
    #[error("TLS with the target `{target}` failed: {why}")]
    Tls { target: String, why: &'static str },
    #[error("the target `{target}` did not {what} in time")]
    TimedOut { target: String, what: &'static str },
    #[error("the target `{target}` refused this gateway's key (status {status})")]
    Key { target: String, status: StatusCode },
    #[error("the target `{target}` answered with status {status}")]
    Status { target: String, status: StatusCode, retry_after: Option<HeaderValue> },
    #[error("the target `{target}` broke off its response")]
    Broken { target: String },
    #[error("the target `{target}` sent a response that cannot be inspected: {why}")]
    Uninspectable { target: String, why: &'static str },
}

/// A connector whose whole work (name, TCP, TLS) has one deadline.
#[derive(Debug, Clone)]
struct Bounded<C> {
    inner: C,
    deadline: Duration,
}

/// Name, TCP and TLS together took too long.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no connection in time")]
struct ConnectTimedOut;

type BoxError = Box<dyn StdError + Send + Sync>;

// === impl Upstream ===

impl Upstream {
    /// Sends the body to the operation's path at the target and waits for the response head, up to the target's
    /// `first_byte` and never over the deadline. Dropping the future ends the call.
    pub(super) async fn call(
        &self,
        (station, target): (&Station, &Target),
        endpoint: Endpoint,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Response<Incoming>, UpstreamFailure> {
        let unreachable = |why| UpstreamFailure::Unreachable { target: target.id.to_string(), why };
        let uri = station.uri(endpoint).map_err(unreachable)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = provider_headers(station, target, headers).map_err(unreachable)?;
        let answered_by = deadline.min(Instant::now() + target.timeouts.first_byte);
        let calling = self.begin(station.transport(), request);
        match tokio::time::timeout_at(answered_by, calling).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let failure = classify(target, &error);
                tracing::debug!(target = %target.id, reason = %failure, detail = %chain_text(&error), "provider call failed");
                Err(failure)
            }
            Err(_) => Err(UpstreamFailure::TimedOut { target: target.id.to_string(), what: "answer" }),
        }
    }

    fn begin(&self, transport: &Arc<Transport>, request: Request<Full<Bytes>>) -> ResponseFuture {
        let is_it =
            |(of, _): &&(Weak<Transport>, ProviderClient)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(transport));
        {
            let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, client)) = clients.iter().find(is_it) {
                return client.request(request);
            }
        }
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(is_it) {
            return client.request(request);
        }
        // Calls that are out hold their client themselves.
        clients.retain(|(of, _)| of.strong_count() > 0);
        let client = client_of(transport);
        let response = client.request(request);
        clients.push((Arc::downgrade(transport), client));
        response
    }
}

// === impl UpstreamFailure ===

impl UpstreamFailure {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "upstream_unreachable",
            Self::Tls { .. } => "upstream_tls",
            Self::TimedOut { .. } => "upstream_timeout",
            Self::Key { .. } => "upstream_key",
            Self::Status { .. } => "upstream_status",
            Self::Broken { .. } => "upstream_broken",
            Self::Uninspectable { .. } => "upstream_uninspectable",
        }
    }

    pub(super) const fn retry_after(&self) -> Option<&HeaderValue> {
        match self {
            Self::Status { retry_after, .. } => retry_after.as_ref(),
            _ => None,
        }
    }

    pub(super) const fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Self::Tls { .. } | Self::Key { .. } | Self::Uninspectable { .. })
    }

    /// What of a pack's `fallback.triggers` it is. Whoever answers for a provider with a certificate that is not its own
    /// must not be able to send requests elsewhere; a key that is refused is not mended by another target.
    pub(super) fn trigger(&self) -> Option<FallbackTrigger> {
        match self {
            Self::TimedOut { .. } => Some(FallbackTrigger::Timeout),
            Self::Unreachable { .. } | Self::Broken { .. } => Some(FallbackTrigger::ServerError),
            Self::Status { status, .. } => status.is_server_error().then_some(FallbackTrigger::ServerError),
            Self::Tls { .. } | Self::Key { .. } | Self::Uninspectable { .. } => None,
        }
    }
}

// === impl Bounded ===

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.deadline, self.inner.call(uri));
        Box::pin(async move { connecting.await.unwrap_or_else(|_| Err(ConnectTimedOut.into())) })
    }
}

fn client_of(transport: &Transport) -> ProviderClient {
    let mut tcp = HttpConnector::new_with_resolver(ProviderResolver::new());
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(transport.tls().clone())
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(tcp);
    // A request that met a connection which the provider had closed is sent again on a fresh one, if nothing of it was
    // sent: that is the default of this client.
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_ANSWER)
        .build(Bounded { inner: https, deadline: transport.connect() })
}

/// The client's remaining headers, then what only the gateway may say.
fn provider_headers(
    station: &Station,
    target: &Target,
    mut headers: HeaderMap,
) -> Result<HeaderMap, &'static str> {
    const VERSION: HeaderName = HeaderName::from_static("anthropic-version");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if target.provider == Provider::Anthropic {
        headers.entry(VERSION).or_insert(ANTHROPIC_VERSION);
    }
    let (name, value) = station.key()?;
    // Also without a key of ours: the client's value under this name is not the provider's business.
    headers.remove(name);
    if let Some(value) = value {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

/// What an error of the client means, read from its typed causes and never from its text.
fn classify(target: &Target, error: &hyper_util::client::legacy::Error) -> UpstreamFailure {
    let name = target.id.to_string();
    if cause::<ConnectTimedOut>(error).is_some() {
        return UpstreamFailure::TimedOut { target: name, what: "accept a connection" };
    }
    if cause::<MetadataAddress>(error).is_some() {
        return UpstreamFailure::Unreachable { target: name, why: METADATA };
    }
    if let Some(tls) = cause::<rustls::Error>(error) {
        return UpstreamFailure::Tls { target: name, why: tls_reason(tls) };
    }
    if !error.is_connect() {
        return UpstreamFailure::Broken { target: name };
    }
    let why = match cause::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "the connection was refused",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => "the connection was closed",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "there is no route to it",
        _ => "no connection could be made",
    };
    UpstreamFailure::Unreachable { target: name, why }
}

fn tls_reason(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet"
            }
            Certificate::UnknownIssuer => "its certificate is not from an authority that this host trusts",
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Revoked => "its certificate is revoked",
            _ => "its certificate is not valid",
        },
        _ => "the handshake did not succeed",
    }
}

/// Finds a cause by type. An `io::Error` hides what it was made of from `source`, so it is opened.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    if let Some(found) = error.downcast_ref::<T>() {
        return Some(found);
    }
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    if let Some(found) = within.and_then(|inner| cause::<T>(inner)) {
        return Some(found);
    }
    error.source().and_then(cause::<T>)
}

/// For the log only. The client's errors hold addresses and reasons, never headers or bodies.
fn chain_text(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
