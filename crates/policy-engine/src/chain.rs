//! Runs the policies of one phase in chain order over one body: shadow, fail closed or open, and the
//! rule that each policy sees what the one before it left.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use policy_config::schema::{PolicyKind, PolicyMode};

use crate::budget::Budget;
use crate::endpoint::Endpoint;
use crate::json::Document;
use crate::policies::{CannotJudge, Decision, Policy, Subject};
use crate::surroundings::{Nowhere, Surroundings};
use crate::target::Target;
use crate::text::{Phase, Texts};
use crate::usage::UsageReader;
use crate::verdict::{BlockClass, BlockReason, Inspection, PolicyRecord, Verdict};

/// The compiled policies in chain order.
#[derive(Debug)]
pub(crate) struct Chain {
    policies: Vec<Box<dyn Policy>>,
    /// Processor time for one body.
    budget: Duration,
}

/// One phase over one body.
struct Run<'a> {
    endpoint: Endpoint,
    phase: Phase,
    model: &'a str,
    around: &'a dyn Surroundings,
    budget: Budget<'a>,
    inspection: Inspection,
    /// Some policy of the phase reads texts.
    reads: bool,
    /// When the last policy was done.
    told: Duration,
}

/// What a policy could not read is recorded under this code.
pub(crate) const UNREADABLE: &str = "response.unreadable";
/// A policy that panicked is recorded under this code.
const FAILED: &str = "policy.failed";

// === impl Chain ===

impl Chain {
    pub(crate) fn new(policies: Vec<Box<dyn Policy>>, budget: Duration) -> Self {
        Self { policies, budget }
    }

    pub(crate) fn policies(&self) -> impl Iterator<Item = &dyn Policy> {
        self.policies.iter().map(Box::as_ref)
    }

    pub(crate) fn reads_output(&self) -> bool {
        self.running(Phase::Output).any(Policy::reads_text)
    }

    /// A policy that reads answers may change them or hold them back.
    pub(crate) fn guards_output(&self) -> bool {
        self.running(Phase::Output).any(|policy| policy.reads_text() && policy.mode() == PolicyMode::Enforce)
    }

    /// What the enforced policies leave of a target's models to whoever asks.
    pub(crate) fn shown_models(&self, target: &Target, around: &dyn Surroundings) -> Vec<String> {
        let restricting =
            self.policies().find(|p| p.kind() == PolicyKind::ModelAccess && p.mode() == PolicyMode::Enforce);
        restricting.map_or_else(|| vec![target.model.clone()], |policy| policy.shown_models(target, around))
    }

    /// Whether the enforced policies let whoever asks use this model of a target.
    pub(crate) fn permits_model(&self, target: &Target, model: &str, around: &dyn Surroundings) -> bool {
        let mut enforced = self.policies().filter(|policy| policy.mode() == PolicyMode::Enforce);
        enforced.all(|policy| policy.permits_model(target, model, around))
    }

    /// `model`: that the request asks for.
    pub(crate) fn inspect_input(
        &self,
        endpoint: Endpoint,
        model: &str,
        document: Document<'_>,
        around: &dyn Surroundings,
    ) -> Inspection {
        self.inspect(endpoint, Phase::Input, model, document, around)
    }

    pub(crate) fn inspect_output(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        around: &dyn Surroundings,
    ) -> Inspection {
        match Document::parse(body) {
            Ok(document) => Inspection {
                usage: UsageReader::of_document(&document),
                ..self.inspect(endpoint, Phase::Output, "", document, around)
            },
            Err(error) => self
                .unreadable(&format!("the provider's answer could not be inspected: {}", error.unquoted())),
        }
    }

    /// A policy that reads requests may change or refuse them.
    pub(crate) fn guards_input(&self) -> bool {
        self.running(Phase::Input).any(|policy| policy.reads_text() && policy.mode() == PolicyMode::Enforce)
    }

    /// The output phase over nothing: a record for each policy that runs in it.
    pub(crate) fn begin_output(&self) -> Inspection {
        let mut inspection = Inspection::default();
        for policy in self.running(Phase::Output) {
            let nothing = (!policy.reads_text()).then(|| self.judge_unread(policy));
            inspection.record(policy, &nothing.unwrap_or_default(), Duration::ZERO);
        }
        inspection
    }

    pub(crate) fn pass_output(&self) -> Inspection {
        let mut inspection = Inspection::default();
        for policy in self.running(Phase::Output).filter(|policy| !policy.reads_text()) {
            let decision = self.judge_unread(policy);
            inspection.record(policy, &decision, Duration::ZERO);
        }
        inspection
    }

