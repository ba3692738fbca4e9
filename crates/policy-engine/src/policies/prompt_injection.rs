//! `prompt-injection`: looks for attempts to override, extract or impersonate instructions, in the
//! words as a model would read them and not as they are spelled.

mod encoded;
mod homoglyphs;
mod normalize;
mod own;
mod pattern_set;
mod patterns;
mod skim;

use policy_config::Finding;
use policy_config::schema::{DetectAction, PolicyKind, PolicyMode, PromptInjection};

pub use self::patterns::PATTERN_SET_VERSION;

use self::own::OwnPatterns;
use self::pattern_set::PatternSet;
use self::skim::Skim;
use super::{CannotJudge, Decision, Policy};
use crate::compile;
use crate::text::{Author, Phase, Texts};
use crate::verdict::Verdict;

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
    fn detects(&self, texts: &Texts<'_>) -> bool {
        [Author::User, Author::Model].into_iter().any(|author| {
            let words: Vec<&str> = by(author, texts).collect();
            match words.as_slice() {
                [] => false,
                [only] => self.matches(only, false),
                words => self.matches_together(words),
            }
        }) || by(Author::Application, texts).any(|text| self.matches(text, true))
    }

    fn matches_together(&self, words: &[&str]) -> bool {
        let with_gaps = words.join("\n");
        let skimmed = skim::skim(self.curated, &with_gaps);
        if self.matches_skimmed(&with_gaps, skimmed, false) {
            return true;
        }
        let without = words.concat();
        let skimmed = match skimmed {
            Skim::Bare if skim::seams_are_bare(self.curated, words) => Skim::Bare,
            _ => skim::skim(self.curated, &without),
        };
        self.matches_skimmed(&without, skimmed, false)
    }

    /// `trusted`: the application's own words, which may warn of an attack by quoting it.
    fn matches(&self, text: &str, trusted: bool) -> bool {
        self.matches_skimmed(text, skim::skim(self.curated, text), trusted)
    }

    fn matches_skimmed(&self, text: &str, skimmed: Skim, trusted: bool) -> bool {
        if skimmed != Skim::Suspicious && self.own.is_empty() {
            return false;
        }
        let plain = normalize::plain(text);
        self.own.is_match(text)
            || self.own.is_match(&plain)
            || skimmed == Skim::Suspicious && self.is_attack(text, &plain, trusted)
    }

    fn is_attack(&self, text: &str, plain: &str, trusted: bool) -> bool {
        self.curated.matches(plain, trusted)
            || encoded::hidden_texts(text)
                .iter()
                .any(|hidden| self.curated.matches(&normalize::plain(hidden), trusted))
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

    fn judge(&self, _: Phase, texts: &Texts<'_>) -> Result<Decision, CannotJudge> {
        if !self.detects(texts) {
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
            edits: Vec::new(),
            message: self.message.clone(),
        })
    }
}

fn by<'t>(author: Author, texts: &'t Texts<'_>) -> impl Iterator<Item = &'t str> {
    texts.pieces().iter().filter(move |piece| piece.author == author).map(|piece| piece.text())
}
