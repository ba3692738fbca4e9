//! The texts of a stream that have begun and not ended, each under every policy that reads answers.

mod judged;

use std::collections::BTreeMap;
use std::time::Duration;

use policy_config::schema::PolicyMode;

use self::judged::{Judged, keep_end};
use super::key::Key;
use crate::budget::Budget;
use crate::chain::Chain;
use crate::surroundings::Surroundings;
use crate::text::{Phase, is_word};
use crate::verdict::Inspection;

/// Texts by what names them.
#[derive(Default)]
pub(super) struct Flowing {
    open: BTreeMap<Key, Field>,
    ended: BTreeMap<Key, Tail>,
    held: usize,
    /// Of the stream's budget.
    spent: Duration,
}

/// One text under the chain's policies, in chain order.
#[derive(Default)]
struct Field {
    stages: Vec<Judged>,
    held: usize,
}

/// A text that has ended, as far back as what follows may make something of it.
#[derive(Default)]
struct Tail {
    /// By policy, what to begin with if it goes on; `None`: too long to be kept.
    ends: Option<Vec<End>>,
    /// What the last event brought of it, if that was all of the text.
    latest: String,
}

/// The end of a text under one policy.
#[derive(Default)]
struct End {
    /// What had been given on before the end, then what was held there, as it came.
    read: String,
    /// What was given on in all.
    given: String,
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
pub(super) type Judges<'a> = (&'a Chain, &'a dyn Surroundings, &'a Budget<'a>);

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
                field.begin_behind(&tail.ends.ok_or(Stopped::Sent)?, judges, inspection)?;
            }
            self.open.insert(key.clone(), field);
        }
        let Some(field) = self.open.get_mut(key) else { return Ok(String::new()) };
        self.held = self.held.saturating_sub(field.held);
        let given = field.take(text, judges, inspection)?;
        if !last {
            field.held = FIELD_COST + field.stages.iter().map(|judged| judged.stage.held()).sum::<usize>();
            self.held += field.held;
            return Ok(given);
        }
        let (held, ends) = field.end(judges, inspection)?;
        self.open.remove(key);
        self.remember(key, ends, "");
        Ok(given + &held)
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
        if named && !self.open.contains_key(key) && is_word(text) {
            let before = tail.map_or(Some(""), Tail::word);
            if let Some(before) = before {
                let mut both = before.to_owned() + text;
                keep_end(&mut both, 4 * BEFORE);
                let end = || End { read: both.clone(), given: both.clone() };
                let ends = judges.0.running(Phase::Output).map(|_| end()).collect();
                self.remember(key, Some(ends), text);
                return Ok(text.to_owned());
            }
        }
        if is_repeated {
            self.forget(key);
        }
        let given = self.take(key, text, true, judges, inspection)?;
        if let Some(tail) = self.forget(key) {
            // what comes next does not make a match longer: it is another text, if it makes no new one
            let as_given = |end: End| End { read: end.given.clone(), ..end };
            let ends = tail.ends.map(|ends| ends.into_iter().map(as_given).collect());
            self.remember(key, ends, text);
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
            given.push_str(&field.end(judges, inspection)?.0);
        }
        Ok(given)
    }

    fn remember(&mut self, key: &Key, ends: Option<Vec<End>>, latest: &str) {
        self.forget(key);
        let latest = if latest.len() > LONGEST_TAIL { String::new() } else { latest.to_owned() };
        let is_kept = |ends: &Vec<End>| ends.iter().map(End::len).sum::<usize>() <= 2 * LONGEST_TAIL;
        let tail = Tail { ends: ends.filter(is_kept), latest };
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

    /// What the stream's budget leaves for more of a text.
    pub(super) fn budget<'a>(
        &self,
        key: &Key,
        text: &str,
        chain: &Chain,
        around: &'a dyn Surroundings,
    ) -> Budget<'a> {
        let held = self.open.get(key).map_or(0, |field| field.held.saturating_sub(FIELD_COST));
        chain.budget_of_part(around, self.spent, text.len() + held)
    }

    /// What the stream's policies have used so far.
    pub(super) fn spends(&mut self, spent: Duration) {
        self.spent = spent;
    }

    /// Bytes of text alone.
    pub(super) fn text_held(&self) -> usize {
        self.held.saturating_sub(FIELD_COST * self.open.len())
    }
}

// === impl Field ===

impl Field {
    fn begin(chain: &Chain) -> Self {
        Self { stages: chain.running(Phase::Output).map(Judged::begin).collect(), held: 0 }
    }

    /// Takes what was read of a text before: of what comes out, that is no more to be sent.
    fn begin_behind(
        &mut self,
        ends: &[End],
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<(), Stopped> {
        let policies = judges.0.running(Phase::Output).enumerate();
        for ((policy, judged), end) in policies.zip(&mut self.stages).zip(ends) {
            judged.owed.push_str(&end.given);
            judged.take(policy, &end.read, false, judges, inspection)?;
        }
        Ok(())
    }

    /// More of the text: what may be sent of it now. Each policy reads what the one before it left.
    fn take(
        &mut self,
        text: &str,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<String, Stopped> {
        let mut left = text.to_owned();
        for (policy, judged) in judges.0.running(Phase::Output).enumerate().zip(&mut self.stages) {
            let given = judged.take(policy, &left, false, judges, inspection)?;
            if let Some(given) = given.filter(|_| policy.1.mode() == PolicyMode::Enforce) {
                left = given;
            }
        }
        Ok(left)
    }

    /// What was held of it, and where each policy is to begin if it goes on.
    fn end(
        &mut self,
        judges: Judges<'_>,
        inspection: &mut Inspection,
    ) -> Result<(String, Option<Vec<End>>), Stopped> {
        let (mut left, mut ends) = (String::new(), Some(Vec::with_capacity(self.stages.len())));
        for (policy, judged) in judges.0.running(Phase::Output).enumerate().zip(&mut self.stages) {
            let given = judged.take(policy, &left, false, judges, inspection)?;
            let read = judged.given.clone() + &judged.held;
            let is_whole = judged.held.len() >= judged.stage.held();
            let rest = judged.take(policy, "", true, judges, inspection)?;
            if let (Some(given), Some(rest), PolicyMode::Enforce) = (given, rest, policy.1.mode()) {
                left = given + &rest;
            }
            let end = End { read, given: std::mem::take(&mut judged.given) };
            ends = ends.filter(|_| is_whole);
            if let Some(ends) = &mut ends {
                ends.push(end);
            }
        }
        Ok((left, ends))
    }
}

// === impl Tail ===

impl Tail {
    /// All that came of it, if that was one word and no policy changed it.
    fn word(&self) -> Option<&str> {
        let end = self.ends.as_ref()?.first()?;
        (end.read == end.given && is_word(&end.read)).then_some(end.read.as_str())
    }

    fn cost(&self) -> usize {
        let ends = self.ends.iter().flatten().map(End::len).sum::<usize>();
        TAIL_COST + ends + self.latest.len()
    }
}

// === impl End ===

impl End {
    fn len(&self) -> usize {
        self.read.len() + self.given.len()
    }
}
