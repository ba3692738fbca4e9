//! `providers`: where requests go, and which reference names the key (never its value).

use std::fmt;
use std::time::Duration;

/// `providers`.
#[derive(Debug, Clone, PartialEq)]
pub struct Providers {
    /// In file order; never empty; ids unique.
    pub targets: Vec<ProviderTarget>,
    pub routing: RoutingStrategy,
}

/// How a target is chosen among those whose `model` matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoutingStrategy {
    /// The first in file order.
    #[default]
    Ordered,
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
    /// Of a whole request; default 60 s.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    OpenAi,
    OpenAiCompatible,
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
    pub const ALL: &[Self] = &[Self::OpenAi, Self::OpenAiCompatible];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::OpenAiCompatible => "openai-compatible",
        }
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
