//! `pii-detector`: finds personal data in requests and answers, and replaces it or blocks.

mod banking;
mod contact;
mod health;
mod marker;
mod network;
mod prefilter;
mod recognizer;
mod scan;

use std::sync::Arc;

use policy_config::Finding;
use policy_config::schema::{PiiAction, PiiDetector, PolicyKind, PolicyMode};

use self::scan::Scanner;
use super::{CannotJudge, Decision, Flow, Policy, Subject};
use crate::redaction::{self, LookFlow};
use crate::text::Phase;
use crate::verdict::Verdict;

const DETECTED: &str = "pii.detected";

#[derive(Debug)]
pub(crate) struct PiiDetectorPolicy {
    mode: PolicyMode,
    action: PiiAction,
    scanner: Arc<Scanner>,
}

// === impl PiiDetectorPolicy ===

impl PiiDetectorPolicy {
    pub(crate) fn compile(settings: &PiiDetector) -> Result<Self, Vec<Finding>> {
        let scanner = Arc::new(Scanner::compile(settings)?);
        Ok(Self { mode: settings.mode, action: settings.action, scanner })
    }

    fn block(labels: &[&str], phase: Phase) -> Decision {
        let what = if phase == Phase::Input { "Request" } else { "Response" };
        Decision {
            verdict: Verdict::Block,
            reason_codes: vec![DETECTED],
            message: format!("{what} blocked: personal data detected ({})", labels.join(", ")),
            ..Decision::default()
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

    fn judge(&self, subject: &Subject<'_>) -> Result<Decision, CannotJudge> {
        let (edits, labels) = redaction::scan_all(self.scanner.as_ref(), subject)?;
        Ok(match self.action {
            _ if edits.is_empty() => Decision::default(),
            PiiAction::Block => Self::block(&labels, subject.phase),
            PiiAction::Redact => {
                let reason_codes = vec![DETECTED];
                Decision { verdict: Verdict::Redact, reason_codes, edits, ..Decision::default() }
            }
        })
    }

    fn flow(&self) -> Option<Box<dyn Flow>> {
        let finding = match self.action {
            PiiAction::Redact => redaction::Finding::Replace(|_| DETECTED),
            PiiAction::Block => {
                redaction::Finding::Stop(Arc::new(|label| Self::block(&[label], Phase::Output)))
            }
        };
        Some(Box::new(LookFlow::new(Arc::clone(&self.scanner), finding)))
    }
}
