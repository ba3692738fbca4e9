//! The one trait behind which every kind of policy stands; one file per kind below.

use policy_config::schema::{PolicyKind, PolicyMode};

use crate::text::{Edit, Phase, Texts};
use crate::verdict::Verdict;

pub(crate) mod audit_logger;
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

    /// Begins one text of a stream. `None`: this policy judges whole texts only, so each is held until it ends.
    fn flow(&self) -> Option<Box<dyn Flow>> {
        None
    }
}

/// One text of a stream as one policy reads it: taken as it comes, given on as soon as nothing that may follow
/// can change it. However the text is cut, what is given on is what [`Policy::judge`] makes of it as a whole.
pub(crate) trait Flow: Send {
    /// Takes more of the text and adds what may be sent on to `out`; `last`: the text ends with it, nothing is
    /// held any longer. Not called again after a block or after `last`.
    fn take(&mut self, text: &str, last: bool, out: &mut Flowed);

    /// Bytes of text that are held.
    fn held(&self) -> usize;
}

/// What a policy gives on of a text that flows.
#[derive(Debug, Default)]
pub(crate) struct Flowed {
    pub(crate) text: String,
    /// Spans replaced.
    pub(crate) redactions: u32,
    pub(crate) reason_codes: Vec<&'static str>,
    /// The text that matched is in neither; what had been given on before is gone.
    pub(crate) stopped: Option<Decision>,
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

// === impl Flowed ===

impl Flowed {
    /// What is given on, how much of it was replaced, and what that means.
    pub(crate) fn into_parts(self) -> (String, u32, Decision) {
        let verdict = if self.redactions > 0 { Verdict::Redact } else { Verdict::Allow };
        let decided = Decision { verdict, reason_codes: self.reason_codes, ..Decision::default() };
        (self.text, self.redactions, self.stopped.unwrap_or(decided))
    }

    pub(crate) fn reason(&mut self, code: &'static str) {
        if !self.reason_codes.contains(&code) {
            self.reason_codes.push(code);
        }
    }
}
