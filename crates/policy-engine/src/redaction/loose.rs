//! What is JSON to some reader and not to the strict one (a key that stands twice, half a surrogate, NaN, JSON Lines,
//! the beginning of a document): its escapes are read wherever they stand.

use super::{Found, Look, join, plain};
use crate::budget::Budget;
use crate::json::encode;
use crate::policies::CannotJudge;

/// A text with its escapes read, and where its characters stand in the source.
struct Unescaped {
    text: String,
    /// For each escape: where its character ends in the text, and where it ends in the source.
    escapes: Vec<(usize, usize)>,
}

/// What is found once escapes are read, so many levels of them; by its place in the text as it stands.
pub(super) fn scan<'l>(
    look: &'l impl Look,
    text: &str,
    levels: usize,
    budget: &Budget<'_>,
) -> Result<Vec<Found<'l>>, CannotJudge> {
    if !text.contains("\\u") && !text.contains("\\/") {
        return Ok(Vec::new());
    }
    budget.spend(text.len())?;
    let read = Unescaped::of(text);
    let deeper = if levels > 0 { scan(look, &read.text, levels - 1, budget)? } else { Vec::new() };
    let mut found = join(deeper, plain(look, &read.text, budget)?);
    for one in &mut found {
        one.range = read.in_source(one.range.start)..read.in_source(one.range.end);
        one.replacement = encode(&one.replacement);
    }
    Ok(found)
}

// === impl Unescaped ===

impl Unescaped {
    fn of(source: &str) -> Self {
        let mut read = Self { text: String::with_capacity(source.len()), escapes: Vec::new() };
        let mut rest = source;
        while let Some((before, escaped)) = rest.split_once('\\') {
            read.text.push_str(before);
            let (character, length) = unescape(escaped).unwrap_or(('\\', 0));
            read.text.push(character);
            rest = escaped.get(length..).unwrap_or_default();
            read.escapes.push((read.text.len(), source.len() - rest.len()));
        }
        read.text.push_str(rest);
        read
    }

    fn in_source(&self, offset: usize) -> usize {
        let passed = self.escapes.partition_point(|&(end, _)| end <= offset);
        match passed.checked_sub(1).and_then(|last| self.escapes.get(last)) {
            Some(&(in_text, in_source)) => in_source + (offset - in_text),
            None => offset,
        }
    }
}

/// The character after a backslash and the length of its spelling, the backslash not counted.
fn unescape(escaped: &str) -> Option<(char, usize)> {
    let simple = match escaped.bytes().next()? {
        b'u' => return unescape_unicode(escaped),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        byte @ (b'"' | b'\\' | b'/') => char::from(byte),
        _ => return None,
    };
    Some((simple, 1))
}

fn unescape_unicode(escaped: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let hex = escaped.get(from..from + 4).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hex.and_then(|hex| u16::from_str_radix(hex, 16).ok())
    };
    let first = unit(1)?;
    let second = escaped.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| unit(7));
    let mut decoded = char::decode_utf16([first].into_iter().chain(second));
    match decoded.next()? {
        Ok(character) => Some((character, if character.len_utf16() == 2 { 11 } else { 5 })),
        Err(_) => Some((char::REPLACEMENT_CHARACTER, 5)),
    }
}
