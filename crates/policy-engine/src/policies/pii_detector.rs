//! `pii-detector`: finds personal data in requests and answers, and replaces it or blocks.

mod banking;
mod contact;
mod health;
mod marker;
mod network;
mod prefilter;
mod recognizer;
mod scan;

use policy_config::Finding;
use policy_config::schema::{PiiAction, PiiDetector, PolicyKind, PolicyMode};

use self::scan::Scanner;
use super::{CannotJudge, Decision, Policy};
use crate::text::{Phase, Texts};
use crate::verdict::Verdict;

const DETECTED: &str = "pii.detected";

#[derive(Debug)]
pub(crate) struct PiiDetectorPolicy {
    mode: PolicyMode,
    action: PiiAction,
    scanner: Scanner,
}

// === impl PiiDetectorPolicy ===

impl PiiDetectorPolicy {
    pub(crate) fn compile(settings: &PiiDetector) -> Result<Self, Vec<Finding>> {
        Ok(Self { mode: settings.mode, action: settings.action, scanner: Scanner::compile(settings)? })
    }

    fn block(labels: &[&str], phase: Phase) -> Decision {
        let what = if phase == Phase::Input { "Request" } else { "Response" };
        Decision {
            verdict: Verdict::Block,
            reason_codes: vec![DETECTED],
            edits: Vec::new(),
            message: format!("{what} blocked: personal data detected ({})", labels.join(", ")),
        }
    }
}

impl Policy for PiiDetectorPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::PiiDetector
    }

    fn mode(&self) -> PolicyMode {
        self.mode
    }

    fn runs_in(&self, _: Phase) -> bool {
        true
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn fails_closed(&self) -> bool {
        true
    }

    fn judge(&self, phase: Phase, texts: &Texts<'_>) -> Result<Decision, CannotJudge> {
        let mut edits = Vec::new();
        let mut labels: Vec<&str> = Vec::new();
        for (at, piece) in texts.pieces().iter().enumerate() {
            for found in self.scanner.scan(piece.text()) {
                if !labels.contains(&found.label) {
                    labels.push(found.label);
                }
                edits.push(found.into_edit(at));
            }
        }
        Ok(match self.action {
            _ if edits.is_empty() => Decision::default(),
            PiiAction::Block => Self::block(&labels, phase),
            PiiAction::Redact => {
                let message = String::new();
                Decision { verdict: Verdict::Redact, reason_codes: vec![DETECTED], edits, message }
            }
        })
    }
}
