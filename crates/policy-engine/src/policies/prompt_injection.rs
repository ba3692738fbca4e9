//! `prompt_injection`.

use policy_config::Finding;
use policy_config::schema::{PolicyKind, PolicyMode, PromptInjection};

use super::{CannotJudge, Decision, Policy};
use crate::text::{Phase, Texts};

#[derive(Debug)]
pub(crate) struct PromptInjectionPolicy {
    mode: PolicyMode,
}

/// x
pub const PATTERN_SET_VERSION: &str = "2026.11";

impl PromptInjectionPolicy {
    pub(crate) fn compile(settings: &PromptInjection) -> Result<Self, Vec<Finding>> {
        Ok(Self { mode: settings.mode })
    }
}

impl Policy for PromptInjectionPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::PromptInjection
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
