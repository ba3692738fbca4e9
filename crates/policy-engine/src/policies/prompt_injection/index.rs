//! Where in a text an attack may be, told from its bytes: every pattern holds a string of each of some sets
//! near together, so only the neighbourhood of such strings is read as a model would read it.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::policies::literals::{Required, commonness};

/// What is looked for, ready for one pass over a text.
#[derive(Debug)]
pub(super) struct Index {
    /// One bit for the hash of each [`GRAM`] bytes that are looked for.
    bits: Vec<u64>,
    /// In order; with the literals that these bytes speak for.
    grams: Vec<(u32, Vec<Literal>)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Literal {
    /// With [`FOLD`] in every byte.
    folded: Vec<u8>,
    /// Where in it the gram lies.
    offset: usize,
    /// Rows, and the number of the set of each.
    owners: Vec<(usize, usize)>,
}

/// How far the parts of a match may be from one another.
#[derive(Debug, Clone, Copy)]
struct Row {
    words: usize,
    bytes: usize,
    /// At most [`SETS`].
    sets: usize,
}

/// A place where a string of some rows lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit<'i> {
    pub(super) at: usize,
    pub(super) owners: &'i [(usize, usize)],
}

/// A part of a text, and the rows that may match in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) range: Range<usize>,
    pub(super) rows: Vec<usize>,
}

/// How words and bytes of a text are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it came: only what is a word for certain counts, and bytes say nothing.
    Raw,
    /// As the patterns see it.
    Normal,
}

const GRAM: usize = 4;
/// A string of one byte less has some byte behind it.
const SHORTEST: usize = GRAM - 1;
/// Of the sets of a row, the rarest.
const SETS: usize = 3;
/// Makes letters of either case the same, and some signs.
const FOLD: u8 = 0x20;
const FOLDS: u32 = 0x2020_2020;
/// Of a gram, the bytes of a string of [`SHORTEST`].
const SHORT: u32 = 0xff_ffff;
const HASH_BITS: u32 = 16;
const WORD_BITS: usize = 64;
/// Letters in the order of how often they are met.
const BY_FREQUENCY: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz";
/// Words around a hit beside those that its row spans: edges, and gaps at both ends.
const SLACK: usize = 2;
/// No bound.
const ANY: usize = usize::MAX / 2;

// === impl Index ===

