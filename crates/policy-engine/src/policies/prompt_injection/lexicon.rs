//! Which literals a text holds, and where. Bare words are looked up as a whole: most are told from every literal by the
//! first letters alone.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use memchr::memmem::Finder;

use super::family::REACH;
use super::needs::Form;
use crate::policies::anchors::Anchors;

/// The literals of a family, by number.
#[derive(Debug)]
pub(super) struct Lexicon {
    form: Form,
    anchors: Anchors,
    short_anchors: Vec<Finder<'static>>,
    /// Finds them in the middle of a word, and where there are no words.
    anywhere: AhoCorasick,
    /// For each string that is looked for anywhere, its literal.
    numbers: Vec<u16>,
    heads: Heads,
}

/// One literal in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Where it ends.
    pub(super) at: usize,
    pub(super) literal: u16,
}

/// Literals by the letters that they begin with.
#[derive(Debug)]
struct Heads {
    /// For each hash of a head, one more than the place of its first entry; 0: none.
    first: Vec<u16>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    hash: u16,
    literal: u16,
    length: u16,
    /// A longer word may begin with it.
    is_beginning: bool,
    word: Letters,
    mask: u128,
}

/// The first letters of a word, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Letters(u128);

/// Bytes of an anchor that are looked for at first: fewer strings are found sooner.
const FINGERPRINT: usize = 7;
/// Letters by which literals are told apart at first.
const HEAD: usize = 4;
const HEADS: usize = 1 << 14;
/// Letters; in a longer word there may be others, which stand together without a gap.
const LONG_WORD: usize = 14;

// === impl Lexicon ===

impl Lexicon {
    /// The number of a literal is its place. A text without `anchors` is of no interest.
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
        let cut = |anchor: &&str| anchor.get(..anchor.floor_char_boundary(FINGERPRINT)).map(str::to_owned);
        let anchors: BTreeSet<String> = anchors.iter().filter_map(cut).collect();
        // one short string would slow down the search for all
        let (short, anchors): (Vec<_>, Vec<_>) = anchors.into_iter().partition(|anchor| anchor.len() < HEAD);
        let anywhere = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(match form {
                Form::Plain => AhoCorasickKind::DFA,
                Form::Words => AhoCorasickKind::ContiguousNFA,
            }))
            .build(&strings)
            .ok()?;
        Some(Self {
            form,
            anchors: Anchors::new(&[Some(anchors)])?,
            short_anchors: short.iter().map(|anchor| Finder::new(anchor).into_owned()).collect(),
            anywhere,
            numbers,
            heads: Heads::build(literals)?,
        })
    }

    /// In order.
    pub(super) fn hits(&self, text: &str) -> Vec<Hit> {
        let mut hits = Vec::new();
        if self.form == Form::Plain {
            for range in self.around_anchors(text) {
                self.anywhere(text.get(range.clone()).unwrap_or_default(), range.start, &mut hits);
            }
            return hits;
        }
        let bytes = text.as_bytes();
        let mut begin = 0;
        for end in memchr::memchr_iter(b' ', bytes).chain([text.len()]) {
            let word = bytes.get(begin..end).unwrap_or_default();
            // where a sentence ends
            let word = word.strip_suffix(b".").unwrap_or(word);
            let from = hits.len();
            self.heads.find(Letters::at(bytes, begin, word.len()), word.len(), begin, &mut hits);
            if word.len() >= LONG_WORD || !word.is_ascii() {
                self.anywhere(text.get(begin..end).unwrap_or_default(), begin, &mut hits);
                hits.get_mut(from..).unwrap_or_default().sort_by_key(|hit| hit.at);
            }
            begin = end + 1;
        }
        hits
    }

    /// The parts of a text that are in reach of an anchor.
    fn around_anchors(&self, text: &str) -> Vec<Range<usize>> {
        let long = |from| self.anchors.next(text, from).map(|hit| hit.range.start);
        let mut places = spread(long);
        for anchor in &self.short_anchors {
            let find = |from| Some(from + anchor.find(text.as_bytes().get(from..)?)?);
            places.extend(spread(find));
        }
        places.sort_unstable();
        let mut parts: Vec<Range<usize>> = Vec::new();
        for at in places {
            let start = text.floor_char_boundary(at.saturating_sub(2 * REACH));
            let end = text.ceil_char_boundary(at.saturating_add(2 * REACH).min(text.len()));
            match parts.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = end,
                None => parts.push(start..end),
            }
        }
        parts
    }

    fn anywhere(&self, text: &str, from: usize, hits: &mut Vec<Hit>) {
        hits.extend(self.anywhere.find_overlapping_iter(text).filter_map(|found| {
            let literal = *self.numbers.get(found.pattern().as_usize())?;
            Some(Hit { at: from + found.end(), literal })
        }));
    }
}

