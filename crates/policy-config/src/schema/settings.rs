//! `policy.<kind>`: the settings of each policy, defaults filled in.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::chain::{PolicyKind, PolicyMode};

/// One chain entry with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicySettings {
    PromptInjection(PromptInjection),
    PiiDetector(PiiDetector),
    DlpFilter(DlpFilter),
    RateLimit(RateLimit),
    ModelAccess(ModelAccess),
    AuditLogger(AuditLogger),
}

/// `policy.prompt-injection`.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptInjection {
    pub mode: PolicyMode,
    /// `response.action`; default block.
    pub action: DetectAction,
    /// `response.message`: what a blocked client reads.
    pub message: String,
    /// `detection.attack_patterns`: regexes matched beside the curated set; each compiles.
    pub attack_patterns: Vec<String>,
}

/// What `prompt-injection` does when it detects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DetectAction {
    #[default]
    Block,
    /// Record the detection and let the request pass.
    Log,
    /// Block, and mark the decision event for review.
    Escalate,
}

/// `policy.pii-detector`.
#[derive(Debug, Clone, PartialEq)]
pub struct PiiDetector {
    pub mode: PolicyMode,
    /// `action`; default redact.
    pub action: PiiAction,
    /// Card numbers; default true.
    pub pci_mode: bool,
    /// MRN and NPI; default false.
    pub healthcare_mode: bool,
    /// `detect_patterns`: further regexes by label (`[A-Z][A-Z0-9_]{0,31}`); each compiles.
    pub detect_patterns: BTreeMap<String, String>,
    /// `redaction.marker_format`; default label.
    pub marker_format: MarkerFormat,
    /// `redaction.custom_markers`: replacement text by label, such as `EMAIL: "<mail>"`.
    pub custom_markers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PiiAction {
    #[default]
    Redact,
    Block,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MarkerFormat {
    /// `[EMAIL]`
    #[default]
    Label,
    /// every character `*`
    Mask,
    /// the last four characters stay
    Partial,
}

/// `policy.dlp-filter`. It looks for something: terms and patterns are not both empty.
#[derive(Debug, Clone, PartialEq)]
pub struct DlpFilter {
    pub mode: PolicyMode,
    /// `action`; default block.
    pub action: DlpAction,
    /// `blocked_terms`: words and phrases, found whatever their case and spelling, as whole words.
    pub blocked_terms: Vec<String>,
    /// `detect_patterns`: regexes by label, as those of `pii-detector`.
    pub detect_patterns: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DlpAction {
    #[default]
    Block,
    Redact,
}

/// `policy.rate-limit`.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    pub mode: PolicyMode,
    /// `consumer_header`, in lower case: who asks, as the deployment says it.
    pub consumer_header: String,
    /// At least one; no two count the same.
    pub limits: Vec<Limit>,
}

/// One of `limits`; requests or tokens or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    pub key: LimitKey,
    pub requests: Option<u64>,
    /// Input and output together, as the provider counts them.
    pub tokens: Option<u64>,
    pub window: Duration,
}

/// Who shares a counter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKey {
    /// `header:NAME`, in lower case: all requests with one value of it.
    Header(String),
    /// All requests of one consumer.
    Consumer,
    /// All that come from one address; of IPv6, from one /64.
    Ip,
    /// All there are.
    Global,
}

/// `policy.model-access`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAccess {
    pub mode: PolicyMode,
    /// `consumer_header`, in lower case: who asks, as the deployment says it.
    pub consumer_header: String,
    /// `default`, for whom no rule names; deny where the file does not say.
    pub default: Access,
    /// The first that names the consumer decides. At least one.
    pub rules: Vec<AccessRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    Allow,
    #[default]
    Deny,
}

/// One of `rules`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// Names and globs; at least one.
    pub consumers: Vec<String>,
    /// Of the models that requests name.
    pub models: NameFilter,
    /// Of the ids of targets.
    pub targets: NameFilter,
}

/// Names and globs. What `deny` matches is out; what is left must match `allow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFilter {
    /// Where the file does not say: `*`.
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// `policy.audit-logger`.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditLogger {
    pub mode: PolicyMode,
    /// Prompts and answers in the decision event; default false.
    pub include_content: bool,
}

/// The labels of what `pii-detector` finds without `detect_patterns`; a test of the engine holds the two together.
pub const PII_LABELS: &[&str] = &["EMAIL", "IBAN", "CREDIT_CARD", "MRN", "NPI", "SSN", "IP_ADDRESS", "PHONE"];

/// What a client reads when no message is configured.
pub const DEFAULT_BLOCK_MESSAGE: &str = "Request blocked: potential prompt injection detected";

/// The header that names the consumer where the pack does not say another.
pub const CONSUMER_HEADER: &str = "x-consumer";
/// `policies.budget` where the pack does not say another.
pub const DEFAULT_BUDGET: Duration = Duration::from_secs(1);

/// Most terms of `blocked_terms`, their length in characters, and that of all together: each letter stands for all its
/// spellings when compiled.
pub const MAX_TERMS: usize = 200;
pub const MAX_TERM_LENGTH: usize = 200;
pub const MAX_TERMS_LENGTH: usize = 2000;
/// Most expressions in one list of patterns.
pub const MAX_PATTERNS: usize = 500;
/// Longest expression, in bytes.
pub const MAX_PATTERN_LENGTH: usize = 4096;
/// Memory that all expressions of one list may take when compiled; whoever compiles one of them alone
/// may allow at least this much.
pub const PATTERN_SIZE_LIMIT: usize = 1 << 20;

// === impl PolicySettings ===

impl PolicySettings {
    pub const fn kind(&self) -> PolicyKind {
        match self {
            Self::PromptInjection(_) => PolicyKind::PromptInjection,
            Self::PiiDetector(_) => PolicyKind::PiiDetector,
            Self::DlpFilter(_) => PolicyKind::DlpFilter,
            Self::RateLimit(_) => PolicyKind::RateLimit,
            Self::ModelAccess(_) => PolicyKind::ModelAccess,
            Self::AuditLogger(_) => PolicyKind::AuditLogger,
        }
    }

    pub const fn mode(&self) -> PolicyMode {
        match self {
            Self::PromptInjection(settings) => settings.mode,
            Self::PiiDetector(settings) => settings.mode,
            Self::DlpFilter(settings) => settings.mode,
            Self::RateLimit(settings) => settings.mode,
            Self::ModelAccess(settings) => settings.mode,
            Self::AuditLogger(settings) => settings.mode,
        }
    }
}

// === impl NameFilter ===

impl Default for NameFilter {
    fn default() -> Self {
        Self { allow: vec!["*".to_owned()], deny: Vec::new() }
    }
}

// === impl LimitKey ===

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Consumer => f.write_str("consumer"),
            Self::Ip => f.write_str("ip"),
            Self::Global => f.write_str("global"),
        }
    }
}
