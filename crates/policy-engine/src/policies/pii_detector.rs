//! `pii_detector`.

use policy_config::Finding;
use policy_config::schema::{PiiDetector, PolicyKind, PolicyMode};

use super::{CannotJudge, Decision, Policy};
use crate::text::{Phase, Texts};

#[derive(Debug)]
pub(crate) struct PiiDetectorPolicy {
    mode: PolicyMode,
}

impl PiiDetectorPolicy {
    pub(crate) fn compile(settings: &PiiDetector) -> Result<Self, Vec<Finding>> {
        Ok(Self { mode: settings.mode })
    }
}

impl Policy for PiiDetectorPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::PiiDetector
    }
    fn mode(&self) -> PolicyMode {
        self.mode
    }
    fn runs_in(&self, phase: Phase) -> bool {
        phase == Phase::Input
    }
    fn reads_text(&self) -> bool {
        true
    }
    fn fails_closed(&self) -> bool {
        true
    }
    fn judge(&self, _: Phase, _: &Texts<'_>) -> Result<Decision, CannotJudge> {
        Ok(Decision::default())
    }
}
