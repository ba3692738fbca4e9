//! The quick answer for most texts: nothing here. A text is searched as it came for the strings that patterns are
//! made of; what is spelled oddly is read by itself, and only neighbourhoods of such strings are read as a model
//! would read them.

mod spots;

use std::ops::Range;

use self::spots::class::FOREIGN;
use self::spots::{any_odd, class_of, run_at, word_at};
use super::index::{Form, Hit, Index};
use super::normalize;
use super::pattern_set::PatternSet;

/// From so many on, letters that stand apart are read as a word.
const APART: usize = 4;
/// Bytes; what is not ASCII is read by itself as long as it is no longer, and no more than a part of the text.
const LONG_SEGMENT: usize = 512;
const FOREIGN_SHARE: usize = 2;
const LITTLE_FOREIGN: usize = 512;
/// Letters of other scripts than Latin begin here.
const OTHER_SCRIPTS: char = '\u{370}';

/// Whether a text holds no attack for certain, as it stands or turned; what it hides in other encodings is not read.
pub(super) fn is_clear(set: &PatternSet, text: &str) -> bool {
    let text = normalize::unescape(text);
    let glance = Glance { index: &set.index, text: &text, hits: Vec::new(), seen_to: 0, foreign: 0 };
    if let Some(hits) = glance.hits() {
        return none(set, &text, &hits, Form::Raw, |window, rows| {
            let plain = normalize::unescaped(window);
            let words = normalize::words(&plain);
            rows.iter().all(|row| !set.row_matches(*row, &plain, &words))
        });
    }
    let plain = normalize::unescaped(&text);
    let words = normalize::words(&plain);
    [(&words, true), (&plain, false)].into_iter().all(|(text, are_words)| {
        let mut hits = Vec::new();
        set.index.hits(text.as_bytes(), |hit| hits.push(hit));
        none(set, text, &hits, Form::Normal, |window, rows| {
            let mut rows = rows.iter().filter(|row| set.reads_words(**row) == are_words);
            rows.all(|row| !set.row_matches(*row, window, window))
        })
    })
}

