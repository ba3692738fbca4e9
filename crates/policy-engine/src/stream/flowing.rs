//! The texts of a stream that have begun and not ended, each under every policy that reads answers.

use std::collections::BTreeMap;
use std::time::Duration;

use policy_config::schema::PolicyMode;

use super::key::Key;
use crate::budget::Budget;
use crate::chain::{Chain, guarded, judge_answer, on_fault, within};
use crate::policies::{Decision, Flow, Flowed, Policy};
use crate::surroundings::Surroundings;
use crate::text::{Phase, Texts};
use crate::verdict::{Inspection, Verdict};

/// Texts by what names them.
#[derive(Default)]
pub(super) struct Flowing {
    open: BTreeMap<Key, Field>,
    held: usize,
    /// Of the stream's budget.
    spent: Duration,
}

/// One text: what the chain's policies hold of it, in chain order.
#[derive(Default)]
struct Field {
    stages: Vec<Stage>,
    held: usize,
}

enum Stage {
    /// It reads no texts, or has stopped one already and is shadowed.
    Over,
    Flows(Box<dyn Flow>),
    /// It judges whole texts only.
    Holds(String),
}

/// Nothing more may be sent; the inspection says why.
#[derive(Debug)]
pub(super) struct Stopped;

/// What the threads, stages and names of one text take, roughly.
const FIELD_COST: usize = 16 * 1024;

// === impl Flowing ===

impl Flowing {
    /// Goes on with a text and gives what may be sent of it; `last`: all of it.
    pub(super) fn take(
        &mut self,
        key: &Key,
        text: &str,
        last: bool,
        (chain, around): (&Chain, &dyn Surroundings),
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        if !self.open.contains_key(key) {
            self.open.insert(key.clone(), Field::begin(chain));
        }
        let Some(field) = self.open.get_mut(key) else { return Ok(String::new()) };
        self.held = self.held.saturating_sub(field.held);
        let text_held = field.held.saturating_sub(FIELD_COST);
        let budget = chain.budget_of_part(around, self.spent, text.len() + text_held);
        let given = field.take(text, last, (chain, around, &budget), inspection);
        self.spent = budget.spent();
        field.held = FIELD_COST + field.stages.iter().map(Stage::held).sum::<usize>();
        if last {
            self.open.remove(key);
        } else {
            self.held += field.held;
        }
        given
    }

    /// The names of those that have begun, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.open.keys()
    }

    /// Bytes, roughly.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Bytes of text alone.
    pub(super) fn text_held(&self) -> usize {
        self.held.saturating_sub(FIELD_COST * self.open.len())
    }
}

// === impl Field ===

impl Field {
    fn begin(chain: &Chain) -> Self {
        let stage = |policy: &dyn Policy| match policy.flow() {
            _ if !policy.reads_text() => Stage::Over,
            Some(flow) => Stage::Flows(flow),
            None => Stage::Holds(String::new()),
        };
        Self { stages: chain.running(Phase::Output).map(stage).collect(), held: 0 }
    }

    /// Each policy reads what the one before it left.
    fn take(
        &mut self,
        text: &str,
        last: bool,
        (chain, around, budget): (&Chain, &dyn Surroundings, &Budget<'_>),
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let mut left = text.to_owned();
        for (at, (policy, stage)) in chain.running(Phase::Output).zip(&mut self.stages).enumerate() {
            let begun = around.now();
            let (given, redactions, decision) = stage.take(policy, &left, last, (around, budget));
            let decision = within(budget, policy, decision);
            if matches!(stage, Stage::Over) {
                continue;
            }
            if decision.verdict.stops() {
                *stage = Stage::Over;
            }
            let stops = inspection.add_decision(at, policy, redactions, decision);
            if let Some(record) = inspection.policies.get_mut(at) {
                record.took += around.now().saturating_sub(begun);
            }
            if stops {
                return Err(Stopped);
            }
            if policy.mode() == PolicyMode::Enforce {
                left = given;
            }
        }
        Ok(left)
    }
}

// === impl Stage ===

impl Stage {
    fn take(
        &mut self,
        policy: &dyn Policy,
        text: &str,
        last: bool,
        (around, budget): (&dyn Surroundings, &Budget<'_>),
    ) -> (String, u32, Decision) {
        match self {
            Self::Over => Flowed::default().into_parts(),
            Self::Flows(flow) => {
                let mut flowed = Flowed::default();
                match guarded(policy, || flow.take(text, last, budget, &mut flowed)) {
                    Ok(Ok(())) => flowed.into_parts(),
                    Ok(Err(fault)) => (String::new(), 0, on_fault(policy, fault)),
                    Err(decision) => (String::new(), 0, *decision),
                }
            }
            Self::Holds(held) => {
                held.push_str(text);
                if !last {
                    return Flowed::default().into_parts();
                }
                let texts = Texts::bare(held);
                let decision = judge_answer(policy, &texts, around, budget);
                let left = match decision.verdict {
                    Verdict::Redact => texts.replaced(&decision.edits),
                    _ => held.clone(),
                };
                (left, u32::try_from(decision.edits.len()).unwrap_or(u32::MAX), decision)
            }
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Over => 0,
            Self::Flows(flow) => flow.held(),
            Self::Holds(held) => held.len(),
        }
    }
}
