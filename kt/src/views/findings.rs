//! Findings, refusals and errors as JSON.

use policy_config::{Finding, LintReport, PolicyConfig, Severity};
use proto::v1;
use serde::Serialize;

/// `{code, severity, path, line, column, message, suggestion}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FindingView {
    pub(crate) code: String,
    pub(crate) severity: &'static str,
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) message: String,
    pub(crate) suggestion: String,
}

/// What `kt policy lint --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum LintView {
    Valid {
        valid: bool,
        file: String,
        pack: PackView,
        chain: Vec<&'static str>,
        policy_count: usize,
        warnings: Vec<FindingView>,
    },
    Invalid {
        valid: bool,
        file: String,
        errors: Vec<FindingView>,
        warnings: Vec<FindingView>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PackView {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// `{error{…}}`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorDocument<'a> {
    pub(crate) error: ErrorView<'a>,
}

/// `{code, message, field?, hint?, findings[]?}`
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ErrorView<'a> {
    pub(crate) code: &'a str,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<FindingView>,
}

/// `{gateway, stage, findings[]}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RejectionView {
    pub(crate) gateway: String,
    pub(crate) stage: Option<&'static str>,
    pub(crate) reason: String,
    pub(crate) findings: Vec<FindingView>,
}

/// The lint finding that a wire finding tells.
pub(crate) fn finding(wire: &v1::Finding) -> Finding {
    proto::convert::findings::finding(wire)
}

/// The stage's word; `None` for one this version does not know.
pub(crate) fn stage(wire: v1::Stage) -> Option<&'static str> {
    proto::convert::findings::stage("stage", wire).ok().map(fleet_core::offer::Stage::as_str)
}

// === impl FindingView ===

impl FindingView {
    pub(crate) fn of(finding: &Finding) -> Self {
        Self {
            code: finding.code.clone(),
            severity: finding.severity.as_str(),
            path: finding.path.clone(),
            line: finding.location.line,
            column: finding.location.column,
            message: finding.message.clone(),
            suggestion: finding.suggestion.clone(),
        }
    }

    pub(crate) fn of_wire(wire: &[v1::Finding]) -> Vec<Self> {
        wire.iter().map(|wire| Self::of(&finding(wire))).collect()
    }
}

// === impl LintView ===

impl LintView {
    /// `config` is there exactly when the report has no error.
    pub(crate) fn of(file: &str, config: Option<&PolicyConfig>, report: &LintReport) -> Self {
        let of_severity = |severity: Severity| {
            report.findings.iter().filter(|f| f.severity == severity).map(FindingView::of).collect::<Vec<_>>()
        };
        let file = file.to_owned();
        let warnings = of_severity(Severity::Warning);
        match config {
            Some(config) if report.admissible() => Self::Valid {
                valid: true,
                file,
                pack: PackView {
                    name: config.pack.name.to_string(),
                    version: config.pack.version.to_string(),
                },
                chain: config.policies.iter().map(|policy| policy.kind().as_str()).collect(),
                policy_count: config.policies.len(),
                warnings,
            },
            _ => Self::Invalid { valid: false, file, errors: of_severity(Severity::Error), warnings },
        }
    }
}

// === impl RejectionView ===

impl RejectionView {
    pub(crate) fn of(wire: &v1::Rejection) -> Self {
        let refusal = wire.refusal.as_ref();
        Self {
            gateway: wire.gateway.clone(),
            stage: refusal.and_then(|refusal| stage(refusal.stage())),
            reason: refusal.map(|refusal| refusal.reason.clone()).unwrap_or_default(),
            findings: refusal.map(|refusal| FindingView::of_wire(&refusal.findings)).unwrap_or_default(),
        }
    }
}
