//! `prompt-injection`: looks for attempts to override, extract or impersonate instructions, in the
//! words as a model would read them and not as they are spelled.

mod commonness;
mod encoded;
mod family;
mod heads;
mod homoglyphs;
mod kinds;
mod lexicon;
mod near;
mod needs;
mod normalize;
#[cfg(test)]
mod order;
mod own;
mod parts;
mod pattern_set;
mod patterns;
mod plan;
#[cfg(test)]
mod planning;
mod runs;
mod seams;
mod spots;
mod together;
mod words;

use policy_config::Finding;
use policy_config::schema::{DetectAction, PolicyKind, PolicyMode, PromptInjection};

pub use self::patterns::PATTERN_SET_VERSION;

use self::own::OwnPatterns;
use self::pattern_set::PatternSet;
use self::seams::Closed;
use super::{CannotJudge, Decision, Policy, Subject};
use crate::budget::Budget;
use crate::compile;
use crate::text::{Author, Phase, Texts};
use crate::verdict::Verdict;

/// Whose words a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Foreign,
    /// The application's own words, which may warn of an attack by quoting it.
    Trusted,
}

const DETECTED: &str = "prompt_injection.detected";

#[derive(Debug)]
pub(crate) struct PromptInjectionPolicy {
    mode: PolicyMode,
    action: DetectAction,
    message: String,
    curated: &'static PatternSet,
    own: OwnPatterns,
}

// === impl PromptInjectionPolicy ===

impl PromptInjectionPolicy {
    pub(crate) fn compile(settings: &PromptInjection) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut own = OwnPatterns::default();
        for (at, source) in settings.attack_patterns.iter().enumerate() {
            let path = format!("policy.prompt-injection.detection.attack_patterns[{at}]");
            match compile::pattern(source, &path) {
                Ok(regex) => own.push(source, regex),
                Err(finding) => findings.push(finding),
            }
        }
        let curated = pattern_set::curated().map_err(|error| {
            vec![compile::finding("C001", "policy.prompt-injection", error.to_owned(), String::new())]
        })?;
        if !findings.is_empty() {
            return Err(findings);
        }
        let own = own.ready();
        let PromptInjection { mode, action, ref message, .. } = *settings;
        Ok(Self { mode, action, message: message.clone(), curated, own })
    }

    /// The words of everyone who is not the application are read as one text per author, in order, so
    /// that an attack split over messages is whole again: once with gaps between the messages and once
    /// without, for words that were cut.
    fn detects(&self, texts: &Texts<'_>, budget: &Budget<'_>) -> Result<bool, CannotJudge> {
        for author in [Author::User, Author::Model] {
            let words: Vec<&str> = by(author, texts).collect();
            if words.is_empty() {
                continue;
            }
            if self.matches(&words.join("\n"), Reading::Foreign, budget)? {
                return Ok(true);
            }
            if words.len() > 1 {
                let closed = Closed::of(&words);
                if self.matches_as(closed.text(), &closed.plain(), Reading::Foreign, budget)? {
                    return Ok(true);
                }
            }
        }
        for text in by(Author::Application, texts) {
            if self.matches(text, Reading::Trusted, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn matches(&self, text: &str, reading: Reading, budget: &Budget<'_>) -> Result<bool, CannotJudge> {
        budget.spend(text.len())?;
        self.matches_as(text, &(normalize::plain(text), Vec::new()), reading, budget)
    }

    /// With the plain text, and where its parts were put together without a gap.
    fn matches_as(
        &self,
        text: &str,
        (plain, seams): &(String, Vec<usize>),
        reading: Reading,
        budget: &Budget<'_>,
    ) -> Result<bool, CannotJudge> {
        if self.own.is_match(text) || self.own.is_match(plain) {
            return Ok(true);
        }
        budget.spend(text.len())?;
        if self.says(plain, seams, reading, budget)? {
            return Ok(true);
        }
        for hidden in encoded::hidden_texts(text) {
            budget.spend(hidden.len())?;
            if self.says(&normalize::plain(&hidden), &[], reading, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn says(
        &self,
        plain: &str,
        seams: &[usize],
        reading: Reading,
        budget: &Budget<'_>,
    ) -> Result<bool, CannotJudge> {
        if self.curated.matches(plain, seams, reading, budget)? {
            return Ok(true);
        }
        for turned in encoded::turned(plain) {
            if self.curated.matches(&turned, &[], reading, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
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

    fn judge(&self, subject: &Subject<'_>) -> Result<Decision, CannotJudge> {
        if !self.detects(subject.texts, subject.budget)? {
            return Ok(Decision::default());
        }
        let verdict = match self.action {
            DetectAction::Block => Verdict::Block,
            DetectAction::Escalate => Verdict::Escalate,
            DetectAction::Log => Verdict::Allow,
        };
        Ok(Decision {
            verdict,
            reason_codes: vec![DETECTED],
            message: self.message.clone(),
            ..Decision::default()
        })
    }
}

fn by<'t>(author: Author, texts: &'t Texts<'_>) -> impl Iterator<Item = &'t str> {
    texts.pieces().iter().filter(move |piece| piece.author == author).map(|piece| piece.text())
}
