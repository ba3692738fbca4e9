//! The one trait behind which every kind of policy stands; one file per kind below.

use policy_config::schema::{PolicyKind, PolicyMode};

use crate::text::{Edit, Phase, Texts};
use crate::verdict::Verdict;

mod anchors;
pub(crate) mod audit_logger;
mod literals;
pub(crate) mod pii_detector;
pub(crate) mod prompt_injection;

/// One compiled entry of the chain.
pub(crate) trait Policy: std::fmt::Debug + Send + Sync {
    fn kind(&self) -> PolicyKind;

    fn mode(&self) -> PolicyMode;

    fn runs_in(&self, phase: Phase) -> bool;

    /// Needs the texts to decide. A policy that does not is never a reason to hold a body back.
    fn reads_text(&self) -> bool;

    /// Blocks or redacts, so that what it cannot judge is blocked; a logger lets it pass.
    fn fails_closed(&self) -> bool;

    /// Must not panic on any text; linear in its length.
    fn judge(&self, phase: Phase, texts: &Texts<'_>) -> Result<Decision, CannotJudge>;
}

/// What one policy says about one body.
#[derive(Debug, Default)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) reason_codes: Vec<&'static str>,
    /// With verdict `Redact`: what to replace.
    pub(crate) edits: Vec<Edit>,
    /// With a verdict that stops: what the client reads.
    pub(crate) message: String,
}

/// A policy could not come to a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CannotJudge {
    /// Dotted, as in a decision event.
    pub(crate) reason_code: &'static str,
    pub(crate) message: String,
}