/// Places that `next` finds, those left out that are in reach of another.
fn spread(next: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    std::iter::successors(next(0), |place| next(place + REACH)).collect()
}

// === impl Heads ===

impl Heads {
    fn build(literals: &[&str]) -> Option<Self> {
        let mut entries = Vec::new();
        for (at, literal) in literals.iter().enumerate() {
            let literal_number = u16::try_from(at).ok()?;
            let word = literal.trim();
            let is_beginning = !literal.ends_with(' ');
            let length = u16::try_from(word.len()).ok()?;
            let entry = |head: &str| Entry {
                hash: Letters::of(head).hash(),
                literal: literal_number,
                length,
                is_beginning,
                word: Letters::of(word),
                mask: Letters::mask(word.len()),
            };
            entries.push(entry(word));
            if is_beginning && word.len() < HEAD {
                // any letter may follow
                entries.extend(('a'..='z').map(|next| entry(&format!("{word}{next}"))));
            }
        }
        entries.sort_by_key(|entry| entry.hash);
        let mut first = vec![0; HEADS];
        for (at, entry) in entries.iter().enumerate().rev() {
            *first.get_mut(usize::from(entry.hash))? = u16::try_from(at + 1).ok()?;
        }
        Some(Self { first, entries })
    }

    /// The literals that a word begins with.
    fn find(&self, word: Letters, length: usize, from: usize, hits: &mut Vec<Hit>) {
        let hash = word.hash();
        let first = self.first.get(usize::from(hash)).copied().unwrap_or_default();
        let Some(first) = usize::from(first).checked_sub(1) else { return };
        for entry in
            self.entries.get(first..).unwrap_or_default().iter().take_while(|entry| entry.hash == hash)
        {
            let known = usize::from(entry.length);
            if word.0 & entry.mask == entry.word.0 && (entry.is_beginning || known == length) {
                hits.push(Hit { at: from + known, literal: entry.literal });
            }
        }
    }
}

// === impl Letters ===

impl Letters {
    fn of(word: &str) -> Self {
        Self::at(word.as_bytes(), 0, word.len())
    }

    fn at(text: &[u8], begin: usize, length: usize) -> Self {
        let behind = text.get(begin..).unwrap_or_default();
        let letters = match behind.first_chunk() {
            Some(letters) => u128::from_le_bytes(*letters),
            None => {
                let mut letters = [0; size_of::<u128>()];
                letters.iter_mut().zip(behind).for_each(|(letter, byte)| *letter = *byte);
                u128::from_le_bytes(letters)
            }
        };
        Self(letters & Self::mask(length))
    }

    fn mask(letters: usize) -> u128 {
        u128::MAX
            .checked_shr(8 * u32::try_from(size_of::<u128>().saturating_sub(letters)).unwrap_or_default())
            .unwrap_or_default()
    }

    fn hash(self) -> u16 {
        let head = u32::try_from(self.0 & Self::mask(HEAD)).unwrap_or_default();
        let mixed = head.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HEADS.trailing_zeros());
        u16::try_from(mixed).unwrap_or_default()
    }
}
