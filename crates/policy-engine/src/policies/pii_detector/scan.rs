//! One text in, the parts of it that are personal data out: one pass of all patterns says which of
//! them to run.

use std::ops::Range;

use policy_config::Finding;
use policy_config::schema::PiiDetector;
use regex::Regex;

use super::marker::Markers;
use super::recognizer::{BuiltIn, Recognizer, built_in};
use crate::compile;
use crate::redaction::{Look, Shapes, unite};

/// The compiled patterns of one `pii-detector`.
#[derive(Debug)]
pub(super) struct Scanner {
    built_in: &'static BuiltIn,
    /// For each built-in kind, in order: whether the pack wants it.
    wanted: Vec<bool>,
    own: Vec<(String, Regex)>,
    markers: Markers,
    shapes: Shapes,
}

// === impl Scanner ===

impl Scanner {
    pub(super) fn compile(settings: &PiiDetector) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let broken = |error: &str| {
            vec![compile::finding("C001", "policy.pii-detector", error.to_owned(), String::new())]
        };
        let built_in = built_in();
        let wanted: Vec<bool> =
            built_in.recognizers.iter().map(|(kind, _)| kind.is_wanted(settings)).collect();
        let mut own = Vec::new();
        for (label, source) in &settings.detect_patterns {
            let path = format!("policy.pii-detector.detect_patterns.{label}");
            match compile::pattern(source, &path) {
                Ok(regex) => own.push((label.clone(), regex)),
                Err(finding) => findings.push(finding),
            }
        }
        if !findings.is_empty() {
            return Err(findings);
        }
        let kinds = built_in.recognizers.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let patterns =
            kinds.map(|((kind, _), _)| kind.candidate).chain(own.iter().map(|(_, regex)| regex.as_str()));
        let shapes = Shapes::new(patterns).map_err(|error| broken(&error))?;
        let markers = Markers::new(settings.marker_format, &settings.custom_markers);
        let scanner = Self { built_in, wanted, own, markers, shapes };
        let findings = scanner.refuse_detectable_markers(settings);
        if findings.is_empty() { Ok(scanner) } else { Err(findings) }
    }

    /// A marker that is itself found would be redacted again on the way back.
    fn refuse_detectable_markers(&self, settings: &PiiDetector) -> Vec<Finding> {
        let refused =
            settings.custom_markers.iter().filter(|(_, marker)| !self.matches(marker, 0).is_empty());
        refused
            .map(|(label, _)| {
                let path = format!("policy.pii-detector.redaction.custom_markers.{label}");
                let message = "this marker is itself detected as personal data".to_owned();
                compile::finding("C002", &path, message, "use plain words in brackets, as [EMAIL]".to_owned())
            })
            .collect()
    }
}

impl Look for Scanner {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Overlapping matches become one under the label of the first kind.
    fn matches(&self, text: &str, from: usize) -> Vec<(&str, Range<usize>)> {
        let mut places: Vec<(usize, &str, Range<usize>)> = Vec::new();
        for at in self.built_in.prefilter.matches(text).filter(|at| self.wanted.get(*at) == Some(&true)) {
            if let Some((kind, regex)) = self.built_in.recognizer(at) {
                confirmed(kind, regex, text, from, |range| places.push((at, kind.label, range)));
            }
        }
        for (at, (label, regex)) in self.own.iter().enumerate() {
            let mut from = from;
            while let Some(found) = regex.find_at(text, from) {
                if found.is_empty() {
                    from = text.ceil_char_boundary(found.end() + 1);
                    if found.end() >= text.len() {
                        break;
                    }
                } else {
                    from = found.end();
                    places.push((self.wanted.len() + at, label.as_str(), found.range()));
                }
            }
        }
        places.sort_by_key(|(_, _, range)| range.start);
        unite(places)
    }

    fn marker(&self, label: &str, found: &str) -> String {
        self.markers.replace(label, found)
    }
}

/// Asks a kind about each of its candidates. A refused one may hide another that begins inside it.
fn confirmed(kind: &Recognizer, regex: &Regex, text: &str, from: usize, mut keep: impl FnMut(Range<usize>)) {
    let mut from = from;
    while let Some(candidate) = regex.find_at(text, from).map(|found| found.range()) {
        let places = (kind.confirm)(text, candidate.clone());
        from = match places.last() {
            Some(last) => last.end,
            None if kind.covers_candidate => candidate.end,
            None => {
                candidate.start
                    + text
                        .get(candidate.start..)
                        .and_then(|rest| rest.chars().next())
                        .map_or(1, char::len_utf8)
            }
        };
        places.into_iter().for_each(&mut keep);
    }
}
