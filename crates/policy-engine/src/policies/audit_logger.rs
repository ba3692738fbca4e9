//! `audit-logger`: its settings shape the decision event, which is written outside the chain; inside
//! it, it only records that it ran.

use policy_config::schema::{AuditLogger, PolicyKind, PolicyMode};

use super::{CannotJudge, Decision, Policy, Subject};
use crate::text::Phase;

#[derive(Debug)]
pub(crate) struct AuditLoggerPolicy {
    mode: PolicyMode,
}

// === impl AuditLoggerPolicy ===

impl AuditLoggerPolicy {
    pub(crate) fn compile(settings: &AuditLogger) -> Self {
        Self { mode: settings.mode }
    }
}

impl Policy for AuditLoggerPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::AuditLogger
    }

    fn mode(&self) -> PolicyMode {
        self.mode
    }

    fn runs_in(&self, phase: Phase) -> bool {
        phase == Phase::Output
    }

    fn reads_text(&self) -> bool {
        false
    }

    fn fails_closed(&self) -> bool {
        false
    }

    fn judge(&self, _: &Subject<'_>) -> Result<Decision, CannotJudge> {
        Ok(Decision::default())
    }
}
