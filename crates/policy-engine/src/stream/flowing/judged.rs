//! One text of a stream under one policy.

use policy_config::schema::PolicyMode;

use super::{BEFORE, Judges, LONGEST_TAIL, Stopped};
use crate::chain::{guarded, judge_answer, on_fault, within};
use crate::policies::{Decision, Flow, Flowed, Policy};
use crate::text::Texts;
use crate::verdict::{Inspection, Verdict};

/// One text under one policy.
pub(super) struct Judged {
    pub(super) stage: Stage,
    /// What was given on of it, as far back as a look may reach.
    pub(super) given: String,
    /// What it holds, as it came; not all of that, if it is too long to be kept twice.
    pub(super) held: String,
    /// Of a text that goes on behind its end: what was given on already and is yet to come out again.
    pub(super) owed: String,
}

pub(super) enum Stage {
    /// It reads no texts, or has stopped one already and is shadowed.
    Over,
    Flows(Box<dyn Flow>),
    /// It judges whole texts only.
    Holds(String),
}

// === impl Judged ===

impl Judged {
    pub(super) fn begin(policy: &dyn Policy) -> Self {
        let stage = match policy.flow() {
            _ if !policy.reads_text() => Stage::Over,
            Some(flow) => Stage::Flows(flow),
            None => Stage::Holds(String::new()),
        };
        Self { stage, given: String::new(), held: String::new(), owed: String::new() }
    }

    /// More of the text under the policy at this place of the phase. `None`: it reads no more of it.
    pub(super) fn take(
        &mut self,
        (at, policy): (usize, &dyn Policy),
        text: &str,
        last: bool,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<Option<String>, Stopped> {
        let begun = judges.1.now();
        let (mut given, redactions, decision) = self.stage.take(policy, text, last, judges);
        let decision = within(judges.2, policy, decision);
        if matches!(self.stage, Stage::Over) {
            return Ok(None);
        }
        if decision.verdict.stops() {
            self.stage = Stage::Over;
        }
        let stops = inspection.add_decision(at, policy, redactions, decision);
        if let Some(record) = inspection.policies.get_mut(at) {
            record.took += judges.1.now().saturating_sub(begun);
        }
        if stops {
            return Err(Stopped::Judged);
        }
        self.given.push_str(&given);
        if !last {
            keep_end(&mut self.given, BEFORE);
            self.held.push_str(text);
            keep_end(&mut self.held, self.stage.held());
            if self.held.len() > LONGEST_TAIL {
                self.held.clear();
            }
        }
        // what a shadowed policy would have changed was sent all the same
        match self.settle(&mut given, last) {
            Err(_) if policy.mode() == PolicyMode::Shadow => self.owed.clear(),
            settled => settled?,
        }
        Ok(Some(given))
    }

    /// Leaves out what was given on before.
    fn settle(&mut self, given: &mut String, last: bool) -> Result<(), Stopped> {
        if self.owed.is_empty() {
            return Ok(());
        }
        if let Some(news) = given.strip_prefix(self.owed.as_str()) {
            *given = news.to_owned();
            self.owed.clear();
        } else if let Some(owed) = self.owed.strip_prefix(given.as_str()).filter(|_| !last) {
            self.owed = owed.to_owned();
            given.clear();
        } else {
            return Err(Stopped::Sent);
        }
        Ok(())
    }
}

// === impl Stage ===

impl Stage {
    fn take(
        &mut self,
        policy: &dyn Policy,
        text: &str,
        last: bool,
        (_, around, budget): Judges<'_>,
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

    pub(super) fn held(&self) -> usize {
        match self {
            Self::Over => 0,
            Self::Flows(flow) => flow.held(),
            Self::Holds(held) => held.len(),
        }
    }
}

/// Leaves of a text its end, from the beginning of a character on.
pub(super) fn keep_end(text: &mut String, length: usize) {
    let outdated = text.floor_char_boundary(text.len().saturating_sub(length));
    text.drain(..outdated);
}
