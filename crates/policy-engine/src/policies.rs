//! The one trait behind which every kind of policy stands; one file per kind below.

use std::sync::Arc;

use policy_config::schema::{PolicyKind, PolicyMode};

use self::model_access::TargetFilter;
use crate::budget::Budget;
use crate::meters::Metered;
use crate::surroundings::Surroundings;
use crate::target::Target;
use crate::text::{Edit, Phase, Texts};
use crate::verdict::{BlockClass, Verdict};

mod anchors;
pub(crate) mod audit_logger;
pub(crate) mod dlp_filter;
pub(crate) mod model_access;
pub(crate) mod pii_detector;
pub(crate) mod prompt_injection;
pub(crate) mod rate_limit;

/// One compiled entry of the chain.
pub(crate) trait Policy: std::fmt::Debug + Send + Sync {
    fn kind(&self) -> PolicyKind;

    fn mode(&self) -> PolicyMode;

    fn runs_in(&self, phase: Phase) -> bool;

    /// Needs the texts to decide. A policy that does not is never a reason to hold a body back.
    fn reads_text(&self) -> bool;

    /// Blocks or redacts, so that what it cannot judge is blocked; a logger lets it pass.
    fn fails_closed(&self) -> bool;

    /// Linear in the length of the texts. A panic counts as [`CannotJudge`].
    fn judge(&self, subject: &Subject<'_>) -> Result<Decision, CannotJudge>;

    /// Another policy has blocked the request before this one was asked: what counts requests counts it all the same.
    fn blocked_before(&self, _: &Subject<'_>) {}

    /// The header that says who asks, and is nobody else's business: it never goes on to a provider.
    fn identity_headers(&self) -> &[String] {
        &[]
    }

    /// The models of a target as whoever asks may see them; names and globs.
    fn shown_models(&self, target: &Target, _: &dyn Surroundings) -> Vec<String> {
        vec![target.model.clone()]
    }

    /// Whether whoever asks may use this model of a target.
    fn permits_model(&self, _: &Target, _model: &str, _: &dyn Surroundings) -> bool {
        true
    }

    /// Begins one text of a stream. `None`: this policy judges whole texts only, so each is held until it ends.
    fn flow(&self) -> Option<Box<dyn Flow>> {
        None
    }
}

/// What a policy is asked about: one body, and what is known of its request.
pub(crate) struct Subject<'a> {
    pub(crate) phase: Phase,
    /// Empty for a policy that does not read them.
    pub(crate) texts: &'a Texts<'a>,
    /// That the request asks for; empty in the output phase.
    pub(crate) model: &'a str,
    pub(crate) around: &'a dyn Surroundings,
    /// To be asked before each text.
    pub(crate) budget: &'a Budget<'a>,
}

/// One text of a stream as one policy reads it: taken as it comes, given on as soon as nothing that may follow
/// can change it. However the text is cut, what is given on is what [`Policy::judge`] makes of it as a whole.
pub(crate) trait Flow: Send {
    /// Takes more of the text and adds what may be sent on to `out`; `last`: the text ends with it, nothing is
    /// held any longer. Not called again after a block, an error or after `last`.
    ///
    /// # Errors
    /// It takes more than is left of the stream's budget.
    fn take(
        &mut self,
        text: &str,
        last: bool,
        budget: &Budget<'_>,
        out: &mut Flowed,
    ) -> Result<(), CannotJudge>;

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
    pub(crate) class: BlockClass,
    /// The only targets that the request may go to.
    pub(crate) targets: Option<Arc<TargetFilter>>,
    pub(crate) metered: Metered,
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
