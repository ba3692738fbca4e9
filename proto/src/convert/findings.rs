//! Findings, stages and refusals: what lint and gateways say, capped on the way in and on the way out.

use fleet_core::offer::{NackReason, Stage};
use policy_config::location::Location;
use policy_config::{Finding, Severity};

use crate::{WireError, v1};

/// The most findings one message carries.
pub const MAX_FINDINGS: usize = 32;
/// The longest text of a finding or a reason, in bytes; longer ones are cut.
pub const MAX_TEXT: usize = 512;

pub fn wire_finding(finding: &Finding) -> v1::Finding {
    v1::Finding {
        code: cut(&finding.code),
        severity: wire_severity(finding.severity).into(),
        path: cut(&finding.path),
        line: finding.location.line,
        column: finding.location.column,
        message: cut(&finding.message),
        suggestion: cut(&finding.suggestion),
    }
}

/// The first [`MAX_FINDINGS`].
pub fn wire_findings(findings: &[Finding]) -> Vec<v1::Finding> {
    findings.iter().take(MAX_FINDINGS).map(wire_finding).collect()
}

pub fn finding(wire: &v1::Finding) -> Finding {
    Finding {
        code: cut(&wire.code),
        severity: severity(wire.severity()),
        path: cut(&wire.path),
        location: Location { line: wire.line, column: wire.column },
        message: cut(&wire.message),
        suggestion: cut(&wire.suggestion),
    }
}

/// The first [`MAX_FINDINGS`].
pub fn findings(wire: &[v1::Finding]) -> Vec<Finding> {
    wire.iter().take(MAX_FINDINGS).map(finding).collect()
}

pub fn wire_stage(stage: Stage) -> v1::Stage {
    match stage {
        Stage::Verify => v1::Stage::Verify,
        Stage::Lint => v1::Stage::Lint,
        Stage::Secrets => v1::Stage::Secrets,
        Stage::Compile => v1::Stage::Compile,
        Stage::SelfTest => v1::Stage::SelfTest,
        Stage::Storage => v1::Stage::Storage,
        Stage::Generation => v1::Stage::Generation,
    }
}

pub fn stage(field: &'static str, wire: v1::Stage) -> Result<Stage, WireError> {
    match wire {
        v1::Stage::Unspecified => Err(WireError::missing(field)),
        v1::Stage::Verify => Ok(Stage::Verify),
        v1::Stage::Lint => Ok(Stage::Lint),
        v1::Stage::Secrets => Ok(Stage::Secrets),
        v1::Stage::Compile => Ok(Stage::Compile),
        v1::Stage::SelfTest => Ok(Stage::SelfTest),
        v1::Stage::Storage => Ok(Stage::Storage),
        v1::Stage::Generation => Ok(Stage::Generation),
    }
}

pub fn wire_refusal(reason: &NackReason) -> v1::Refusal {
    v1::Refusal {
        stage: wire_stage(reason.stage).into(),
        reason: cut(&reason.reason),
        findings: wire_findings(&reason.findings),
    }
}

/// A refusal has a stage and says why.
pub fn nack_reason(wire: &v1::Refusal) -> Result<NackReason, WireError> {
    if wire.reason.is_empty() && wire.findings.is_empty() {
        return Err(WireError::missing("refusal.reason"));
    }
    Ok(NackReason {
        stage: stage("refusal.stage", wire.stage())?,
        reason: cut(&wire.reason),
        findings: findings(&wire.findings),
    })
}

fn wire_severity(severity: Severity) -> v1::Severity {
    match severity {
        Severity::Error => v1::Severity::Error,
        Severity::Warning => v1::Severity::Warning,
    }
}

/// A severity that a newer peer invented is treated as the worse one.
fn severity(wire: v1::Severity) -> Severity {
    match wire {
        v1::Severity::Unspecified | v1::Severity::Error => Severity::Error,
        v1::Severity::Warning => Severity::Warning,
    }
}

/// At most [`MAX_TEXT`] bytes, cut between characters, without control characters.
fn cut(text: &str) -> String {
    let mut kept = String::with_capacity(text.len().min(MAX_TEXT));
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if kept.len() + character.len_utf8() > MAX_TEXT {
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_back() {
        let finding = Finding {
            code: "E001".into(),
            severity: Severity::Warning,
            path: "policies.chain[0]".into(),
            location: Location { line: 14, column: 7 },
            message: "unknown policy `x`".into(),
            suggestion: "did you mean `y`?".into(),
        };
        for stage in Stage::ALL {
            let reason = NackReason { stage: *stage, reason: "no".into(), findings: vec![finding.clone()] };
            assert_eq!(nack_reason(&wire_refusal(&reason)), Ok(reason));
        }
    }

    #[test]
    fn a_refusal_needs_a_stage_and_a_reason() {
        let empty = v1::Refusal::default();
        assert_eq!(nack_reason(&empty).map_err(|error| error.field), Err("refusal.reason"));
        let stageless = v1::Refusal { reason: "no".into(), ..empty };
        assert_eq!(nack_reason(&stageless).map_err(|error| error.field), Err("refusal.stage"));
    }

    #[test]
    fn a_flood_is_cut() {
        let long = v1::Finding { message: "ä\u{1b}".repeat(10_000), ..Default::default() };
        let kept = findings(&vec![long; 1_000]);
        assert_eq!(kept.len(), MAX_FINDINGS);
        for finding in kept {
            assert!(finding.message.len() <= MAX_TEXT);
            assert!(!finding.message.contains('\u{1b}'));
        }
    }
}
