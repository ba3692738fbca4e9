//! Single values: text, booleans, durations, one word out of several.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::fields::{Field, suggest};
use crate::canonical::duration as spelled;
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::tree::Meaning;

/// What most durations may be.
const USUAL: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

// === impl Field ===

impl Field<'_> {
    /// Text. A number, a boolean or nothing at all is an error, because YAML says so.
    pub(super) fn text(&self, findings: &mut Collector) -> Option<String> {
        let scalar = self.node.as_scalar();
        match scalar.map(|scalar| (scalar.meaning(), scalar)) {
            Some((Meaning::Text, scalar)) => Some(scalar.text.clone()),
            Some((Meaning::Number | Meaning::Boolean, scalar)) => {
                let message = format!("`{}` must be text, not {}", self.path, self.node.describe());
                let suggestion = format!("quote it: \"{}\"", scalar.text);
                findings.add(rules::WRONG_TYPE, &self.path, self.node.at, message, suggestion);
                None
            }
            _ => self.wrong_type("text", findings),
        }
    }

    /// Text that is not empty and has at most `limit` characters.
    pub(super) fn bounded_text(&self, limit: usize, findings: &mut Collector) -> Option<String> {
        let text = self.text(findings)?;
        let length = text.chars().count();
        if length <= limit && !text.trim().is_empty() {
            return Some(text);
        }
        let message =
            format!("`{}` must have 1 to {limit} characters, not {length} (or only blanks)", self.path);
        self.bad_value(message, "", findings)
    }

    pub(super) fn boolean(&self, findings: &mut Collector) -> Option<bool> {
        match self.node.as_scalar().filter(|scalar| scalar.plain).map(|scalar| scalar.text.as_str()) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => {
                let message = format!("`{}` must be true or false, not {}", self.path, self.node.describe());
                let suggestion =
                    "write true or false, without quotes; yes, no, on, off, 1 and 0 are not booleans";
                findings.add(rules::WRONG_TYPE, &self.path, self.node.at, message, suggestion);
                None
            }
        }
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)], findings: &mut Collector) -> Option<T> {
        let text = self.text(findings)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let message = format!("`{}` is {}; it must be {}", self.path, echo(&text), words.join(" or "));
        self.bad_value(message, &suggest(&text, &words), findings)
    }

    /// A duration such as `60s`, from one millisecond to one hour.
    pub(super) fn duration(&self, findings: &mut Collector) -> Option<Duration> {
        self.duration_within(USUAL, findings)
    }

    pub(super) fn duration_within(
        &self,
        accepted: RangeInclusive<Duration>,
        findings: &mut Collector,
    ) -> Option<Duration> {
        let text = self.node.as_scalar().map(|scalar| scalar.text.as_str());
        if let Some(duration) = text.and_then(parse_duration).filter(|duration| accepted.contains(duration)) {
            return Some(duration);
        }
        let found = text.map_or_else(|| self.node.describe().to_owned(), echo);
        let (least, most) = (spelled(*accepted.start()), spelled(*accepted.end()));
        let message = format!("`{}` is {found}, which is not a duration from {least} to {most}", self.path);
        let suggestion =
            format!("accepted: a whole number and a unit, as 500ms, 60s, 2m or 1h; from {least} to {most}");
        findings.add(rules::BAD_DURATION, &self.path, self.node.at, message, suggestion);
        None
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, most: u64, findings: &mut Collector) -> Option<u64> {
        let scalar = self.node.as_scalar().filter(|scalar| scalar.meaning() == Meaning::Number);
        let Some(scalar) = scalar else {
            return self.wrong_type("a whole number", findings);
        };
        match scalar.text.parse() {
            Ok(count) if (1..=most).contains(&count) => Some(count),
            _ => {
                let message = format!(
                    "`{}` is {}, which is no whole number from 1 to {most}",
                    self.path,
                    echo(&scalar.text)
                );
                self.bad_value(message, "write digits only, as 100", findings)
            }
        }
    }

    pub(super) fn bad_value<T>(
        &self,
        message: String,
        suggestion: &str,
        findings: &mut Collector,
    ) -> Option<T> {
        findings.add(rules::BAD_VALUE, &self.path, self.node.at, message, suggestion);
        None
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(split)?;
    let count: u64 = digits.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(count.checked_mul(millis)?))
}
