//! `policy.<kind>`: the settings of each policy, defaults filled in.

use std::collections::BTreeMap;

use super::chain::{PolicyKind, PolicyMode};

/// One chain entry with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum PolicySettings {
    PromptInjection(PromptInjection),
    PiiDetector(PiiDetector),
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
            Self::AuditLogger(_) => PolicyKind::AuditLogger,
        }
    }

    pub const fn mode(&self) -> PolicyMode {
        match self {
            Self::PromptInjection(settings) => settings.mode,
            Self::PiiDetector(settings) => settings.mode,
            Self::AuditLogger(settings) => settings.mode,
        }
    }
}
