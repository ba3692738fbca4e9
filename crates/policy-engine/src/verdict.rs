//! The word for a policy's decision, and the record of what was decided about one body.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy_config::schema::{PolicyKind, PolicyMode};

use crate::meters::Metered;
use crate::policies::model_access::TargetFilter;
use crate::text::Phase;

/// What a policy decided, weakest first; the verdict of a chain is its strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Verdict {
    #[default]
    Allow,
    Redact,
    /// Blocked, and to be looked at by a person.
    Escalate,
    Block,
}

/// What the chain decided about one request or response body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    /// The strongest verdict of the policies that are enforced.
    pub verdict: Verdict,
    /// `Some`: send this instead of the inspected body. Text is spliced; every other byte is kept.
    pub body: Option<Vec<u8>>,
    /// Of a request; empty for a response.
    pub model: String,
    /// Of a request: `"stream": true`.
    pub stream: bool,
    /// `Some` exactly when the verdict is `Block` or `Escalate`: nothing may be sent on.
    pub block: Option<BlockReason>,
    /// One record for each policy that ran, in order; shadowed ones included.
    pub policies: Vec<PolicyRecord>,
    /// Of a response that says so: what it cost.
    pub usage: Option<Usage>,
    /// Of a request: the targets that its consumer may use; `None`: all.
    pub targets: Option<Arc<TargetFilter>>,
    /// Of a request: what the pack's limits say.
    pub metered: Metered,
}

/// Tokens as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// Why a body was blocked, as a client may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockReason {
    pub policy: PolicyKind,
    pub class: BlockClass,
    pub message: String,
    /// `input_blocked` or `output_blocked`; `rate_limited`, `policy_failed` by class.
    pub code: &'static str,
    /// Dotted, such as `prompt_injection.detected`.
    pub reason_code: &'static str,
}

/// What sort of refusal a block is to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlockClass {
    /// What was said, or who said it: the same request will meet the same answer.
    #[default]
    Violation,
    /// Too much for now. `retry_after` is never zero.
    RateLimit { retry_after: Duration },
    /// The policy itself failed.
    Fault,
}

impl BlockClass {
    /// What a client is told.
    pub(crate) const fn code(self, phase: Phase) -> &'static str {
        match (self, phase) {
            (Self::RateLimit { .. }, _) => "rate_limited",
            (Self::Fault, _) => "policy_failed",
            (Self::Violation, Phase::Input) => "input_blocked",
            (Self::Violation, Phase::Output) => "output_blocked",
        }
    }
}

/// What one policy found. Of a shadowed policy: what it would have decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRecord {
    pub kind: PolicyKind,
    pub mode: PolicyMode,
    pub verdict: Verdict,
    pub reason_codes: Vec<&'static str>,
    /// What it took of the time; zero where no clock runs.
    pub took: Duration,
    /// Spans of text replaced (of a shadowed policy: that would have been).
    pub redactions: u32,
}

// === impl Verdict ===

impl Verdict {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Escalate => "escalate",
            Self::Block => "block",
        }
    }

    /// True for the verdicts after which nothing may be sent on.
    pub const fn stops(self) -> bool {
        matches!(self, Self::Escalate | Self::Block)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl BlockClass ===

impl BlockClass {
    /// The `type` of the error that a client reads.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::Violation => "policy_violation",
            Self::RateLimit { .. } => "rate_limit",
            Self::Fault => "unavailable",
        }
    }
}
