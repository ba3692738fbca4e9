//! The patterns that a pack brings along: one scan for what they require says which of them to run.

use regex::Regex;

use super::needs::{Form, needs};
use crate::policies::anchors::Anchors;

/// All patterns of one pack.
#[derive(Debug, Default)]
pub(super) struct OwnPatterns {
    regexes: Vec<Regex>,
    /// Of each, what a text must hold one of; in lower case.
    needed: Vec<Option<Vec<String>>>,
    /// `None`: each is run over every text.
    anchors: Option<Anchors>,
}

// === impl OwnPatterns ===

impl OwnPatterns {
    pub(super) fn push(&mut self, source: &str, regex: Regex) {
        self.needed.push(anchors(source));
        self.regexes.push(regex);
    }

    /// To be said when all are in.
    pub(super) fn ready(mut self) -> Self {
        self.anchors = Anchors::new(&std::mem::take(&mut self.needed));
        self
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let Some(anchors) = self.anchors.as_ref().filter(|_| !self.regexes.is_empty()) else {
            return self.regexes.iter().any(|regex| regex.is_match(text));
        };
        // anchors are in lower case
        let candidates = anchors.candidates(&text.to_ascii_lowercase());
        candidates.into_iter().filter_map(|at| self.regexes.get(at)).any(|regex| regex.is_match(text))
    }
}

fn anchors(source: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::parse(source).ok()?;
    let need = needs(&hir, Form::Plain);
    let (_, literals) = need.rarest()?;
    Some(literals.iter().map(|literal| literal.to_ascii_lowercase()).collect())
}