impl Index {
    /// Or the rows of which too little is known.
    pub(super) fn new<'r>(rows: impl Iterator<Item = &'r Required>) -> Result<Self, Vec<usize>> {
        let mut owners: BTreeMap<Vec<u8>, Vec<(usize, usize)>> = BTreeMap::new();
        let (mut kept, mut unknown) = (Vec::new(), Vec::new());
        for (at, row) in rows.enumerate() {
            let mut sets: Vec<&Vec<String>> =
                row.sets.iter().filter(|set| set.iter().all(|literal| literal.len() >= SHORTEST)).collect();
            sets.sort_by_key(|set| set.iter().map(|literal| commonness(literal)).sum::<u32>());
            if sets.is_empty() {
                unknown.push(at);
            }
            for (number, set) in sets.iter().take(SETS).enumerate() {
                for literal in *set {
                    let folded = literal.bytes().map(|byte| byte | FOLD).collect();
                    owners.entry(folded).or_default().push((at, number));
                }
            }
            kept.push(Row {
                words: row.words.unwrap_or(ANY),
                bytes: row.bytes.unwrap_or(ANY),
                sets: sets.len().min(SETS),
            });
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let mut bits = vec![0_u64; (1 << HASH_BITS) / WORD_BITS];
        let mut grams: BTreeMap<u32, Vec<Literal>> = BTreeMap::new();
        for (folded, owners) in owners {
            let (offset, gram, wild) = rarest(&folded);
            for byte in 0..=if wild { u8::MAX } else { 0 } {
                let hash = hash(gram | u32::from_le_bytes([0, 0, 0, byte | if wild { FOLD } else { 0 }]));
                if let Some(bits) = bits.get_mut(hash / WORD_BITS) {
                    *bits |= 1 << (hash % WORD_BITS);
                }
            }
            grams.entry(gram).or_default().push(Literal { folded, offset, owners });
        }
        Ok(Self { bits, grams: grams.into_iter().collect(), rows: kept })
    }

    /// Every place of a string that is looked for, in order of their grams.
    pub(super) fn hits<'i>(&'i self, text: &[u8], mut found: impl FnMut(Hit<'i>)) {
        let mut look = |at: usize, gram: u32| {
            let hash = hash(gram);
            let bits = self.bits.get(hash / WORD_BITS).copied().unwrap_or_default();
            if bits >> (hash % WORD_BITS) & 1 != 0 {
                self.confirm(text, at, gram, &mut found);
            }
        };
        for (at, four) in text.windows(GRAM).enumerate() {
            look(at, gram(four));
        }
        if let Some([one, other, last]) = text.last_chunk() {
            look(text.len() - SHORTEST, gram(&[*one, *other, *last, 0]));
        }
    }

    #[cold]
    fn confirm<'i>(&'i self, text: &[u8], at: usize, gram: u32, found: &mut impl FnMut(Hit<'i>)) {
        for gram in [gram, gram & SHORT] {
            let Ok(place) = self.grams.binary_search_by_key(&gram, |(gram, _)| *gram) else { continue };
            for literal in self.grams.get(place).map(|(_, literals)| literals).into_iter().flatten() {
                if literal.starts_at(text, at) {
                    found(Hit { at, owners: &literal.owners });
                }
            }
        }
    }

    /// Where some row has a string of each of its sets, with as much around them as a match may have; `None` when that is more
    /// than the text is worth. The hits come in the order of the text.
    pub(super) fn windows(&self, text: &[u8], hits: &[Hit<'_>], form: Form) -> Option<Vec<Window>> {
        let mut windows: Vec<Window> = Vec::new();
        // for each row, the last place of each of its sets: bytes and words before it
        let mut last: Vec<[Option<(usize, usize)>; SETS]> = vec![[None; SETS]; self.rows.len()];
        let (mut words, mut counted_to) = (0, 0);
        let mut looked_at = 0;
        for hit in hits {
            if hit.at > counted_to {
                words += form.words(text, counted_to..hit.at);
                counted_to = hit.at;
            }
            let mut most: Option<Row> = None;
            let mut rows = Vec::new();
            for (number, set) in hit.owners {
                let (Some(row), Some(places)) = (self.rows.get(*number), last.get_mut(*number)) else {
                    continue;
                };
                if let Some(place) = places.get_mut(*set) {
                    *place = Some((hit.at, words));
                }
                let near = |place: &Option<(usize, usize)>| {
                    place.is_some_and(|(at, before)| {
                        words - before <= row.words + 1 && (form == Form::Raw || hit.at - at <= row.bytes)
                    })
                };
                if places.iter().take(row.sets).all(near) {
                    rows.push(*number);
                    most = Some(most.map_or(*row, |most| most.or(row)));
                }
            }
            if let Some(most) = most {
                let range = form.window(text, hit.at, &most);
                looked_at += range.len();
                add(&mut windows, range, rows);
            }
            if looked_at > text.len() * MOST_LOOKS + MUCH {
                return None;
            }
        }
        Some(windows)
    }
}

/// A text is looked at so many times, and a short one as often as it takes, before it is read as a whole.
const MOST_LOOKS: usize = 24;
const MUCH: usize = 64 << 10;

/// The windows of neighbours become one.
fn add(windows: &mut Vec<Window>, mut range: Range<usize>, mut rows: Vec<usize>) {
    while let Some(last) = windows.pop_if(|last| range.start <= last.range.end) {
        range = range.start.min(last.range.start)..range.end.max(last.range.end);
        rows.extend(last.rows);
    }
    rows.sort_unstable();
    rows.dedup();
    windows.push(Window { range, rows });
}

fn gram(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes) | FOLDS
}

