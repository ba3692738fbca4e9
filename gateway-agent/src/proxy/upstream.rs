//! The call to a provider: its connections, its deadlines, and what can go wrong in words.

mod answer_body;
mod lines;

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use policy_config::schema::{FallbackTrigger, Provider};
use policy_engine::{Endpoint, Target};
use tokio::time::Instant;

pub(super) use self::answer_body::AnswerBody;
use self::lines::{CallError, ConnectTimedOut, Lines};
use super::resolver::MetadataAddress;
use super::targets::{METADATA, Operation, Station, Transport};

/// What a client of Anthropic's API that does not say so was written for.
const ANTHROPIC_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// How often connections are looked at that nobody uses.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The provider connections of one gateway, or of one of its workers: keep-alive, HTTP/1.1 or HTTP/2 by ALPN, no
/// redirects. Costs nothing until it is used; what is costly (certificates) is in the [`Transport`]s, which are shared.
#[derive(Default)]
pub(super) struct Upstream {
    /// One for each host and transport in use. Those that no pack uses any more go when another comes, or by and by.
    hosts: Mutex<Vec<Arc<Lines>>>,
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
    /// No fault of the target's; the client reads that this gateway is overloaded.
    #[error("this gateway has no memory left for the response of the target `{target}`")]
    NoRoom { target: String },
}

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
    ) -> Result<Response<AnswerBody>, UpstreamFailure> {
        let unreachable = |why| UpstreamFailure::Unreachable { target: target.id.to_string(), why };
        let operation = station.operation(endpoint).map_err(unreachable)?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = provider_headers(station, target, headers).map_err(unreachable)?;
        let answered_by = deadline.min(Instant::now() + target.timeouts.first_byte);
        let lines = self.lines(station.transport(), operation);
        match tokio::time::timeout_at(answered_by, lines.call(operation, request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let failure = classify(target, &error);
                tracing::debug!(target = %target.id, reason = %failure, detail = %chain_text(&error), "provider call failed");
                Err(failure)
            }
            Err(_) => Err(UpstreamFailure::TimedOut { target: target.id.to_string(), what: "answer" }),
        }
    }

    fn lines(&self, transport: &Arc<Transport>, operation: &Operation) -> Arc<Lines> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.iter().find(|lines| lines.are_to(transport, &operation.uri)) {
            return Arc::clone(known);
        }
        // Calls that are out hold theirs themselves.
        hosts.retain(|lines| lines.are_of_a_pack());
        let lines = Arc::new(Lines::to(transport, &operation.uri));
        hosts.push(Arc::clone(&lines));
        lines
    }

    /// Lets go of connections that nobody needs.
    pub(super) fn sweep(&self) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|lines| lines.are_of_a_pack());
        for lines in hosts.iter() {
            lines.sweep();
        }
    }
}

// === impl UpstreamFailure ===

impl UpstreamFailure {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::NoRoom { .. } => StatusCode::SERVICE_UNAVAILABLE,
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
            Self::NoRoom { .. } => "overloaded",
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
            Self::Tls { .. } | Self::Key { .. } | Self::Uninspectable { .. } | Self::NoRoom { .. } => None,
        }
    }
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

/// What an error of a call means, read from its typed causes and never from its text.
fn classify(target: &Target, error: &CallError) -> UpstreamFailure {
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
    if matches!(error, CallError::Exchange(_)) {
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

/// For the log only. These errors hold addresses and reasons, never headers or bodies.
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
