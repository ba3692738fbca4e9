//! Gathers findings while a pack is read, and decides what of a value may be repeated in a message.

use std::fmt::Write as _;

use super::report::{Finding, LintReport, Severity};
use super::rules::{self, Rule};
use super::secrets;
use crate::location::Location;

/// More than this many findings helps nobody and costs time on hostile input.
const MAX_FINDINGS: usize = 500;
/// Longest repeated part of a value, in characters.
const MAX_ECHO: usize = 200;

/// Findings in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    findings: Vec<Finding>,
    errors: usize,
    dropped: usize,
}

// === impl Collector ===

impl Collector {
    pub(crate) fn add(
        &mut self,
        rule: Rule,
        path: &str,
        location: Location,
        message: impl Into<String>,
        suggestion: impl Into<String>,
    ) {
        if rule.severity == Severity::Error {
            self.errors += 1;
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.dropped += 1;
            return;
        }
        self.findings.push(Finding {
            code: rule.code.to_owned(),
            severity: rule.severity,
            path: path.to_owned(),
            location,
            message: message.into(),
            suggestion: suggestion.into(),
        });
    }

    /// Takes over what another collector holds.
    pub(crate) fn append(&mut self, mut other: Self) {
        let room = MAX_FINDINGS.saturating_sub(self.findings.len());
        self.dropped += other.dropped + other.findings.len().saturating_sub(room);
        other.findings.truncate(room);
        self.errors += other.errors;
        self.findings.append(&mut other.findings);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The report in the order of the file.
    pub(crate) fn finish(mut self) -> LintReport {
        self.findings.sort_by_key(|finding| finding.location);
        if self.dropped > 0 {
            let location = self.findings.last().map(|finding| finding.location).unwrap_or_default();
            let message = format!("{} more findings are not shown", self.dropped);
            let rule = rules::TOO_MANY_FINDINGS;
            self.findings.push(Finding {
                code: rule.code.to_owned(),
                severity: rule.severity,
                path: String::new(),
                location,
                message,
                suggestion: "fix the ones above first".to_owned(),
            });
        }
        LintReport { findings: self.findings }
    }
}

/// A value in quotes for a message: escaped, at most 200 characters, and never one that looks like a
/// secret.
pub(crate) fn echo(value: &str) -> String {
    if secrets::looks_like_secret(value) {
        return "(not shown: it looks like a secret)".to_owned();
    }
    format!("`{}`", escape(value, MAX_ECHO))
}

/// A key as part of a path.
pub(crate) fn path_key(key: &str) -> String {
    if secrets::looks_like_secret(key) { "(hidden)".to_owned() } else { escape(key, 64) }
}

fn escape(value: &str, limit: usize) -> String {
    let mut shown = String::new();
    for (count, c) in value.chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        if c.is_control() || is_forbidden(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that have no place in a pack: they hide or reorder text on a terminal.
/// Tab and line feed are layout.
pub(crate) fn is_forbidden(c: char) -> bool {
    match c {
        '\t' | '\n' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        _ => c.is_control(),
    }
}
