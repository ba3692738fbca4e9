//! Regular expressions of a pack, compiled to prove that they can be; and the search for literal keys.
//!
//! Cost is bounded whatever the patterns are: syntax is checked without building an automaton, then all
//! patterns of a list are built together under one size limit.

use std::collections::BTreeMap;

use regex::{RegexBuilder, RegexSet, RegexSetBuilder};

use super::fields::{Field, join};
use super::settings::{is_label, report_label};
use crate::lint::collector::{Collector, path_key};
use crate::lint::{rules, secrets};
use crate::schema::settings::{MAX_PATTERN_LENGTH, MAX_PATTERNS, PATTERN_SIZE_LIMIT};
use crate::tree::{Node, NodeKind};

const SHORTEN: &str =
    "use smaller counts in {…}, or ASCII classes such as [a-z] and (?-u:\\w) instead of \\w";

/// One pattern with its place.
struct Pattern<'t> {
    field: Field<'t>,
    source: String,
}

/// `attack_patterns`: a list of expressions.
pub(super) fn read_list(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<String>> {
    let items = field.items("a list of regular expressions", MAX_PATTERNS, findings)?;
    let patterns: Vec<Pattern<'_>> = items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| read_pattern(field.item(index, node), findings))
        .collect();
    let all_good = check_together(field, &patterns, findings) && patterns.len() == items.len();
    all_good.then(|| patterns.into_iter().map(|pattern| pattern.source).collect())
}

/// `detect_patterns`: expressions by label.
pub(super) fn read_map(field: &Field<'_>, findings: &mut Collector) -> Option<BTreeMap<String, String>> {
    let entries =
        field.entries("a mapping from label to regular expression, as EMPLOYEE_ID: 'E[0-9]{6}'", findings)?;
    if entries.len() > MAX_PATTERNS {
        let message = format!("`{}` has {} patterns; the limit is {MAX_PATTERNS}", field.path, entries.len());
        findings.add(rules::TOO_MANY_ITEMS, &field.path, field.node.at, message, "shorten it");
        return None;
    }
    let mut labels = Vec::new();
    let mut patterns = Vec::new();
    for entry in entries {
        let value = Field { path: join(&field.path, &path_key(&entry.key)), node: &entry.value };
        if !is_label(&entry.key) {
            report_label(&entry.key, &value.path, entry.key_at, findings);
        } else if let Some(pattern) = read_pattern(value, findings) {
            labels.push(entry.key.clone());
            patterns.push(pattern);
        }
    }
    let all_good = check_together(field, &patterns, findings) && patterns.len() == entries.len();
    all_good
        .then(|| labels.into_iter().zip(patterns).map(|(label, pattern)| (label, pattern.source)).collect())
}

/// Reports every scalar, key or value, that is shaped like a provider's key.
pub(super) fn refuse_secrets(node: &Node, path: &str, findings: &mut Collector) {
    match &node.kind {
        NodeKind::Scalar(scalar) if secrets::looks_like_secret(&scalar.text) => {
            // `secret_key_ref` and `api_key` report theirs with a better hint.
            if path.contains("secret_key_ref") || path.rsplit('.').next().is_some_and(secrets::is_secret_name)
            {
                return;
            }
            let message = "this holds something that looks like a key; it is not repeated here";
            let suggestion =
                "remove it, use secret_key_ref: {env: NAME}, and replace the key if the file was shared";
            findings.add(rules::LITERAL_SECRET, path, node.at, message, suggestion);
        }
        NodeKind::Scalar(_) => {}
        NodeKind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_secrets(item, &format!("{path}[{index}]"), findings);
            }
        }
        NodeKind::Mapping(entries) => {
            for entry in entries {
                refuse_secrets(&entry.value, &join(path, &path_key(&entry.key)), findings);
            }
        }
    }
}

/// Text of one pattern whose syntax is right.
fn read_pattern<'t>(field: Field<'t>, findings: &mut Collector) -> Option<Pattern<'t>> {
    let source = field.text(findings)?;
    if source.is_empty() || source.len() > MAX_PATTERN_LENGTH {
        let message = format!("a pattern has 1 to {MAX_PATTERN_LENGTH} bytes, not {}", source.len());
        findings.add(rules::BAD_REGEX, &field.path, field.node.at, message, "split or remove it");
        return None;
    }
    // With no room for an automaton, syntax errors are all that costs time.
    match RegexBuilder::new(&source).size_limit(0).build() {
        Err(regex::Error::Syntax(text)) => {
            let reason =
                text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
            let message = format!("the pattern does not compile: {reason}");
            let suggestion = "patterns run in linear time: no look-around and no back-references; single quotes keep backslashes as they are";
            findings.add(rules::BAD_REGEX, &field.path, field.node.at, message, suggestion);
            None
        }
        _ => Some(Pattern { field, source }),
    }
}

/// Builds all patterns at once. False when they are too big, or one matches the empty text.
fn check_together(field: &Field<'_>, patterns: &[Pattern<'_>], findings: &mut Collector) -> bool {
    let Some(set) = build(patterns) else {
        report_too_big(field, patterns, findings);
        return false;
    };
    let mut all_good = true;
    let matches_empty = set.matches("");
    let probes = ["a", "Z", "0", " ", "é", "\u{4e2d}"].map(|probe| set.matches(probe));
    for (index, Pattern { field, .. }) in patterns.iter().enumerate() {
        if matches_empty.matched(index) {
            let message = "the pattern matches the empty text, so it would match everywhere";
            findings.add(
                rules::BAD_REGEX,
                &field.path,
                field.node.at,
                message,
                "let it require at least one character",
            );
            all_good = false;
        } else if probes.iter().all(|probe| probe.matched(index)) {
            let message = "the pattern matches any text, so it would match every request";
            findings.add(
                rules::MATCHES_ANYTHING,
                &field.path,
                field.node.at,
                message,
                "make it more specific",
            );
        }
    }
    all_good
}

fn build(patterns: &[Pattern<'_>]) -> Option<RegexSet> {
    let sources = patterns.iter().map(|pattern| pattern.source.as_str());
    RegexSetBuilder::new(sources)
        .size_limit(PATTERN_SIZE_LIMIT)
        .dfa_size_limit(PATTERN_SIZE_LIMIT)
        .build()
        .ok()
}

/// A short list is bisected for the pattern that is too much; for a long one that would take too long.
fn report_too_big(field: &Field<'_>, patterns: &[Pattern<'_>], findings: &mut Collector) {
    const MAX_BISECTED: usize = 16;
    let culprit = match patterns.len() {
        0..=MAX_BISECTED => first_too_big(patterns).and_then(|index| patterns.get(index)),
        _ => None,
    };
    let (field, message) = match culprit {
        Some(Pattern { field, .. }) => {
            (field, "with this pattern the compiled patterns of the list are too big")
        }
        None => (field, "the compiled patterns of this list are too big together"),
    };
    findings.add(rules::BAD_REGEX, &field.path, field.node.at, message, SHORTEN);
}

/// The first pattern with which the list is over the limit.
fn first_too_big(patterns: &[Pattern<'_>]) -> Option<usize> {
    let (mut fits, mut too_big) = (0, patterns.len());
    while too_big - fits > 1 {
        let middle = fits.midpoint(too_big);
        if build(patterns.get(..middle)?).is_some() { fits = middle } else { too_big = middle }
    }
    too_big.checked_sub(1)
}
