//! One JSON string: what it says, and where each character of that lies in the source.

use std::borrow::Cow;
use std::ops::Range;

use super::Span;

/// A decoded string that remembers its escapes, so that a piece of its text can be replaced in the
/// source without touching the rest of it.
#[derive(Debug)]
pub(crate) struct JsonString<'a> {
    text: Cow<'a, str>,
    /// Where the text begins in the source.
    start: usize,
    /// For each escape: where its character ends in the text, and where it ends in the source.
    escapes: Vec<(usize, usize)>,
}

// === impl JsonString ===

impl<'a> JsonString<'a> {
    /// `span` is of a string that the reader accepted, quotes included.
    pub(super) fn decode(source: &'a str, span: Span) -> Self {
        let start = span.start + 1;
        let raw = source.get(start..span.end.saturating_sub(1)).unwrap_or_default();
        if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
            return Self { text: Cow::Borrowed(raw), start, escapes: Vec::new() };
        }
        let mut text = String::with_capacity(raw.len());
        let mut escapes = Vec::new();
        let mut rest = raw;
        while let Some((plain, escaped)) =
            memchr::memchr(b'\\', rest.as_bytes()).and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?)))
        {
            text.push_str(plain);
            let (character, length) = unescape(escaped);
            text.push(character);
            rest = escaped.get(length..).unwrap_or_default();
            escapes.push((text.len(), start + raw.len() - rest.len()));
        }
        text.push_str(rest);
        Self { text: Cow::Owned(text), start, escapes }
    }

    /// A text that stands in no JSON: it is its own source.
    pub(crate) fn bare(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), start: 0, escapes: Vec::new() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    /// Where a range of the text lies in the source; both ends are on character boundaries.
    pub(crate) fn source_span(&self, range: &Range<usize>) -> Span {
        Span { start: self.source_offset(range.start), end: self.source_offset(range.end) }
    }

    fn source_offset(&self, offset: usize) -> usize {
        let passed = self.escapes.partition_point(|&(end, _)| end <= offset);
        match passed.checked_sub(1).and_then(|last| self.escapes.get(last)) {
            Some(&(in_text, in_source)) => in_source + (offset - in_text),
            None => self.start + offset,
        }
    }
}

/// The text as it stands between the quotes of a JSON string.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => encoded.push_str("\\\""),
            '\\' => encoded.push_str("\\\\"),
            '\n' => encoded.push_str("\\n"),
            '\r' => encoded.push_str("\\r"),
            '\t' => encoded.push_str("\\t"),
            '\0'..='\u{1f}' => encoded.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => encoded.push(character),
        }
    }
    encoded
}

/// The character after a backslash and the length of its spelling (the backslash not counted).
fn unescape(escaped: &str) -> (char, usize) {
    let simple = match escaped.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(escaped),
        Some(&byte) => char::from(byte),
        None => return (char::REPLACEMENT_CHARACTER, 0),
    };
    (simple, 1)
}

fn unescape_unicode(escaped: &str) -> (char, usize) {
    let unit = |range| escaped.get(range).and_then(|hex| u32::from_str_radix(hex, 16).ok()).unwrap_or(0xfffd);
    let first = unit(1..5);
    if !(0xd800..=0xdbff).contains(&first) {
        return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5);
    }
    let second = unit(7..11);
    let scalar = 0x10000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00);
    (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
}
