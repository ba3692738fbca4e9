//! The fast path: clears a text of every curated attack by looking at its bytes alone, without writing it down
//! normalised.
//!
//! What normalisation leaves as it is can be searched where it lies: every pattern needs one of its anchors, and an
//! anchor holds no gap. So each odd word (signs for letters, foreign letters, escapes), each letter that stands apart
//! and each base64 segment is looked at by itself; around each anchor, as many words are normalised and searched as the
//! patterns of that anchor may span. Whatever is in doubt is suspicious, and decided by the slow path.

mod spots;

use std::ops::Range;

use self::spots::class::{ANY, APOSTROPHE, ARTICLE, FOREIGN, LETTER, SIGN};
use self::spots::{any_long_run, any_odd, class_of, word_at};
use super::pattern_set::PatternSet;
use super::{encoded, normalize};

/// What a skim says of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Skim {
    /// No anchor is in it, as it stands or as it is read.
    Bare,
    /// There are anchors, and no attack around them.
    Clear,
    /// Only the slow path can tell.
    Suspicious,
}

/// With a greater share of odd words the slow path is no slower: one byte in so many.
const ODD_SHARE: usize = 4;
const FEW_ODD: usize = 256;
/// Words around an anchor beside those that its patterns span.
const SLACK: usize = 2;
/// Bytes near anchors, beside those that a long text may have.
const MUCH: usize = 8 << 10;
/// From so many on, letters that stand apart are read as a word.
const APART: usize = 4;

/// One text under the eye of one pattern set.
struct Skimmer<'a> {
    set: &'a PatternSet,
    text: &'a str,
    bytes: &'a [u8],
    /// Bytes of odd words so far.
    odd: usize,
    /// Behind the last odd word.
    seen_to: usize,
}

/// Unless it is suspicious, neither the text nor a base64 segment in it holds what the set finds.
pub(super) fn skim(set: &PatternSet, text: &str) -> Skim {
    let mut skimmer = Skimmer { set, text, bytes: text.as_bytes(), odd: 0, seen_to: 0 };
    if !set.anchors.always.is_empty()
        || skimmer.is_mostly_foreign()
        || any_long_run(skimmer.bytes, |run| skimmer.hides_text(run))
        || any_odd(skimmer.text.as_bytes(), |at| skimmer.is_suspicious(at))
    {
        return Skim::Suspicious;
    }
    skimmer.look_near_anchors()
}

/// The same of several texts read as one without gaps, of which the text with gaps is known to be bare.
pub(super) fn seams_are_bare(set: &PatternSet, pieces: &[&str]) -> bool {
    let is_gap = |c: char| c.is_ascii_whitespace();
    let mut seam = String::new();
    for piece in pieces {
        match (piece.find(is_gap), piece.rfind(is_gap)) {
            (Some(first), Some(last)) => {
                seam.push_str(piece.get(..first).unwrap_or_default());
                if skim(set, &seam) != Skim::Bare {
                    return false;
                }
                seam.clear();
                seam.push_str(piece.get(last..).unwrap_or_default());
            }
            _ => seam.push_str(piece),
        }
    }
    skim(set, &seam) == Skim::Bare
}

// === impl Skimmer ===

