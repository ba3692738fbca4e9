//! One text in, the parts of it that are personal data out: one pass of all patterns says which of
//! them to run, and what replaces the parts leaves nothing behind that would be found again.

mod closure;

use std::ops::Range;

use policy_config::Finding;
use policy_config::schema::PiiDetector;
use regex::Regex;

use super::marker::Markers;
use super::recognizer::{BuiltIn, Recognizer, built_in};
use crate::compile;
use crate::json::{Document, Shape, Value, encode};
use crate::text::Edit;

/// The compiled patterns of one `pii-detector`.
#[derive(Debug)]
pub(super) struct Scanner {
    built_in: &'static BuiltIn,
    /// For each built-in kind, in order: whether the pack wants it.
    wanted: Vec<bool>,
    own: Vec<(String, Regex)>,
    markers: Markers,
}

/// Personal data in a text, and what is to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<'s> {
    pub(super) label: &'s str,
    pub(super) range: Range<usize>,
    pub(super) replacement: String,
}

/// JSON in a string in JSON in a string: this far down.
const MAX_EMBEDDED: usize = 3;

// === impl Found ===

impl Found<'_> {
    pub(super) fn into_edit(self, piece: usize) -> Edit {
        Edit { piece, range: self.range, replacement: self.replacement }
    }
}

// === impl Scanner ===

impl Scanner {
    pub(super) fn compile(settings: &PiiDetector) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let built_in = built_in();
        let wanted = built_in.recognizers.iter().map(|(kind, _)| kind.is_wanted(settings)).collect();
        let mut own = Vec::new();
        for (label, source) in &settings.detect_patterns {
            let path = format!("policy.pii-detector.detect_patterns.{label}");
            match compile::pattern(source, &path) {
                Ok(regex) => own.push((label.clone(), regex)),
                Err(finding) => findings.push(finding),
            }
        }
        let markers = Markers::new(settings.marker_format, &settings.custom_markers);
        let scanner = Self { built_in, wanted, own, markers };
        findings.extend(scanner.refuse_detectable_markers(settings));
        if findings.is_empty() { Ok(scanner) } else { Err(findings) }
    }

    /// The personal data in a text, in order, without overlap.
    pub(super) fn scan(&self, text: &str) -> Vec<Found<'_>> {
        self.scan_embedded(text, MAX_EMBEDDED)
    }

    /// A text that is JSON itself (arguments of a tool call, most answers of tools) is read as such, so
    /// that its own escapes hide nothing and what is spliced in leaves it JSON.
    fn scan_embedded(&self, text: &str, levels: usize) -> Vec<Found<'_>> {
        let mut found = Vec::new();
        let may_be_json = levels > 0 && text.trim_start().starts_with(['{', '[']);
        if let Some(document) = may_be_json.then(|| Document::parse(text.as_bytes()).ok()).flatten() {
            self.scan_value(&document, document.root(), levels - 1, &mut found);
        }
        let embedded = found.len();
        for plain in self.scan_plain(text) {
            // those found as JSON are in the order of the text and disjoint
            let as_json = found.get(..embedded).unwrap_or_default();
            let begun = as_json.partition_point(|inner| inner.range.start < plain.range.end);
            let last = begun.checked_sub(1).and_then(|at| as_json.get(at));
            if last.is_none_or(|inner| inner.range.end <= plain.range.start) {
                found.push(plain);
            }
        }
        found.sort_by_key(|one| one.range.start);
        found
    }

    fn scan_value<'s>(
        &'s self,
        document: &Document<'_>,
        value: &Value,
        levels: usize,
        found: &mut Vec<Found<'s>>,
    ) {
        match &value.shape {
            Shape::String => self.scan_string(document, value.span, levels, found),
            Shape::Number => {
                let number = document.raw(value.span);
                if let Some(first) = self.scan_plain(number).into_iter().next() {
                    let marker = self.markers.replace(first.label, number);
                    let replacement = format!("\"{}\"", encode(&marker));
                    found.push(Found { range: value.span.start..value.span.end, replacement, ..first });
                }
            }
            Shape::Array(items) => {
                items.iter().for_each(|item| self.scan_value(document, item, levels, found))
            }
            Shape::Object(members) => {
                for member in members {
                    self.scan_string(document, member.key, levels, found);
                    self.scan_value(document, &member.value, levels, found);
                }
            }
            Shape::Null | Shape::Bool(_) => {}
        }
    }

    fn scan_string<'s>(
        &'s self,
        document: &Document<'_>,
        span: crate::json::Span,
        levels: usize,
        found: &mut Vec<Found<'s>>,
    ) {
        let string = document.string(span);
        for inner in self.scan_embedded(string.text(), levels) {
            let place = string.source_span(&inner.range);
            let replacement = encode(&inner.replacement);
            found.push(Found { range: place.start..place.end, replacement, ..inner });
        }
    }

    fn scan_plain(&self, text: &str) -> Vec<Found<'_>> {
        let first = self.matches(text);
        if first.is_empty() {
            return Vec::new();
        }
        closure::close(text, first, |text| self.matches(text), &self.markers)
    }

    /// Label and place of every match; overlapping ones become one under the label of the first kind.
    fn matches(&self, text: &str) -> Vec<(&str, Range<usize>)> {
        let mut places: Vec<(usize, &str, Range<usize>)> = Vec::new();
        for at in self.built_in.prefilter.matches(text).filter(|at| self.wanted.get(*at) == Some(&true)) {
            if let Some((kind, regex)) = self.built_in.recognizer(at) {
                confirmed(kind, regex, text, |range| places.push((at, kind.label, range)));
            }
        }
        for (at, (label, regex)) in self.own.iter().enumerate() {
            let matches = regex.find_iter(text).filter(|found| !found.is_empty());
            places.extend(matches.map(|found| (self.wanted.len() + at, label.as_str(), found.range())));
        }
        places.sort_by_key(|(_, _, range)| range.start);
        closure::unite(places)
    }

    /// A marker that is itself found would be redacted again on the way back.
    fn refuse_detectable_markers(&self, settings: &PiiDetector) -> Vec<Finding> {
        let refused = settings.custom_markers.iter().filter(|(_, marker)| !self.matches(marker).is_empty());
        refused
            .map(|(label, _)| {
                let path = format!("policy.pii-detector.redaction.custom_markers.{label}");
                let message = "this marker is itself detected as personal data".to_owned();
                compile::finding("C002", &path, message, "use plain words in brackets, as [EMAIL]".to_owned())
            })
            .collect()
    }
}

/// Asks a kind about each of its candidates. A refused one may hide another that begins inside it.
fn confirmed(kind: &Recognizer, regex: &Regex, text: &str, mut keep: impl FnMut(Range<usize>)) {
    let mut from = 0;
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
