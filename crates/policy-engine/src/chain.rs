//! Runs the policies of one phase in chain order over one body: shadow, fail closed or open, and the
//! rule that each policy sees what the one before it left.

use policy_config::schema::{PolicyKind, PolicyMode};

use crate::endpoint::Endpoint;
use crate::json::Document;
use crate::policies::{CannotJudge, Decision, Policy};
use crate::surroundings::Surroundings;
use crate::text::{Phase, Texts};
use crate::verdict::{BlockReason, Inspection, PolicyRecord, Verdict};

/// The compiled policies in chain order.
#[derive(Debug)]
pub(crate) struct Chain {
    policies: Vec<Box<dyn Policy>>,
}

/// What a policy could not read is recorded under this code.
pub(crate) const UNREADABLE: &str = "response.unreadable";

// === impl Chain ===

impl Chain {
    pub(crate) fn new(policies: Vec<Box<dyn Policy>>) -> Self {
        Self { policies }
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

    pub(crate) fn inspect_input(
        &self,
        endpoint: Endpoint,
        document: Document<'_>,
        around: &dyn Surroundings,
    ) -> Inspection {
        self.inspect(endpoint, Phase::Input, document, around)
    }

    pub(crate) fn inspect_output(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        around: &dyn Surroundings,
    ) -> Inspection {
        match Document::parse(body) {
            Ok(document) => self.inspect(endpoint, Phase::Output, document, around),
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
            let nothing = (!policy.reads_text()).then(|| policy.judge(Phase::Output, &Texts::default()));
            inspection.record(policy, &nothing.and_then(Result::ok).unwrap_or_default());
        }
        inspection
    }

    pub(crate) fn pass_output(&self) -> Inspection {
        let mut inspection = Inspection::default();
        for policy in self.running(Phase::Output).filter(|policy| !policy.reads_text()) {
            let decision = policy.judge(Phase::Output, &Texts::default()).unwrap_or_default();
            inspection.record(policy, &decision);
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
                false => policy.judge(Phase::Output, &Texts::default()).unwrap_or_default(),
            };
            if inspection.enforce(policy, Phase::Output, decision) {
                break;
            }
        }
        inspection
    }

    fn inspect(
        &self,
        endpoint: Endpoint,
        phase: Phase,
        document: Document<'_>,
        _around: &dyn Surroundings,
    ) -> Inspection {
        let mut inspection = Inspection::default();
        let mut policies = self.running(phase);
        let mut document = document;
        let mut changed = false;
        while let Some(body) =
            self.run_until_change(endpoint, phase, &document, &mut policies, &mut inspection)
        {
            match Document::parse_owned(body) {
                Ok(next) => document = next,
                // a splice of escaped text into strings leaves JSON; were it ever not so, nothing goes out
                Err(error) => {
                    inspection.refuse_own_work(phase, &error.unquoted());
                    break;
                }
            }
            changed = true;
        }
        if changed && inspection.block.is_none() {
            inspection.body = Some(document.into_source());
        }
        inspection
    }

    /// Runs on until the texts are no longer what was read, and gives the body that replaces it.
    fn run_until_change<'c>(
        &self,
        endpoint: Endpoint,
        phase: Phase,
        document: &Document<'_>,
        policies: &mut impl Iterator<Item = &'c dyn Policy>,
        inspection: &mut Inspection,
    ) -> Option<Vec<u8>> {
        let texts = Texts::at(endpoint, phase, document);
        for policy in policies {
            let decision = policy.judge(phase, &texts).unwrap_or_else(|fault| on_fault(policy, fault));
            let applies = policy.mode() == PolicyMode::Enforce && decision.verdict == Verdict::Redact;
            let body = applies.then(|| texts.splice(document, &decision.edits));
            if inspection.enforce(policy, phase, decision) {
                return None;
            }
            if body.is_some() {
                return body;
            }
        }
        None
    }

    pub(crate) fn running(&self, phase: Phase) -> impl Iterator<Item = &dyn Policy> {
        self.policies().filter(move |policy| policy.runs_in(phase))
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
    fn enforce(&mut self, policy: &dyn Policy, phase: Phase, decision: Decision) -> bool {
        self.record(policy, &decision);
        self.count(policy, phase, decision)
    }

    fn count(&mut self, policy: &dyn Policy, phase: Phase, decision: Decision) -> bool {
        if policy.mode() == PolicyMode::Shadow {
            return false;
        }
        self.verdict = self.verdict.max(decision.verdict);
        if !decision.verdict.stops() {
            return false;
        }
        self.block = Some(BlockReason {
            policy: policy.kind(),
            message: decision.message,
            code: block_code(phase),
            reason_code: decision.reason_codes.first().copied().unwrap_or("policy.blocked"),
        });
        true
    }

    fn record(&mut self, policy: &dyn Policy, decision: &Decision) {
        self.policies.push(PolicyRecord {
            kind: policy.kind(),
            mode: policy.mode(),
            verdict: decision.verdict,
            reason_codes: decision.reason_codes.clone(),
            took: std::time::Duration::ZERO,
            redactions: u32::try_from(decision.edits.len()).unwrap_or(u32::MAX),
        });
    }

    fn refuse_own_work(&mut self, phase: Phase, error: &str) {
        let policy = self.policies.last().map_or(PolicyKind::PiiDetector, |record| record.kind);
        self.verdict = Verdict::Block;
        self.block = Some(BlockReason {
            policy,
            message: format!("the redacted body could not be read back: {error}"),
            code: block_code(phase),
            reason_code: "redaction.failed",
        });
    }
}

const fn block_code(phase: Phase) -> &'static str {
    match phase {
        Phase::Input => "input_blocked",
        Phase::Output => "output_blocked",
    }
}

pub(crate) fn on_fault(policy: &dyn Policy, fault: CannotJudge) -> Decision {
    let verdict = if policy.fails_closed() { Verdict::Block } else { Verdict::Allow };
    Decision { verdict, reason_codes: vec![fault.reason_code], message: fault.message, ..Decision::default() }
}