impl Skimmer<'_> {
    fn is_mostly_foreign(&self) -> bool {
        let foreign = || self.bytes.iter().fold(0_usize, |count, byte| count + usize::from(*byte >= 0x80));
        !self.bytes.is_ascii() && foreign() > self.bytes.len() / ODD_SHARE + FEW_ODD
    }

    fn class(&self, at: Option<usize>) -> u8 {
        at.and_then(|at| self.bytes.get(at)).map_or(0, |byte| class_of(*byte))
    }

    fn hides_text(&self, run: Range<usize>) -> bool {
        // a run ends at ASCII, so at characters
        self.text.get(run).is_none_or(|run| !encoded::hidden_texts(run).is_empty())
    }

    /// A place that [`any_odd`] found.
    fn is_suspicious(&mut self, at: usize) -> bool {
        let (before, here, next) =
            (self.class(at.checked_sub(1)), self.class(Some(at)), self.class(Some(at + 1)));
        if here & APOSTROPHE != 0 {
            self.is_suspicious_apostrophe(at, before, next)
        } else if here & FOREIGN != 0 || (before | next) & SIGN != 0 {
            self.is_suspicious_word(at)
        } else {
            self.is_apart(at)
        }
    }

    fn is_suspicious_apostrophe(&mut self, at: usize, before: u8, next: u8) -> bool {
        let second = at.checked_sub(2);
        if (before | next) & (SIGN | FOREIGN | APOSTROPHE) != 0 || self.class(second) & APOSTROPHE != 0 {
            return self.is_suspicious_word(at);
        }
        match (before & LETTER != 0, next & LETTER != 0) {
            (true, true) => {
                let letter =
                    |at: Option<usize>| at.and_then(|at| self.bytes.get(at)).copied().unwrap_or_default();
                let cut =
                    self.set.cuts.holds([letter(second), letter(at.checked_sub(1)), letter(Some(at + 1))]);
                cut && self.is_suspicious_word(at)
            }
            // quotes around one letter
            (true, false) => before & ARTICLE == 0 && self.class(second) & ANY == 0 && self.is_apart(at - 1),
            (false, true) => {
                next & ARTICLE == 0 && self.class(Some(at + 2)) & LETTER == 0 && self.is_apart(at + 1)
            }
            (false, false) => false,
        }
    }

    /// The word around a place as it is read.
    fn is_suspicious_word(&mut self, at: usize) -> bool {
        if at < self.seen_to {
            return false;
        }
        let range = word_at(self.bytes, at);
        self.seen_to = range.end;
        self.odd += range.len();
        let Some(word) = self.text.get(range.clone()) else { return true };
        if self.odd > self.bytes.len() / ODD_SHARE + FEW_ODD {
            return true;
        }
        let plain = normalize::plain(word);
        let words = normalize::words(&plain);
        let stands_apart = |word: &str| {
            let mut characters = word.chars();
            let first = characters.next().filter(|c| c.is_alphabetic() && !matches!(c, 'a' | 'i'));
            first.is_some() && characters.next().is_none()
        };
        self.set.anchors.next(&words, 0).is_some()
            || self.set.anchors.next(&plain, 0).is_some()
            || words.split([' ', '.']).any(stands_apart)
            || self.moves_signs(&range, word, &plain)
    }

    /// What is not as it is spelled may bring signs of a delimiter, or bring those around it together.
    fn moves_signs(&self, range: &Range<usize>, word: &str, plain: &str) -> bool {
        if word.is_ascii() && !word.contains('\\') {
            return false;
        }
        let is_sign = |byte: &u8| self.set.signs.contains(byte);
        let beside = [range.start.checked_sub(1), Some(range.end)];
        plain.is_empty()
            || plain.bytes().any(|byte| is_sign(&byte))
            || beside.into_iter().flatten().filter_map(|at| self.bytes.get(at)).any(is_sign)
    }

    /// A letter that is one of several in a row that stand apart.
    fn is_apart(&self, at: usize) -> bool {
        let word = word_at(self.bytes, at);
        let mut count = 1;
        let mut end = word.start;
        while let Some(last) =
            self.bytes.get(..end).and_then(|before| before.iter().rposition(|byte| class_of(*byte) != 0))
        {
            let word = word_at(self.bytes, last);
            let Some(letters) = self.few_letters(&word) else { break };
            (count, end) = (count + letters, word.start);
            if count >= APART {
                return true;
            }
        }
        let mut start = word.end;
        while let Some(next) =
            self.bytes.get(start..).and_then(|rest| rest.iter().position(|byte| class_of(*byte) != 0))
        {
            let word = word_at(self.bytes, start + next);
            let Some(letters) = self.few_letters(&word) else { break };
            (count, start) = (count + letters, word.end);
            if count >= APART {
                return true;
            }
        }
        false
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

    fn look_near_anchors(&self) -> Skim {
        let lower = self.text.to_ascii_lowercase();
        let mut windows: Vec<Range<usize>> = Vec::new();
        let (mut total, mut looked_at) = (0, 0);
        let mut from = 0;
        while let Some(hit) = self.set.anchors.next(&lower, from) {
            let Some(words) = hit.words else { return Skim::Suspicious };
            let window = self.window(&hit.range, words + SLACK);
            from = hit.range.start + 1;
            looked_at += window.len();
            match windows.last_mut().filter(|last| window.start <= last.end) {
                Some(last) => {
                    total += window.end.saturating_sub(last.end);
                    last.end = last.end.max(window.end);
                }
                None => {
                    total += window.len();
                    windows.push(window);
                }
            }
            let length = self.bytes.len();
            if total > length / 2 + MUCH || looked_at > length * 2 + MUCH {
                return Skim::Suspicious;
            }
        }
        let attacks = |window: &Range<usize>| {
            self.text.get(window.clone()).is_none_or(|text| self.set.matches(&normalize::plain(text), false))
        };
        match windows.as_slice() {
            [] => Skim::Bare,
            windows if windows.iter().any(attacks) => Skim::Suspicious,
            _ => Skim::Clear,
        }
    }

    /// So many words before and behind a range, with all that separates them. Only what is a word for certain counts:
    /// what is not ASCII is taken for a part of the word that it is in or beside.
    fn window(&self, range: &Range<usize>, words: usize) -> Range<usize> {
        let (head, _) = self.bytes.split_at_checked(range.start).unwrap_or_default();
        let (_, tail) = self.bytes.split_at_checked(range.end).unwrap_or_default();
        let before = beyond(head.iter().rev(), words);
        let behind = beyond(tail.iter(), words);
        range.start - before..range.end + behind
    }
}

/// How many bytes go by before one more word than these begins.
fn beyond<'b>(bytes: impl Iterator<Item = &'b u8>, words: usize) -> usize {
    let mut left = words + 1;
    let mut in_word = false;
    let mut passed = 0;
    for byte in bytes {
        if byte.is_ascii_alphanumeric() {
            if !in_word {
                if left == 0 {
                    return passed;
                }
                left -= 1;
                in_word = true;
            }
        } else if byte.is_ascii() && !matches!(byte, b'@' | b'$' | b'\'') {
            in_word = false;
        }
        passed += 1;
    }
    passed
}

#[cfg(test)]
mod tests;
