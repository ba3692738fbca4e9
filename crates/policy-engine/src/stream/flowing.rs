//! The texts of a stream that have begun and not ended, each under every policy that reads answers.

use std::collections::BTreeMap;

use policy_config::schema::PolicyMode;

use super::key::Key;
use crate::chain::{Chain, guarded};
use crate::policies::{Decision, Flow, Flowed, Policy};
use crate::surroundings::Surroundings;
use crate::text::{Phase, Texts, is_word};
use crate::verdict::{Inspection, Verdict};

/// Texts by what names them.
#[derive(Default)]
pub(super) struct Flowing {
    open: BTreeMap<Key, Field>,
    ended: BTreeMap<Key, Tail>,
    held: usize,
}

/// One text: what the chain's policies hold of it, in chain order.
#[derive(Default)]
struct Field {
    stages: Vec<Stage>,
    held: usize,
    /// The end of what was sent of it.
    said: String,
    /// Of a text that goes on behind its end: what was sent already and is yet to come out again.
    owed: String,
}

enum Stage {
    /// It reads no texts, or has stopped one already and is shadowed.
    Over,
    Flows(Box<dyn Flow>),
    /// It judges whole texts only.
    Holds(String),
}

/// What was sent of a text that has ended, as far back as what follows may make something of it.
#[derive(Default)]
struct Tail {
    /// `None`: too long to be kept.
    text: Option<String>,
    /// What the last event brought of it, if that was all of the text.
    latest: String,
}

/// Nothing more may be sent.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The inspection says why.
    Judged,
    /// A text went on behind its end, and makes something that is to be changed of what was sent.
    Sent,
    /// The stream has its error already.
    Told,
}

/// What judges a text, and with what.
pub(super) type Judges<'a> = (&'a Chain, &'a dyn Surroundings);

/// What the threads, stages and names of one text take, roughly.
const FIELD_COST: usize = 16 * 1024;
/// The same of one that has ended.
const TAIL_COST: usize = 256;
/// So far back a look may reach.
const BEFORE: usize = 64;
/// Of what was sent at the end of a text, more is not kept.
const LONGEST_TAIL: usize = 64 * 1024;

// === impl Flowing ===

impl Flowing {
    /// Goes on with a text and gives what may be sent of it; `last`: all of it.
    pub(super) fn take(
        &mut self,
        key: &Key,
        text: &str,
        last: bool,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        if !self.open.contains_key(key) {
            if text.is_empty() {
                return Ok(String::new());
            }
            let mut field = Field::begin(judges.0);
            if let Some(tail) = self.forget(key) {
                field.begin_behind(&tail.text.ok_or(Stopped::Sent)?, judges, inspection)?;
            }
            self.open.insert(key.clone(), field);
        }
        let Some(field) = self.open.get_mut(key) else { return Ok(String::new()) };
        self.held = self.held.saturating_sub(field.held);
        let mut given = field.take(text, judges, inspection)?;
        if last {
            given.push_str(&field.end(judges, inspection)?);
            let said = std::mem::take(&mut field.said);
            self.open.remove(key);
            self.remember(key, Some(said), "");
        } else {
            field.held = FIELD_COST + field.stages.iter().map(Stage::held).sum::<usize>();
            self.held += field.held;
        }
        Ok(given)
    }

    /// A text that ends with its event. If an earlier event brought the same, this is the same again; else they are
    /// judged as one. `named`: words are none.
    pub(super) fn take_whole(
        &mut self,
        key: &Key,
        text: &str,
        named: bool,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let tail = self.ended.get(key);
        let is_repeated = tail.is_some_and(|tail| tail.latest == text);
        if text.is_empty() || (is_repeated && named && is_word(text)) {
            return Ok(text.to_owned());
        }
        let before = tail.and_then(|tail| tail.text.as_deref()).filter(|_| !is_repeated).unwrap_or_default();
        let is_open = self.open.contains_key(key);
        if named
            && !is_open
            && is_word(text)
            && is_word(before)
            && tail.is_none_or(|tail| tail.text.is_some())
        {
            let mut both = before.to_owned();
            both.push_str(text);
            keep_end(&mut both, 4 * BEFORE);
            self.remember(key, Some(both), text);
            return Ok(text.to_owned());
        }
        if is_repeated {
            self.forget(key);
        }
        let given = self.take(key, text, true, judges, inspection)?;
        if let Some(tail) = self.forget(key) {
            self.remember(key, tail.text, text);
        }
        Ok(given)
    }

    /// What may be sent of a text that each event says from its beginning.
    pub(super) fn so_far(
        &self,
        text: &str,
        last: bool,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let mut field = Field::begin(judges.0);
        let mut given = field.take(text, judges, inspection)?;
        if last {
            given.push_str(&field.end(judges, inspection)?);
        }
        Ok(given)
    }