/// Whether a look at each window finds nothing.
fn none(
    set: &PatternSet,
    text: &str,
    hits: &[Hit<'_>],
    form: Form,
    is_clear: impl Fn(&str, &[usize]) -> bool,
) -> bool {
    let windows = set.index.windows(text.as_bytes(), hits, form);
    windows.is_some_and(|windows| {
        windows.iter().all(|window| {
            let start = text.floor_char_boundary(window.range.start);
            let end = text.ceil_char_boundary(window.range.end);
            text.get(start..end).is_some_and(|text| is_clear(text, &window.rows))
        })
    })
}

/// One text that is searched as it came.
struct Glance<'i, 't> {
    index: &'i Index,
    text: &'t str,
    hits: Vec<Hit<'i>>,
    /// Behind the last odd word.
    seen_to: usize,
    /// Bytes of words with foreign letters so far.
    foreign: usize,
}

// === impl Glance ===

impl<'i> Glance<'i, '_> {
    /// All hits in order; `None`: too much of the text is not what it looks like.
    fn hits(mut self) -> Option<Vec<Hit<'i>>> {
        let hits = &mut self.hits;
        self.index.hits(self.text.as_bytes(), |hit| hits.push(hit));
        let plain = self.hits.len();
        let text = self.text.as_bytes();
        if any_odd(text, |at| at >= self.seen_to && self.read_odd(text, at).is_none()) {
            return None;
        }
        if self.hits.len() > plain {
            self.hits.sort_by_key(|hit| hit.at);
        }
        Some(self.hits)
    }

    /// A word that is read as another than the one that is written; `None`: so is what is around it.
    fn read_odd(&mut self, text: &[u8], at: usize) -> Option<()> {
        let word = word_at(text, at);
        let bytes = text.get(word.clone())?;
        if bytes.iter().any(|byte| class_of(*byte) & FOREIGN != 0) {
            return self.read_foreign(text, at);
        }
        self.seen_to = word.end;
        let mut folded = [0_u8; LONG_SEGMENT];
        let mut length = 0;
        let is_sign = |byte: &u8| matches!(byte, b'@' | b'$' | b'\'');
        let start = bytes.iter().position(|byte| !is_sign(byte)).unwrap_or(bytes.len());
        let end = bytes.iter().rposition(|byte| !is_sign(byte)).map_or(start, |last| last + 1);
        for byte in bytes.get(start..end)?.iter().filter(|byte| **byte != b'\'') {
            *folded.get_mut(length)? = letter(*byte);
            length += 1;
        }
        if length <= 1 {
            return self.read_apart(text, word);
        }
        let hits = &mut self.hits;
        self.index.hits(folded.get(..length)?, |hit| hits.push(Hit { at: word.start, ..hit }));
        Some(())
    }

    /// A run with letters that are not ASCII: to the next blanks, as what is invisible may bring signs together.
    fn read_foreign(&mut self, text: &[u8], at: usize) -> Option<()> {
        let range = run_at(text, at, |byte| !byte.is_ascii_whitespace());
        self.seen_to = range.end;
        self.foreign += range.len();
        if range.len() > LONG_SEGMENT || self.foreign > text.len() / FOREIGN_SHARE + LITTLE_FOREIGN {
            return None;
        }
        let plain = normalize::unescaped(self.text.get(range.clone())?);
        let words = normalize::words(&plain);
        if words.chars().any(|c| c >= OTHER_SCRIPTS && c.is_alphanumeric()) {
            return None;
        }
        for text in [&plain, &words] {
            let hits = &mut self.hits;
            self.index.hits(text.as_bytes(), |hit| hits.push(Hit { at: range.start, ..hit }));
        }
        let is_single = |word: &str| word.chars().nth(1).is_none();
        let mut ends = words.split([' ', '.']);
        if ends.next().is_none_or(is_single) || ends.next_back().is_some_and(is_single) {
            return self.read_apart(text, range);
        }
        Some(())
    }

    /// Around what may be a letter that is one of several in a row that stand apart.
    fn read_apart(&mut self, text: &[u8], word: Range<usize>) -> Option<()> {
        let in_word = |byte: &u8| class_of(*byte) != 0;
        let mut run = word.clone();
        let mut count = 1;
        while let Some(last) = text.get(..run.start)?.iter().rposition(in_word) {
            let word = word_at(text, last);
            let Some(letters) = self.few_letters(&word) else { break };
            (count, run.start) = (count + letters, word.start);
        }
        while let Some(next) = text.get(run.end..)?.iter().position(in_word) {
            let word = word_at(text, run.end + next);
            let Some(letters) = self.few_letters(&word) else { break };
            (count, run.end) = (count + letters, word.end);
        }
        if count < APART {
            return Some(());
        }
        let bytes = text.get(run.clone())?;
        if !bytes.is_ascii() {
            return None;
        }
        let places: Vec<usize> = run
            .clone()
            .zip(bytes)
            .filter(|(_, byte)| byte.is_ascii_alphanumeric())
            .map(|(at, _)| at)
            .collect();
        let letters: Vec<u8> =
            places.iter().filter_map(|at| text.get(*at)).map(|byte| letter(*byte)).collect();
        let hits = &mut self.hits;
        self.index.hits(&letters, |hit| {
            hits.push(Hit { at: places.get(hit.at).copied().unwrap_or(run.start), ..hit })
        });
        self.seen_to = run.end;
        Some(())
    }

    /// 0 for signs alone, 1 for what may be one letter, `None` for a word.
    fn few_letters(&self, word: &Range<usize>) -> Option<usize> {
        let word = self.text.get(word.clone()).unwrap_or_default();
        let mut letters = word.chars().filter(|c| c.is_ascii_alphanumeric() || !c.is_ascii()).take(2);
        match (letters.next(), letters.next()) {
            (None, _) => Some(0),
            (Some(_), None) => Some(1),
            // several foreign characters may be invisible
            (Some(one), Some(other)) => (!one.is_ascii() || !other.is_ascii()).then_some(1),
        }
    }
}

/// The letter that a byte within a word stands for.
fn letter(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' => b't',
        byte => byte.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
