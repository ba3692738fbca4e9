//! `dlp-filter`: keeps words and patterns of the pack's own from going in or coming out.

mod spelling;
mod terms;

use std::ops::Range;
use std::sync::Arc;

use policy_config::Finding;
use policy_config::schema::{DlpAction, DlpFilter, PolicyKind, PolicyMode};
use regex::Regex;

use self::terms::Terms;
use super::{CannotJudge, Decision, Flow, Policy, Subject};
use crate::compile;
use crate::redaction::{self, Look, LookFlow, Shapes, unite};
use crate::text::Phase;
use crate::verdict::Verdict;

const TERM: &str = "dlp.term";
const PATTERN: &str = "dlp.pattern";
/// What stands where a term stood.
const TERM_LABEL: &str = "BLOCKED_TERM";

#[derive(Debug)]
pub(crate) struct DlpFilterPolicy {
    mode: PolicyMode,
    action: DlpAction,
    filter: Arc<Filter>,
}

/// What is looked for.
#[derive(Debug)]
struct Filter {
    terms: Terms,
    patterns: Vec<(String, Regex)>,
    shapes: Shapes,
}

// === impl DlpFilterPolicy ===

impl DlpFilterPolicy {
    pub(crate) fn compile(settings: &DlpFilter) -> Result<Self, Vec<Finding>> {
        let filter = Arc::new(Filter::compile(settings)?);
        Ok(Self { mode: settings.mode, action: settings.action, filter })
    }

    /// Of its words alone, which may be any; a pattern that matches ordinary text is a mistake.
    pub(crate) fn is_about_terms(decision: &Decision) -> bool {
        decision.reason_codes == [TERM]
    }

    fn block(labels: &[&str], phase: Phase) -> Decision {
        let what = if phase == Phase::Input { "Request" } else { "Response" };
        Decision {
            verdict: Verdict::Block,
            reason_codes: reasons(labels),
            message: format!("{what} blocked: it holds what must not pass ({})", labels.join(", ")),
            ..Decision::default()
        }
    }
}

impl Policy for DlpFilterPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::DlpFilter
    }

    fn mode(&self) -> PolicyMode {
        self.mode
    }

    fn runs_in(&self, _: Phase) -> bool {
        true
    }

    fn reads_text(&self) -> bool {
        true
    }

    fn fails_closed(&self) -> bool {
        true
    }

    fn judge(&self, subject: &Subject<'_>) -> Result<Decision, CannotJudge> {
        let (edits, labels) = redaction::scan_all(self.filter.as_ref(), subject)?;
        Ok(match self.action {
            _ if edits.is_empty() => Decision::default(),
            DlpAction::Block => Self::block(&labels, subject.phase),
            DlpAction::Redact => {
                let reason_codes = reasons(&labels);
                Decision { verdict: Verdict::Redact, reason_codes, edits, ..Decision::default() }
            }
        })
    }

    fn flow(&self) -> Option<Box<dyn Flow>> {
        let finding = match self.action {
            DlpAction::Redact => redaction::Finding::Replace(reason),
            DlpAction::Block => {
                redaction::Finding::Stop(Arc::new(|label| Self::block(&[label], Phase::Output)))
            }
        };
        Some(Box::new(LookFlow::new(Arc::clone(&self.filter), finding)))
    }
}

// === impl Filter ===

impl Filter {
    fn compile(settings: &DlpFilter) -> Result<Self, Vec<Finding>> {
        const PATH: &str = "policy.dlp-filter";
        let broken = |error: &str| vec![compile::finding("C001", PATH, error.to_owned(), String::new())];
        let mut findings = Vec::new();
        let mut patterns = Vec::new();
        for (label, source) in &settings.detect_patterns {
            match compile::pattern(source, &format!("{PATH}.detect_patterns.{label}")) {
                Ok(regex) => patterns.push((label.clone(), regex)),
                Err(finding) => findings.push(finding),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let terms = Terms::compile(&settings.blocked_terms).map_err(|error| broken(&error))?;
        let shapes = terms.shapes().iter().map(String::as_str);
        let shapes = Shapes::new(shapes.chain(patterns.iter().map(|(_, regex)| regex.as_str())))
            .map_err(|error| broken(&error))?;
        let filter = Self { terms, patterns, shapes };
        let findings = filter.refuse_detectable_markers(PATH);
        if findings.is_empty() { Ok(filter) } else { Err(findings) }
    }

    /// A marker that is itself found would be replaced again on the way back.
    fn refuse_detectable_markers(&self, path: &str) -> Vec<Finding> {
        let terms = (!self.terms.is_empty()).then(|| (format!("{path}.blocked_terms"), TERM_LABEL));
        let patterns = self.patterns.iter();
        let patterns = patterns.map(|(label, _)| (format!("{path}.detect_patterns.{label}"), label.as_str()));
        let markers = terms.into_iter().chain(patterns);
        let refused = markers.filter(|(_, label)| !self.matches(&self.marker(label, ""), 0).is_empty());
        let finding = |(path, label): (String, &str)| {
            let message = format!("its marker [{label}] is itself something that must not pass");
            compile::finding("C002", &path, message, "choose another term or label".to_owned())
        };
        refused.map(finding).collect()
    }
}

impl Look for Filter {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn matches(&self, text: &str, from: usize) -> Vec<(&str, Range<usize>)> {
        let terms = self.terms.find(text, from).into_iter();
        let mut places: Vec<(usize, &str, Range<usize>)> =
            terms.map(|range| (0, TERM_LABEL, range)).collect();
        for (rank, (label, regex)) in self.patterns.iter().enumerate() {
            let mut from = from;
            while let Some(found) = regex.find_at(text, from) {
                from = found.end();
                if !found.is_empty() {
                    places.push((rank + 1, label.as_str(), found.range()));
                } else if from >= text.len() {
                    break;
                } else {
                    from = text.ceil_char_boundary(from + 1);
                }
            }
        }
        places.sort_by_key(|(_, _, range)| range.start);
        unite(places)
    }

    fn marker(&self, label: &str, _: &str) -> String {
        format!("[{label}]")
    }
}

fn reason(label: &str) -> &'static str {
    if label == TERM_LABEL { TERM } else { PATTERN }
}

fn reasons(labels: &[&str]) -> Vec<&'static str> {
    let mut codes: Vec<_> = labels.iter().map(|label| reason(label)).collect();
    codes.sort_unstable_by(|one, other| other.cmp(one));
    codes.dedup();
    codes
}

#[cfg(test)]
mod tests;
