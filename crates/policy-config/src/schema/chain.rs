//! `policies.chain`: which policies run, in which order.

use std::fmt;

/// A kind of policy that the engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyKind {
    PromptInjection,
    PiiDetector,
    DlpFilter,
    RateLimit,
    ModelAccess,
    AuditLogger,
}

/// `mode` of a policy: `shadow` evaluates and records, and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyMode {
    #[default]
    Enforce,
    Shadow,
}

// === impl PolicyKind ===

impl PolicyKind {
    pub const ALL: &[Self] = &[
        Self::PromptInjection,
        Self::PiiDetector,
        Self::DlpFilter,
        Self::RateLimit,
        Self::ModelAccess,
        Self::AuditLogger,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PromptInjection => "prompt-injection",
            Self::PiiDetector => "pii-detector",
            Self::DlpFilter => "dlp-filter",
            Self::RateLimit => "rate-limit",
            Self::ModelAccess => "model-access",
            Self::AuditLogger => "audit-logger",
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
