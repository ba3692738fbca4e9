//! The call to a provider: one pooled client, its deadlines, and what can go wrong in words.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use policy_engine::{Endpoint, KeyState, Target};
use rustls::pki_types::CertificateDer;
use tower::Service;

use super::resolver::{MetadataAddress, ProviderResolver, check_host};

/// How long a provider connection without a request is kept.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// Provider connections without a request that are kept, per host.
const POOL_IDLE_PER_HOST: usize = 512;
/// A silent HTTP/2 provider connection is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(10);

/// The provider client of one worker: keep-alive, HTTP/1.1 or HTTP/2 by ALPN, no redirects.
pub(super) struct Upstream {
    tls: rustls::ClientConfig,
    connect: Duration,
    client: Client<Bounded<HttpsConnector<HttpConnector<ProviderResolver>>>, Full<Bytes>>,
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
    /// A host without a certificate store can still serve plain providers: that is said here once,
    /// and each TLS provider fails with a clear reason.
    pub(super) fn new(
        extra_roots: &[CertificateDer<'static>],
        connect: Duration,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted_roots(extra_roots))
            .with_no_client_auth();
        Ok(Self::with(tls, connect))
    }

    /// A client with connections of its own, for another worker.
    pub(super) fn of_worker(&self) -> Self {
        Self::with(self.tls.clone(), self.connect)
    }

    fn with(tls: rustls::ClientConfig, connect: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(ProviderResolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(Duration::from_secs(60)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(PING_ANSWER)
            .build(Bounded { inner: https, deadline: connect });
        Self { tls, connect, client }
    }

    /// Sends the body to the operation's path at the target and waits for the response head. Dropping
    /// the future ends the call.
    pub(super) async fn call(
        &self,
        target: &Target,
        endpoint: Endpoint,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, UpstreamFailure> {
        let uri: Uri = format!("{}{}", target.base_url, endpoint.path()).parse().map_err(|_| {
            UpstreamFailure::Unreachable { target: target.id.to_string(), why: "its base_url is not a URL" }
        })?;
        check_host(uri.host().unwrap_or_default()).map_err(|_| metadata(target))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = provider_headers(target, headers)?;
        match tokio::time::timeout(target.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let failure = classify(target, &error);
                tracing::warn!(target = %target.id, reason = %failure, detail = %chain_text(&error), "provider call failed");
                Err(failure)
            }
            Err(_) => Err(UpstreamFailure::TimedOut { target: target.id.to_string(), what: "answer" }),
        }
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

/// The client's remaining headers, then what only the gateway may say.
fn provider_headers(target: &Target, mut headers: HeaderMap) -> Result<HeaderMap, UpstreamFailure> {
    let bad_key = |why| UpstreamFailure::Unreachable { target: target.id.to_string(), why };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let name: HeaderName =
        target.api_key_header.parse().map_err(|_| bad_key("its api_key_header is not a header name"))?;
    // Also without a key of ours: the client's value under this name is not the provider's business.
    headers.remove(&name);
    if let KeyState::Ready(secret) = target.api_key_value() {
        let mut value = HeaderValue::from_str(secret.expose())
            .map_err(|_| bad_key("its key holds characters that a header cannot"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

fn trusted_roots(extra: &[CertificateDer<'static>]) -> rustls::RootCertStore {
    let native = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(native.certs);
    if usable == 0 {
        tracing::warn!(
            problems = ?native.errors,
            "this host has no usable certificate store: providers over https will fail with `upstream_tls`; \
             install the ca-certificates package or point SSL_CERT_FILE to a bundle"
        );
    }
    roots.add_parsable_certificates(extra.iter().cloned());
    roots
}

fn metadata(target: &Target) -> UpstreamFailure {
    let why = "its address is a cloud metadata address, which is never called";
    UpstreamFailure::Unreachable { target: target.id.to_string(), why }
}

/// What an error of the client means, read from its typed causes and never from its text.
fn classify(target: &Target, error: &hyper_util::client::legacy::Error) -> UpstreamFailure {
    let name = target.id.to_string();
    if cause::<ConnectTimedOut>(error).is_some() {
        return UpstreamFailure::TimedOut { target: name, what: "accept a connection" };
    }
    if cause::<MetadataAddress>(error).is_some() {
        return metadata(target);
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
