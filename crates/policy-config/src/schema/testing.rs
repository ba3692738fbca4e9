//! `testing`: cases that say what the policies must decide. No gateway looks at them, so they are no part of
//! a [`PolicyConfig`](super::PolicyConfig), its canonical form or a diff.

use std::collections::BTreeMap;
use std::fmt;

use crate::location::Location;

/// One of `testing.suites`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestSuite {
    /// Unique in its pack.
    pub name: String,
    pub cases: Vec<TestCase>,
}

/// A request, what the provider answers, and what must be decided. The same in a pack and in a golden file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Unique in its suite or file.
    pub name: String,
    /// Where it begins in its file.
    pub at: Location,
    /// `input.messages`: a JSON array of at least one message with a role.
    pub messages: String,
    /// `input.model`: that the request asks for; `None`: one that no policy knows.
    pub model: Option<String>,
    /// `input.headers`: of the request, by their lower-case names.
    pub headers: BTreeMap<String, String>,
    /// `None`: the output phase is not run.
    pub upstream_response: Option<UpstreamResponse>,
    pub expected: Expected,
}

/// What the provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamResponse {
    /// The content of the assistant's message.
    Text(String),
    /// A whole answer: a JSON object.
    Answer(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub verdict: ExpectedVerdict,
    pub reason_code: ExpectedReason,
}

/// `expected.verdict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedVerdict {
    Allow,
    Redact,
    Escalate,
    Block,
}

/// `expected.reason_code`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedReason {
    /// The key is absent: whatever the reason is.
    Any,
    /// `null`.
    None,
    /// Such as `pii.detected`.
    Code(String),
}

// === impl ExpectedVerdict ===

impl ExpectedVerdict {
    pub const ALL: &[Self] = &[Self::Allow, Self::Redact, Self::Block, Self::Escalate];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Redact => "redact",
            Self::Escalate => "escalate",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for ExpectedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl ExpectedReason ===

impl ExpectedReason {
    pub fn is_met_by(&self, reason_code: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::None => reason_code.is_none(),
            Self::Code(code) => reason_code == Some(code),
        }
    }
}
