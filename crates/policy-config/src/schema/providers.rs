//! `providers`: where requests go, and which reference names the key (never its value).

use std::fmt;
use std::time::Duration;

/// `providers`.
#[derive(Debug, Clone, PartialEq)]
pub struct Providers {
    /// In file order; never empty; ids unique.
    pub targets: Vec<ProviderTarget>,
    pub routing: RoutingStrategy,
    pub fallback: Fallback,
    pub circuit_breaker: CircuitBreaker,
}

/// How a target is chosen among those that serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoutingStrategy {
    /// The first in file order.
    #[default]
    Ordered,
    /// One after the other.
    RoundRobin,
    /// By chance, in proportion to `weight`.
    Weighted,
}

/// When a request that one target failed goes to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// In the order of [`FallbackTrigger::ALL`], each once; none: a failure is the answer.
    pub triggers: Vec<FallbackTrigger>,
    /// Calls of one request, the first included; 1 to 5.
    pub max_attempts: u8,
    /// Of all calls of one request together; `None`: what their own timeouts allow.
    pub total_timeout: Option<Duration>,
}

/// A kind of failure after which another target is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FallbackTrigger {
    /// The provider answered 429.
    RateLimit,
    /// The provider answered 5xx, broke off, or could not be reached.
    ServerError,
    /// No connection, no answer, or no end of it in time.
    Timeout,
}

/// When a target that keeps failing is left alone, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Failures in a row; 1 to 1000.
    pub failure_threshold: u32,
    pub cooldown: Duration,
}

/// One entry of `providers.targets`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderTarget {
    pub id: TargetId,
    pub provider: Provider,
    /// An exact model name, or a glob with `*`.
    pub model: String,
    /// Scheme, host, port and path as written, without a trailing `/` or `/v1`.
    pub base_url: String,
    /// `None`: requests go out without a key (a private endpoint that asks for none).
    pub secret_key_ref: Option<SecretKeyRef>,
    /// Lower-case header name; default `authorization`.
    pub api_key_header: String,
    /// Default `Bearer ` for `authorization`, else empty.
    pub api_key_prefix: String,
    /// Of one call from its beginning to the last byte of an answer that is no stream; default 60 s.
    pub timeout: Duration,
    /// Name, TCP and TLS of a new connection; default 5 s, never more than `timeout`.
    pub connect_timeout: Duration,
    /// To the head of the response; default and most `timeout`.
    pub first_byte_timeout: Duration,
    /// Longest silence within a response; default `timeout`.
    pub idle_timeout: Duration,
    /// The share of the target under [`RoutingStrategy::Weighted`], 1 to 1000; default 1.
    pub weight: u32,
    /// Certificates to trust in place of the host's store: a file name below `<instance>/secrets/`.
    pub ca_file: Option<String>,
    /// Of `azure-openai`: the deployment whose path is called; `None`: the v1 API, where the model names it.
    pub deployment: Option<String>,
    /// Of `azure-openai`: the value of `api-version`.
    pub api_version: Option<String>,
}

pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    OpenAi,
    OpenAiCompatible,
    AzureOpenAi,
    Anthropic,
}

/// Where the gateway's host keeps a key. Only the reference ever leaves the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretKeyRef {
    /// An environment variable, `[A-Za-z_][A-Za-z0-9_]*`.
    Env(String),
    /// A file name below `<instance>/secrets/`.
    File(String),
}

// === impl TargetId ===

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Provider ===

impl Provider {
    pub const ALL: &[Self] = &[Self::OpenAi, Self::OpenAiCompatible, Self::AzureOpenAi, Self::Anthropic];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
            Self::AzureOpenAi => "azure-openai",
            Self::Anthropic => "anthropic",
        }
    }

    /// The header that carries the key, in lower case, where the pack does not say.
    pub const fn key_header(self) -> &'static str {
        match self {
            Self::OpenAi | Self::OpenAiCompatible => "authorization",
            Self::AzureOpenAi => "api-key",
            Self::Anthropic => "x-api-key",
        }
    }
}

// === impl ProviderTarget ===

impl ProviderTarget {
    /// A target without a key, with every default.
    pub fn new(id: &str, provider: Provider, model: &str, base_url: &str) -> Self {
        Self {
            id: TargetId(id.to_owned()),
            provider,
            model: model.to_owned(),
            base_url: base_url.to_owned(),
            secret_key_ref: None,
            api_key_header: provider.key_header().to_owned(),
            api_key_prefix: default_prefix(provider.key_header()).to_owned(),
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            first_byte_timeout: DEFAULT_TIMEOUT,
            idle_timeout: DEFAULT_TIMEOUT,
            weight: 1,
            ca_file: None,
            deployment: None,
            api_version: None,
        }
    }
}

/// What stands before the key in a header, where the pack does not say.
pub(crate) fn default_prefix(header: &str) -> &'static str {
    if header == "authorization" { "Bearer " } else { "" }
}

// === impl RoutingStrategy ===

impl RoutingStrategy {
    pub const ALL: &[Self] = &[Self::Ordered, Self::RoundRobin, Self::Weighted];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::RoundRobin => "round_robin",
            Self::Weighted => "weighted",
        }
    }
}

// === impl Fallback ===

impl Default for Fallback {
    fn default() -> Self {
        Self { triggers: FallbackTrigger::ALL.to_vec(), max_attempts: 3, total_timeout: None }
    }
}

// === impl FallbackTrigger ===

impl FallbackTrigger {
    pub const ALL: &[Self] = &[Self::RateLimit, Self::ServerError, Self::Timeout];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::ServerError => "server_error",
            Self::Timeout => "timeout",
        }
    }
}

// === impl CircuitBreaker ===

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { failure_threshold: 5, cooldown: Duration::from_secs(30) }
    }
}

// === impl SecretKeyRef ===

impl fmt::Display for SecretKeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(name) => write!(f, "file {name}"),
        }
    }
}
