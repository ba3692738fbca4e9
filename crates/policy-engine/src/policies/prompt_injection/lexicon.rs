//! Which literals a text holds, and where. Bare words are looked up as a whole: most are told from every literal by the
//! first letters alone.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem::Finder;

use super::heads::{Heads, Letters};
use super::needs::Form;
use super::plan::PLAIN_REACH;
use super::words::Glued;
use crate::policies::anchors::Anchors;

/// The literals of a family, by number.
#[derive(Debug)]
pub(super) struct Lexicon {
    /// Finds them wherever they stand.
    anywhere: AhoCorasick,
    /// For each string that is looked for anywhere, its literal.
    numbers: Vec<u16>,
    first: First,
}

/// What is looked at before that.
#[derive(Debug)]
enum First {
    /// Finds those that a word begins with.
    Words(Heads),
    /// Finds where a text may be of interest at all; those of few bytes would slow down the search for all.
    Plain { anchors: Anchors, short: Vec<Finder<'static>> },
}

/// One literal in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Where it ends.
    pub(super) at: usize,
    pub(super) literal: u16,
}

/// Bytes of an anchor that are looked for at first: fewer strings are found sooner.
const FINGERPRINT: usize = 7;
/// Bytes; the vectorised search looks at so many.
const MIN_FINGERPRINT: usize = 4;
/// Letters; in a longer word there may be others, which stand together without a gap.
pub(super) const LONG_WORD: usize = 14;

// === impl Lexicon ===

impl Lexicon {
    /// The number of a literal is its place. A plain text without `anchors` is of no interest.
    pub(super) fn build(literals: &[&str], anchors: &[&str], form: Form) -> Option<Self> {
        let mut strings = Vec::with_capacity(literals.len());
        let mut numbers = Vec::with_capacity(literals.len());
        for (at, literal) in literals.iter().enumerate() {
            // a short one is a word of its own or nothing
            if form == Form::Plain || !literal.starts_with(' ') {
                strings.push(literal.trim());
                numbers.push(u16::try_from(at).ok()?);
            }
        }
        let (kind, first) = match form {
            Form::Words => (AhoCorasickKind::ContiguousNFA, First::Words(Heads::build(literals)?)),
            Form::Plain => (AhoCorasickKind::DFA, First::plain(anchors)?),
        };
        let anywhere =
            AhoCorasick::builder().match_kind(MatchKind::Standard).kind(Some(kind)).build(&strings);
        Some(Self { anywhere: anywhere.ok()?, numbers, first })
    }

    /// In the order of the text, but for those of one word. `offset`: where the text begins in the one that `glued` is
    /// about.
    pub(super) fn hits(&self, text: &str, offset: usize, glued: &Glued) -> Vec<Hit> {
        let mut hits = Vec::new();
        match &self.first {
            First::Words(heads) => self.of_words(heads, text, offset, glued, &mut hits),
            First::Plain { anchors, short } => {
                for range in around_anchors(anchors, short, text) {
                    self.anywhere(text.get(range.clone()).unwrap_or_default(), range.start, &mut hits);
                }
            }
        }
        hits
    }

    pub(super) fn heads(&self) -> Option<&Heads> {
        match &self.first {
            First::Words(heads) => Some(heads),
            First::Plain { .. } => None,
        }
    }

    fn of_words(&self, heads: &Heads, text: &str, offset: usize, glued: &Glued, hits: &mut Vec<Hit>) {
        let bytes = text.as_bytes();
        let in_text = offset..offset + text.len();
        let mut apart = glued.apart(in_text.clone()).map(|at| at - offset).peekable();
        let mut seams = glued.seams(in_text).map(|at| at - offset).peekable();
        let mut begin = 0;
        for end in memchr::memchr_iter(b' ', bytes).chain([text.len()]) {
            let word = bytes.get(begin..end).unwrap_or_default();
            // where a sentence ends
            let word = word.strip_suffix(b".").unwrap_or(word);
            heads.find(Letters::at(bytes, begin, word.len()), word.len(), begin, hits);
            let is_glued = apart.next_if(|place| *place <= end).is_some()
                | std::iter::from_fn(|| seams.next_if(|place| *place <= end)).last().is_some();
            let is_ascii = word.is_ascii();
            if !is_ascii {
                // another script at its side does not hide a word
                for (from, length) in ascii_runs(word) {
                    heads.find(Letters::at(bytes, begin + from, length), length, begin + from, hits);
                }
            }
            if word.len() >= LONG_WORD || is_glued || !is_ascii {
                self.anywhere(text.get(begin..end).unwrap_or_default(), begin, hits);
            }
            begin = end + 1;
        }
    }

    fn anywhere(&self, text: &str, from: usize, hits: &mut Vec<Hit>) {
        hits.extend(self.anywhere.find_overlapping_iter(text).filter_map(|found| {
            let literal = *self.numbers.get(found.pattern().as_usize())?;
            Some(Hit { at: from + found.end(), literal })
        }));
    }
}

// === impl First ===

impl First {
    fn plain(anchors: &[&str]) -> Option<Self> {
        let cut = |anchor: &&str| anchor.get(..anchor.floor_char_boundary(FINGERPRINT)).map(str::to_owned);
        let anchors: BTreeSet<String> = anchors.iter().filter_map(cut).collect();
        let (short, long): (Vec<_>, Vec<_>) =
            anchors.into_iter().partition(|anchor| anchor.len() < MIN_FINGERPRINT);
        let short = short.iter().map(|anchor| Finder::new(anchor).into_owned()).collect();
        Some(Self::Plain { anchors: Anchors::new(&[Some(long)])?, short })
    }
}

/// Begin and length of each run of ASCII letters in a word that has others as well.
fn ascii_runs(word: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    word.split(|byte| !byte.is_ascii()).map(move |run| {
        let from = at;
        at += run.len() + 1;
        (from, run.len())
    })
}

/// The parts of a text that are in reach of an anchor.
fn around_anchors(anchors: &Anchors, short: &[Finder<'static>], text: &str) -> Vec<Range<usize>> {
    let mut places = spread(|from| anchors.next(text, from).map(|hit| hit.range.start));
    for anchor in short {
        places.extend(spread(|from| Some(from + anchor.find(text.as_bytes().get(from..)?)?)));
    }
    places.sort_unstable();
    let mut parts: Vec<Range<usize>> = Vec::new();
    for at in places {
        let start = text.floor_char_boundary(at.saturating_sub(2 * PLAIN_REACH));
        let end = text.ceil_char_boundary(at.saturating_add(2 * PLAIN_REACH).min(text.len()));
        match parts.last_mut().filter(|last| last.end >= start) {
            Some(last) => last.end = end,
            None => parts.push(start..end),
        }
    }
    parts
}

/// Places that `next` finds, those left out that are close to another.
fn spread(next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    std::iter::successors(next(0), |place| next(place + PLAIN_REACH / 2)).collect()
}
