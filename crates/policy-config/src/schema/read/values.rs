//! Single values: text, booleans, durations, one word out of several.

use std::time::Duration;

use super::fields::{Field, suggest};
use crate::lint::collector::{Collector, echo};
use crate::lint::rules;
use crate::tree::Meaning;

const ACCEPTED_DURATIONS: &str =
    "accepted: a whole number and a unit, as 500ms, 60s, 2m or 1h; from 1ms to 1h";

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
        let text = self.node.as_scalar().map(|scalar| scalar.text.as_str());
        if let Some(duration) = text.and_then(parse_duration) {
            return Some(duration);
        }
        let found = text.map_or_else(|| self.node.describe().to_owned(), echo);
        let message = format!("`{}` is {found}, which is not a duration from 1ms to 1h", self.path);
        findings.add(rules::BAD_DURATION, &self.path, self.node.at, message, ACCEPTED_DURATIONS);
        None
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
    let duration = Duration::from_millis(count.checked_mul(millis)?);
    (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&duration).then_some(duration)
}
