//! What lint says: findings with a code, a severity, a place, a reason and what to do.

use std::fmt;

use crate::location::Location;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing lint has to say. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable code such as `E001`; listed in `docs/reference/lint.md`.
    pub code: String,
    pub severity: Severity,
    /// Where in the document, as `policies.chain[0]`; empty for the file as a whole.
    pub path: String,
    pub location: Location,
    /// What is wrong and why, one sentence without a final full stop.
    pub message: String,
    /// What to do; empty when there is nothing to add.
    pub suggestion: String,
}

/// All findings about one pack, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintReport {
    pub findings: Vec<Finding>,
}

// === impl Severity ===

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl LintReport ===

impl LintReport {
    /// True when no finding is an error.
    pub fn admissible(&self) -> bool {
        self.errors().next().is_none()
    }

    pub fn errors(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error)
    }

    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Warning)
    }
}
