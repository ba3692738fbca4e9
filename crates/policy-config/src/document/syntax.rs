//! What to tell an author whose file is not YAML, and how to read on behind an unquoted value.

use crate::lint::collector::Collector;
use crate::lint::rules;
use crate::location::Location;

/// Where and why the parser stopped.
pub(super) struct Stumble {
    pub(super) at: Location,
    /// Where the last complete scalar began: the value in question.
    pub(super) last_scalar: Option<Location>,
    pub(super) cause: Cause,
    /// The parser's own words; they hold no text of the file.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    UnquotedColon,
    OpenQuote,
    OpenBracket,
    Tab,
    BadFirstCharacter,
    Directive,
    Indentation,
    AfterQuote,
    Escape,
    Other,
}

/// A value that needs quotes: where its `: ` stands and the key it belongs to.
pub(super) struct NeedsQuotes {
    at: Location,
    key: String,
}

// === impl Stumble ===

impl Stumble {
    pub(super) fn report(&self, text: &str, findings: &mut Collector) {
        let (message, suggestion) = match self.cause {
            Cause::UnquotedColon => (
                "a second `: ` belongs to no key here",
                "quote the value if `: ` is part of it, else check the indentation of this line and the one before",
            ),
            Cause::OpenQuote => ("this quote is never closed", "close it with the same kind of quote"),
            Cause::OpenBracket => {
                ("this bracket is never closed", "close it, or quote the value if the bracket is part of it")
            }
            Cause::Tab => ("a tab cannot indent", "indent with spaces"),
            Cause::BadFirstCharacter => ("a value cannot begin with this character", "quote the value"),
            Cause::Directive => ("a `%` directive is not accepted", "remove the line"),
            Cause::Indentation => (
                "this line is neither a `key: value` nor part of the line before",
                "check the colon behind the key and the indentation",
            ),
            Cause::AfterQuote => {
                ("text follows a closed quote", "put the whole value into one pair of quotes")
            }
            Cause::Escape => (
                "an unknown escape in a double-quoted text",
                "write `\\\\` for a backslash, or use single quotes",
            ),
            Cause::Other => {
                (self.text.as_str(), "check brackets, quotes and indentation here and just before")
            }
        };
        let mut at = self.at;
        let lines = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
        at.line = at.line.clamp(1, lines);
        findings.add(rules::SYNTAX, "", at, message, suggestion);
    }
}

// === impl NeedsQuotes ===

impl NeedsQuotes {
    pub(super) fn report(&self, findings: &mut Collector) {
        let message = "the value holds an unquoted `: `, which YAML reads as the end of another key";
        let suggestion = format!("quote the value: {}: \"…\"", self.key);
        findings.add(rules::SYNTAX, "", self.at, message, suggestion);
    }
}

/// For `key: some text: more` the same text with that value in quotes, so that reading can go on.
pub(super) fn step_over(text: &str, stumble: &Stumble) -> Option<(String, NeedsQuotes)> {
    let value_at = stumble.last_scalar.filter(|value| value.line == stumble.at.line)?;
    if stumble.cause != Cause::UnquotedColon || value_at.column >= stumble.at.column {
        return None;
    }
    let line_start = line_offset(text, stumble.at.line)?;
    let line = text.get(line_start..)?.split('\n').next()?.trim_end_matches('\r');
    let skip = usize::try_from(value_at.column.checked_sub(1)?).ok()?;
    let value_start = line.char_indices().nth(skip)?.0;
    let (before, value) = line.split_at_checked(value_start)?;
    let key = before.trim_end().strip_suffix(':')?.trim_start_matches([' ', '-']).trim();
    if value.starts_with(['"', '\'', '[', '{']) || key.is_empty() || !key.bytes().all(is_key_byte) {
        return None;
    }
    let value = value.trim_end();
    let value_end = line_start + value_start + value.len();
    let quoted = format!("'{}'", value.replace('\'', "''"));
    let repaired = [text.get(..line_start + value_start)?, &quoted, text.get(value_end..)?].concat();
    Some((repaired, NeedsQuotes { at: stumble.at, key: key.to_owned() }))
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Byte offset of the start of a line, counted from 1.
fn line_offset(text: &str, line: u32) -> Option<usize> {
    let newlines = usize::try_from(line.checked_sub(2).unwrap_or(u32::MAX)).ok()?;
    if line == 1 { Some(0) } else { text.match_indices('\n').nth(newlines).map(|(at, _)| at + 1) }
}