    fn remember(&mut self, key: &Key, text: Option<String>, latest: &str) {
        self.forget(key);
        let latest = if latest.len() > LONGEST_TAIL { String::new() } else { latest.to_owned() };
        let tail = Tail { text: text.filter(|text| text.len() <= LONGEST_TAIL), latest };
        self.held += tail.cost();
        self.ended.insert(key.clone(), tail);
    }

    fn forget(&mut self, key: &Key) -> Option<Tail> {
        let tail = self.ended.remove(key)?;
        self.held = self.held.saturating_sub(tail.cost());
        Some(tail)
    }

    /// Whether an event before this one brought another word under this key.
    pub(super) fn had_another(&self, key: &Key, word: &str) -> bool {
        !word.is_empty() && self.ended.get(key).is_some_and(|tail| tail.latest != word)
    }

    /// These texts begin anew: nothing was sent of them.
    pub(super) fn forget_all(&mut self, are: impl Fn(&Key) -> bool) {
        let keys: Vec<Key> = self.ended.keys().filter(|key| are(key)).cloned().collect();
        for key in keys {
            self.forget(&key);
        }
    }

    /// The names of those that have begun, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.open.keys()
    }

    /// Bytes, roughly.
    pub(super) fn held(&self) -> usize {
        self.held
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
        Self { stages: chain.running(Phase::Output).map(stage).collect(), ..Self::default() }
    }

    /// Takes what was sent of a text before: of what comes out, that is no more to be sent.
    fn begin_behind(
        &mut self,
        sent: &str,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<(), Stopped> {
        self.owed = sent.to_owned();
        self.take(sent, judges, inspection).map(drop)
    }

    /// More of the text: what may be sent of it now.
    fn take(
        &mut self,
        text: &str,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let mut given = self.judge(text, false, judges, inspection)?;
        if !given.is_empty() {
            self.said.push_str(&given);
            keep_end(&mut self.said, BEFORE);
        }
        self.settle(&mut given)?;
        Ok(given)
    }

    /// What was held of it. All of that belongs to the end of what was sent.
    fn end(&mut self, judges: Judges<'_>, inspection: &mut Inspection) -> Result<String, Stopped> {
        let mut given = self.judge("", true, judges, inspection)?;
        self.said.push_str(&given);
        self.settle(&mut given)?;
        if self.owed.is_empty() { Ok(given) } else { Err(Stopped::Sent) }
    }

    /// Leaves out what was sent before.
    fn settle(&mut self, given: &mut String) -> Result<(), Stopped> {
        if self.owed.is_empty() {
            return Ok(());
        }
        if let Some(news) = given.strip_prefix(self.owed.as_str()) {
            *given = news.to_owned();
            self.owed.clear();
        } else if let Some(owed) = self.owed.strip_prefix(given.as_str()) {
            self.owed = owed.to_owned();
            given.clear();
        } else {
            return Err(Stopped::Sent);
        }
        Ok(())
    }

    /// Each policy reads what the one before it left.
    fn judge(
        &mut self,
        text: &str,
        last: bool,
        (chain, around): Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let mut left = text.to_owned();
        for (at, (policy, stage)) in chain.running(Phase::Output).zip(&mut self.stages).enumerate() {
            let begun = around.now();
            let (given, redactions, decision) = stage.take(policy, &left, last, (chain, around));
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
                return Err(Stopped::Judged);
            }
            if policy.mode() == PolicyMode::Enforce {
                left = given;
            }
        }
        Ok(left)
    }
}

// === impl Tail ===

impl Tail {
    fn cost(&self) -> usize {
        TAIL_COST + self.text.as_ref().map_or(0, String::len) + self.latest.len()
    }
}

/// Leaves of a text its end, from the beginning of a character on.
fn keep_end(text: &mut String, length: usize) {
    let outdated = text.floor_char_boundary(text.len().saturating_sub(length));
    text.drain(..outdated);
}

// === impl Stage ===

impl Stage {
    fn take(
        &mut self,
        policy: &dyn Policy,
        text: &str,
        last: bool,
        (chain, around): Judges<'_>,
    ) -> (String, u32, Decision) {
        match self {
            Self::Over => Flowed::default().into_parts(),
            Self::Flows(flow) => {
                let mut flowed = Flowed::default();
                match guarded(policy, || flow.take(text, last, &mut flowed)) {
                    Ok(()) => flowed.into_parts(),
                    Err(decision) => (String::new(), 0, *decision),
                }
            }
            Self::Holds(held) => {
                held.push_str(text);
                if !last {
                    return Flowed::default().into_parts();
                }
                let texts = Texts::bare(held);
                let decision = chain.judge_answer(policy, &texts, held.len(), around);
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