fn hash(gram: u32) -> usize {
    usize::from(u16::try_from(gram.wrapping_mul(0x9e37_79b1) >> HASH_BITS).unwrap_or_default())
}

/// The four bytes of a literal that are met most seldom, where they lie, and whether there are but three.
fn rarest(literal: &[u8]) -> (usize, u32, bool) {
    let rarity =
        |byte: &u8| BY_FREQUENCY.iter().position(|letter| letter == byte).unwrap_or(BY_FREQUENCY.len());
    let grams = literal.windows(GRAM).enumerate();
    match grams.max_by_key(|(_, four)| four.iter().map(rarity).sum::<usize>()) {
        Some((offset, four)) => (offset, gram(four), false),
        None => {
            let mut short = [0; GRAM];
            short.iter_mut().zip(literal).for_each(|(byte, letter)| *byte = *letter);
            (0, u32::from_le_bytes(short) & SHORT, true)
        }
    }
}

// === impl Row

impl Row {
    /// What is far enough for both.
    fn or(self, other: &Self) -> Self {
        Self { words: self.words.max(other.words), bytes: self.bytes.max(other.bytes), sets: self.sets }
    }
}

// === impl Literal

impl Literal {
    /// Whether it lies in a text where its gram does.
    fn starts_at(&self, text: &[u8], at: usize) -> bool {
        let start = at.checked_sub(self.offset);
        let bytes = start.and_then(|start| text.get(start..start + self.folded.len()));
        bytes.is_some_and(|bytes| bytes.iter().zip(&self.folded).all(|(byte, folded)| byte | FOLD == *folded))
    }
}

// === impl Form ===

impl Form {
    /// No more words than there are.
    fn words(self, text: &[u8], range: Range<usize>) -> usize {
        let text = text.get(range).unwrap_or_default();
        match self {
            Self::Normal => memchr::memchr_iter(b' ', text).count(),
            Self::Raw => {
                let behind = text.get(1..).unwrap_or_default().iter().zip(text.get(2..).unwrap_or_default());
                text.iter()
                    .zip(behind)
                    .map(|(before, (one, other))| usize::from(begins(*before, *one, *other)))
                    .sum()
            }
        }
    }

    /// So much of a text around a place as a match of a row may take, and an edge.
    fn window(self, text: &[u8], at: usize, row: &Row) -> Range<usize> {
        let words = row.words + SLACK;
        let (head, tail) = text.split_at_checked(at).unwrap_or((text, &[]));
        match self {
            Self::Normal => {
                let most = row.bytes.saturating_add(SLACK * GRAM);
                let start = memchr::memrchr_iter(b' ', head).nth(words).unwrap_or(0);
                let end = memchr::memchr_iter(b' ', tail).nth(words).map_or(text.len(), |end| at + end);
                start.max(at.saturating_sub(most))..end.min(at.saturating_add(most))
            }
            Self::Raw => {
                let three = |three: &[u8]| match three {
                    [before, one, other] => begins(*before, *one, *other),
                    _ => false,
                };
                let starts = head.windows(3).enumerate().rev().filter(|(_, bytes)| three(bytes));
                let start = starts.map(|(start, _)| start + 1).nth(words).unwrap_or(0);
                let ends = tail.windows(3).enumerate().filter(|(_, bytes)| three(bytes));
                let end = ends.map(|(end, _)| at + end + 1).nth(words).unwrap_or(text.len());
                start..end
            }
        }
    }
}

/// A word of two letters or more, and none that a sign or a foreign letter in front makes a part of another.
fn begins(before: u8, one: u8, other: u8) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric();
    let joins = (before >= 0x80) | (before == b'@') | (before == b'$') | (before == b'\'');
    word(one) & word(other) & !word(before) & !joins
}