    /// The output phase over something that is no JSON: a policy that fails closed blocks it.
    pub(crate) fn unreadable(&self, message: &str) -> Inspection {
        let mut inspection = Inspection::default();
        for policy in self.running(Phase::Output) {
            let decision = match policy.reads_text() {
                true => {
                    on_fault(policy, CannotJudge { reason_code: UNREADABLE, message: message.to_owned() })
                }
                false => self.judge_unread(policy),
            };
            if inspection.enforce(policy, Phase::Output, decision, Duration::ZERO) {
                break;
            }
        }
        inspection
    }

    /// The decision over an answer of which this policy reads nothing.
    fn judge_unread(&self, policy: &dyn Policy) -> Decision {
        judge_answer(policy, &Texts::default(), &Nowhere, &Budget::new(&Nowhere, self.budget, 0))
    }

    /// For a part of a stream, after so much was used; `size` with what is held of its text.
    pub(crate) fn budget_of_part<'a>(
        &self,
        around: &'a dyn Surroundings,
        spent: Duration,
        size: usize,
    ) -> Budget<'a> {
        Budget::of_part(around, self.budget, spent, size)
    }

    fn inspect(
        &self,
        endpoint: Endpoint,
        phase: Phase,
        model: &str,
        document: Document<'_>,
        around: &dyn Surroundings,
    ) -> Inspection {
        let mut run = Run {
            endpoint,
            phase,
            model,
            around,
            budget: Budget::new(around, self.budget, document.source().len()),
            inspection: Inspection::default(),
            reads: self.running(phase).any(Policy::reads_text),
            told: around.now(),
        };
        let mut policies = self.running(phase);
        let mut document = document;
        let mut changed = false;
        while let Some(body) = run.until_change(&document, &mut policies) {
            match Document::parse_owned(body) {
                Ok(next) => document = next,
                // a splice of escaped text into strings leaves JSON; were it ever not so, nothing goes out
                Err(error) => {
                    run.inspection.refuse_own_work(phase, &error.unquoted());
                    break;
                }
            }
            changed = true;
        }
        if run.inspection.block.is_some() {
            let nothing = Texts::default();
            let subject = run.subject(&nothing);
            policies.for_each(|policy| policy.blocked_before(&subject));
        }
        let mut inspection = run.inspection;
        if changed && inspection.block.is_none() {
            inspection.body = Some(document.into_source());
        }
        inspection
    }

    pub(crate) fn running(&self, phase: Phase) -> impl Iterator<Item = &dyn Policy> {
        self.policies().filter(move |policy| policy.runs_in(phase))
    }
}

// === impl Run ===

impl Run<'_> {
    /// Runs on until the texts are no longer what was read, and gives the body that replaces it.
    fn until_change<'c>(
        &mut self,
        document: &Document<'_>,
        policies: &mut impl Iterator<Item = &'c dyn Policy>,
    ) -> Option<Vec<u8>> {
        let texts = match self.reads {
            true => Texts::at(self.endpoint, self.phase, document),
            false => Texts::default(),
        };
        for policy in policies {
            let decision = match policy.reads_text().then(|| self.budget.check()) {
                Some(Err(fault)) => on_fault(policy, fault),
                _ => {
                    let decision = judge(policy, &self.subject(&texts));
                    let decision = if texts.can_be_spliced(&decision.edits) {
                        decision
                    } else {
                        unless_coded(self.phase, decision)
                    };
                    within(&self.budget, policy, decision)
                }
            };
            let applies = policy.mode() == PolicyMode::Enforce && decision.verdict == Verdict::Redact;
            let body = applies.then(|| texts.splice(document, &decision.edits));
            let took = self.lap();
            if self.inspection.enforce(policy, self.phase, decision, took) {
                return None;
            }
            if body.is_some() {
                return body;
            }
        }
        None
    }

    fn subject<'s>(&'s self, texts: &'s Texts<'s>) -> Subject<'s> {
        let Self { phase, model, around, ref budget, .. } = *self;
        Subject { phase, texts, model, around, budget }
    }

    /// Time since it was last asked.
    fn lap(&mut self) -> Duration {
        let now = self.around.now();
        now.saturating_sub(std::mem::replace(&mut self.told, now))
    }
}

// === impl Inspection ===

