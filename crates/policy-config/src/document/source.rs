//! What can be said about a file's bytes before any YAML is read: size, encoding, characters.

use std::borrow::Cow;

use super::{MAX_SOURCE_BYTES, PolicyDocument};
use crate::lint::collector::{Collector, is_forbidden};
use crate::lint::rules;
use crate::location::Location;
use crate::schema::read::OUTLINE;

// === impl PolicyDocument ===

impl PolicyDocument {
    /// Of a file too large to be read to its end: more than [`MAX_SOURCE_BYTES`] of it, and how many bytes it has. It
    /// is a document only to be told so.
    pub fn beginning(source: impl Into<Vec<u8>>, size: u64) -> Self {
        let document = Self::new(source);
        Self { size: size.max(document.size), ..document }
    }
}

/// The text to parse, without a leading byte order mark; `None` when the bytes cannot be a pack.
/// Refused characters are replaced, so that they are reported once and the rest is read all the same.
pub(super) fn check<'s>(source: &'s [u8], size: u64, findings: &mut Collector) -> Option<Cow<'s, str>> {
    let whole_file = Location::default();
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the file has {size} bytes; the limit is {MAX_SOURCE_BYTES} (256 KiB)");
        findings.add(rules::FILE_TOO_BIG, "", whole_file, message, "shorten the pack");
        return None;
    }
    let text = match std::str::from_utf8(source) {
        Ok(text) => text,
        Err(error) => {
            let good = error.valid_up_to();
            let line =
                1 + source.get(..good).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
            let message =
                format!("the file is not UTF-8: byte {} (line {line}) is not part of a character", good + 1);
            findings.add(rules::NOT_UTF8, "", whole_file, message, "save the file as UTF-8");
            return None;
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        findings.add(rules::EMPTY_FILE, "", whole_file, "the file is empty", OUTLINE);
        return None;
    }
    if check_characters(text, findings) {
        return Some(Cow::Borrowed(text));
    }
    let crlf_kept = text.replace("\r\n", "\n");
    Some(Cow::Owned(crlf_kept.replace(is_forbidden, "\u{fffd}")))
}

pub(super) fn report_character(c: char, at: Location, findings: &mut Collector) {
    let what = match c {
        '\u{feff}' => "a byte order mark is accepted at the start of the file only",
        c if c.is_control() => "a control character is not accepted",
        _ => "a character that reorders or hides text is not accepted",
    };
    let message = format!("{what} (U+{:04X})", u32::from(c));
    findings.add(rules::FORBIDDEN_CHARACTER, "", at, message, "remove it");
}

/// Raw characters anywhere, comments included: there they would mislead a reviewer just as well.
fn check_characters(text: &str, findings: &mut Collector) -> bool {
    let mut all_good = true;
    let mut at = Location { line: 1, column: 1 };
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => at = Location { line: at.line + 1, column: 1 },
            '\r' if rest.peek() == Some(&'\n') => {}
            c => {
                if is_forbidden(c) {
                    report_character(c, at, findings);
                    all_good = false;
                }
                at.column += 1;
            }
        }
    }
    all_good
}