impl Inspection {
    /// What the policy at this place of the phase decided of one more text. True: nothing more may be sent.
    pub(crate) fn add_decision(
        &mut self,
        at: usize,
        policy: &dyn Policy,
        redactions: u32,
        decision: Decision,
    ) -> bool {
        if let Some(record) = self.policies.get_mut(at) {
            record.verdict = record.verdict.max(decision.verdict);
            record.redactions = record.redactions.saturating_add(redactions);
            for code in &decision.reason_codes {
                if !record.reason_codes.contains(code) {
                    record.reason_codes.push(code);
                }
            }
        }
        self.count(policy, Phase::Output, decision)
    }

    /// Records a decision and, unless it is shadowed, makes it count. True: the chain ends here.
    fn enforce(&mut self, policy: &dyn Policy, phase: Phase, decision: Decision, took: Duration) -> bool {
        self.record(policy, &decision, took);
        self.count(policy, phase, decision)
    }

    fn count(&mut self, policy: &dyn Policy, phase: Phase, decision: Decision) -> bool {
        if policy.mode() == PolicyMode::Shadow {
            self.metered.charges.extend(decision.metered.charges);
            return false;
        }
        self.metered.add(decision.metered);
        if decision.targets.is_some() {
            self.targets = decision.targets;
        }
        self.verdict = self.verdict.max(decision.verdict);
        if !decision.verdict.stops() {
            return false;
        }
        self.block = Some(BlockReason {
            policy: policy.kind(),
            class: decision.class,
            message: decision.message,
            code: decision.class.code(phase),
            reason_code: decision.reason_codes.first().copied().unwrap_or("policy.blocked"),
        });
        true
    }

    fn record(&mut self, policy: &dyn Policy, decision: &Decision, took: Duration) {
        self.policies.push(PolicyRecord {
            kind: policy.kind(),
            mode: policy.mode(),
            verdict: decision.verdict,
            reason_codes: decision.reason_codes.clone(),
            took,
            redactions: u32::try_from(decision.edits.len()).unwrap_or(u32::MAX),
        });
    }

    fn refuse_own_work(&mut self, phase: Phase, error: &str) {
        let policy = self.policies.last().map_or(PolicyKind::PiiDetector, |record| record.kind);
        self.verdict = Verdict::Block;
        self.block = Some(BlockReason {
            policy,
            class: BlockClass::Fault,
            message: format!("the redacted body could not be read back: {error}"),
            code: BlockClass::Fault.code(phase),
            reason_code: "redaction.failed",
        });
    }
}

/// What would be redacted in a file is blocked.
fn unless_coded(phase: Phase, decision: Decision) -> Decision {
    let what = if phase == Phase::Input { "Request" } else { "Response" };
    let message =
        format!("{what} blocked: a file in it holds what must not pass, and a file cannot be redacted");
    Decision { verdict: Verdict::Block, edits: Vec::new(), message, ..decision }
}

/// What one policy says of texts of an answer.
pub(crate) fn judge_answer(
    policy: &dyn Policy,
    texts: &Texts<'_>,
    around: &dyn Surroundings,
    budget: &Budget<'_>,
) -> Decision {
    judge(policy, &Subject { phase: Phase::Output, texts, model: "", around, budget })
}

/// What a policy came to counts if it came to it in time.
pub(crate) fn within(budget: &Budget<'_>, policy: &dyn Policy, decision: Decision) -> Decision {
    if decision.verdict.stops() || !policy.reads_text() {
        return decision;
    }
    match budget.check() {
        Ok(()) => decision,
        Err(fault) => on_fault(policy, fault),
    }
}

/// What one policy says.
pub(crate) fn judge(policy: &dyn Policy, subject: &Subject<'_>) -> Decision {
    match guarded(policy, || policy.judge(subject)) {
        Ok(Ok(decision)) => decision,
        Ok(Err(fault)) => on_fault(policy, fault),
        Err(decision) => *decision,
    }
}

/// Runs a part of one policy: a panic in it is its own fault and nobody else's.
///
/// # Errors
/// It panicked; what is decided because of it.
pub(crate) fn guarded<T>(policy: &dyn Policy, work: impl FnOnce() -> T) -> Result<T, Box<Decision>> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| {
        let message = format!("the policy `{}` failed on this, so it was not passed on", policy.kind());
        let decision = on_fault(policy, CannotJudge { reason_code: FAILED, message });
        Box::new(Decision { class: BlockClass::Fault, ..decision })
    })
}

pub(crate) fn on_fault(policy: &dyn Policy, fault: CannotJudge) -> Decision {
    let verdict = if policy.fails_closed() { Verdict::Block } else { Verdict::Allow };
    Decision { verdict, reason_codes: vec![fault.reason_code], message: fault.message, ..Decision::default() }
}

#[cfg(test)]
mod tests;
