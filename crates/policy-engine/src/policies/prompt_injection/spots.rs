//! Where a text may be of interest: nearly none of nearly any text is, and that is told from the first letters of its
//! words alone.

use std::ops::Range;

use super::family::Family;
use super::heads::{Heads, Letters};
use super::kinds::{BLOCK, Kinds, is_sign, ones};
use super::lexicon::LONG_WORD;
use super::parts::{self, Scope, Spot};
use super::plan::{Plan, WORDS_REACH};
use super::together::{Found, Sides, Together};
use super::words::{MIN_APART, Words, read_as, within};

/// The words that are looked for at first.
#[derive(Debug)]
pub(super) struct Spots {
    /// What those begin with.
    firsts: Firsts,
    sides: Sides,
    /// For each literal, whether it is one that a word begins with or none.
    is_edge: Vec<bool>,
}

/// A set of the first letters of words.
#[derive(Debug)]
struct Firsts(Box<[u64; FIRSTS / 64]>);

/// Goes over one text.
struct Search<'a> {
    spots: &'a Spots,
    family: &'a Family,
    heads: &'a Heads,
    text: &'a str,
    /// Where parts of it were put together without a gap.
    seams: &'a [usize],
    together: Together<'a>,
    /// Letters before the block that is looked at.
    letters: u32,
    /// Letters that stand alone, up to here.
    apart: u32,
    /// Up to here, pieces that are no bare words were looked at.
    seen: usize,
}

/// Sixty-four bytes of a text, and those around them.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    base: usize,
    before: Kinds,
    here: Kinds,
    behind: Kinds,
}

/// Bytes; no literal is longer, whatever its letters are written as.
const AROUND_SEAM: usize = 32;
/// Letters.
const FIRST: u32 = 4;
/// Places for the hashes of those.
const FIRSTS: usize = 1 << 16;
/// A text is of interest as a whole if more than one byte of so many is not ASCII: every other word would be looked at
/// twice.
const FEW: usize = 8;

// === impl Spots ===

impl Spots {
    pub(super) fn of(plan: &Plan) -> Self {
        let sides = Sides::of(plan);
        let mut firsts = Firsts::default();
        for (_, literal) in plan.literals.iter().enumerate().filter(|(at, _)| sides.has(*at)) {
            firsts.add(literal.trim(), !literal.ends_with(' '));
        }
        let is_edge = plan.literals.iter().map(|literal| literal.starts_with(' ')).collect();
        Self { firsts, sides, is_edge }
    }

    /// The parts of a plain text (see `normalize::plain`) the words of which a row of `family` may match in, with so many
    /// letters more in front.
    pub(super) fn parts(
        &self,
        family: &Family,
        text: &str,
        seams: &[usize],
        before: usize,
    ) -> Vec<Range<usize>> {
        let Some(heads) = family.heads().filter(|_| !is_foreign(text)) else {
            return std::iter::once(0..text.len()).collect();
        };
        let together = Together::new(&self.sides, text.as_bytes());
        let search =
            Search { spots: self, family, heads, text, seams, together, letters: 0, apart: 0, seen: 0 };
        parts::around(&search.run(), text, before)
    }
}

// === impl Search ===

impl Search<'_> {
    fn run(mut self) -> Vec<Spot> {
        let (blocks, rest) = self.text.as_bytes().as_chunks();
        let mut last = [b' '; BLOCK];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let mut kinds = blocks.iter().chain([&last]).map(Kinds::of);
        let mut block = Block { behind: kinds.next().unwrap_or_default(), ..Block::default() };
        for base in (0..=self.text.len()).step_by(BLOCK) {
            block = Block {
                base,
                before: block.here,
                here: block.behind,
                behind: kinds.next().unwrap_or_default(),
            };
            self.words(&block);
            self.letters_apart(&block);
            self.letters += block.here.in_words().count_ones();
        }
        self.together.spots(self.letters)
    }

    /// Bare words, and pieces that are none.
    fn words(&mut self, block: &Block) {
        let Block { base, before, here, .. } = *block;
        let starts = here.letters & !(here.letters << 1 | before.letters >> 63);
        let words = self.spots.firsts.which(starts, block, self.text.as_bytes());
        let pieces = block.pieces() | self.seams_in(block);
        let long = block.long_words() & starts;
        for at in ones(words | pieces | long) {
            if pieces >> at & 1 == 1 {
                self.piece(block, at);
            }
            if long >> at & 1 == 1 {
                self.inside(block, at);
            } else if words >> at & 1 == 1 {
                self.word(block, at, 0, self.letters_from(base + at));
            }
        }
    }

    fn seams_in(&self, block: &Block) -> u64 {
        within(self.seams, block.base..block.base + BLOCK - 1)
            .fold(0, |seams, seam| seams | 1 << (seam - block.base))
    }

    fn letters_from(&self, begin: usize) -> usize {
        let rest = self.text.as_bytes().get(begin..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_lowercase()).count()
    }

    /// A long word, which may hold others.
    fn inside(&mut self, block: &Block, at: usize) {
        let begin = block.base + at;
        let length = self.letters_from(begin);
        for inner in 0..length.saturating_sub(FIRST as usize - 1) {
            if self.spots.firsts.may_have(first(self.text.as_bytes(), begin + inner, small(length - inner))) {
                self.word(block, at, inner, length - inner);
            }
        }
    }

    /// Looks for literals in a word from one of its letters on, which has so many.
    fn word(&mut self, block: &Block, at: usize, inner: usize, length: usize) {
        let begin = block.base + at + inner;
        let word = Letters::at(self.text.as_bytes(), begin, length);
        let before = self.letters + block.letters_before(at) + small(inner);
        for entry in self.heads.alike(word) {
            let is_edge = self.spots.is_edge.get(usize::from(entry.literal)).is_none_or(|is_edge| *is_edge);
            // in a long word, whatever does not have to stand by itself is found anywhere
            let is_inside = !is_edge && inner + length >= LONG_WORD;
            if inner == 0 && entry.is_in(length) || is_inside {
                let letters = (before, before);
                self.together.add(Found { literal: entry.literal, begin, end: begin, letters });
            }
        }
    }

    /// Single letters in a row, whatever stands between them; what is not ASCII counts for one, for it may be.
    fn letters_apart(&mut self, block: &Block) {
        let Block { base, before, here, behind } = *block;
        let starts = here.in_words() & !(here.in_words() << 1 | before.in_words() >> 63);
        let goes_on = here.in_words() >> 1 | behind.in_words() << 63;
        let (words, singles) = (starts & goes_on, starts & !goes_on & here.letters | block.foreign());
        if singles == 0 && words == 0 {
            return;
        }
        if self.apart + singles.count_ones() < MIN_APART {
            let behind_words = u64::MAX.checked_shl(u64::BITS - words.leading_zeros()).unwrap_or_default();
            self.apart = if words == 0 { self.apart } else { 0 } + (singles & behind_words).count_ones();
            return;
        }
        for at in ones(words | singles) {
            self.apart = if singles >> at & 1 == 1 { self.apart + 1 } else { 0 };
            if self.apart >= MIN_APART {
                let reach = 2 * WORDS_REACH;
                self.together.spots.push(Spot { at: base + at, scope: Scope::Text, reach });
            }
        }
    }

    /// What is not all of letters: digits and signs may stand for some, and other scripts have look-alikes.
    fn piece(&mut self, block: &Block, at: usize) {
        let place = block.base + at;
        if place < self.seen {
            return;
        }
        let (front, rest) = self.text.as_bytes().split_at_checked(place).unwrap_or_default();
        let begin = place - front.iter().rev().take_while(|byte| is_in_piece(**byte)).count();
        let end = place + rest.iter().take_while(|byte| is_in_piece(**byte)).count();
        self.seen = end;
        let letters = self.letters + block.letters_before(at);
        let letters = (letters.saturating_sub(small(place - begin)), letters + small(end - place));
        let is_put_together = within(self.seams, begin + 1..end.saturating_sub(1)).next().is_some();
        let literals = match self.text.get(begin..end).unwrap_or_default() {
            _ if is_put_together => self.literals_anywhere(begin..end),
            piece if piece.is_ascii() && piece.len() < LONG_WORD => self.literals_of_short(piece),
            piece => self.literals(piece),
        };
        // in one piece, any of them may be the one that comes last
        let times = if literals.len() > 1 { 2 } else { 1 };
        for literal in literals.iter().cycle().take(times * literals.len()) {
            self.together.add(Found { literal: *literal, begin, end, letters });
        }
    }

    /// Of a word that may have been several: whatever stands anywhere in it, near where it was put together.
    fn literals_anywhere(&self, piece: Range<usize>) -> Vec<u16> {
        let mut literals = Vec::new();
        let mut end = piece.start;
        for seam in within(self.seams, piece.clone()) {
            let from = self.text.floor_char_boundary(seam.saturating_sub(AROUND_SEAM).max(end));
            end = self.text.ceil_char_boundary((seam + AROUND_SEAM).min(piece.end)).max(from);
            let words = Words::of(self.text.get(from..end).unwrap_or_default(), &[]);
            let bytes = words.text().as_bytes();
            let alike = |at| self.heads.alike(Letters::at(bytes, at, bytes.len() - at));
            literals.extend((0..bytes.len()).flat_map(alike).map(|entry| entry.literal));
        }
        literals.extend(self.literals(self.text.get(piece).unwrap_or_default()));
        literals.sort_unstable();
        literals.dedup();
        literals
    }

    fn literals(&self, piece: &str) -> Vec<u16> {
        self.family.literals(&Words::of(piece, &[]))
    }

    fn literals_of_short(&self, piece: &str) -> Vec<u16> {
        let mut word = [0; LONG_WORD];
        let mut length = 0;
        for (to, from) in word.iter_mut().zip(read_as(piece)) {
            *to = from;
            length += 1;
        }
        if !self.spots.firsts.may_have(first(&word, 0, small(length))) {
            return Vec::new();
        }
        let found = self.heads.alike(Letters::at(&word, 0, length));
        found.filter(|entry| entry.is_in(length)).map(|entry| entry.literal).collect()
    }
}

// === impl Block ===

impl Block {
    /// A place in each piece that is not all of letters, or several.
    fn pieces(&self) -> u64 {
        let Self { before, here, behind, .. } = self;
        let signs = here.digits | here.signs;
        if signs | here.foreign == 0 {
            return 0;
        }
        let letters = here.letters << 1 | before.letters >> 63 | here.letters >> 1 | behind.letters << 63;
        signs & letters | self.foreign()
    }

    /// Where runs of what is not ASCII begin.
    fn foreign(&self) -> u64 {
        self.here.foreign & !(self.here.foreign << 1 | self.before.foreign >> 63)
    }

    /// The letters that are in words of so many from there on.
    fn long_words(&self) -> u64 {
        let letters = u128::from(self.here.letters) | u128::from(self.behind.letters) << BLOCK;
        let two = letters & letters >> 1;
        let four = two & two >> 2;
        let eight = four & four >> 4;
        #[expect(clippy::cast_possible_truncation, reason = "those that begin here")]
        let long = (eight & eight >> (LONG_WORD - 8)) as u64;
        long
    }

    fn letters_before(&self, at: usize) -> u32 {
        (self.here.in_words() & !(u64::MAX << at)).count_ones()
    }
}

fn is_foreign(text: &str) -> bool {
    !text.is_ascii() && text.bytes().filter(|byte| !byte.is_ascii()).count() > text.len() / FEW
}

fn is_in_piece(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii() || is_sign(byte)
}

/// Texts are shorter than 4 GiB.
fn small(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The first letters of a word of so many, and whether it has more, as one number.
fn first(text: &[u8], begin: usize, length: u32) -> u32 {
    let behind = text.get(begin..).unwrap_or_default();
    let letters = match behind.first_chunk() {
        Some(letters) => u32::from_le_bytes(*letters),
        None => behind.iter().rev().fold(0, |letters, byte| letters << 8 | u32::from(*byte)),
    };
    let has_more = u32::from(length > FIRST) << 7;
    (letters & u32::MAX >> ((u32::BITS - 8 * length.clamp(1, FIRST)) & 31)) ^ has_more
}

// === impl Firsts ===

impl Firsts {
    /// `goes_on`: longer words are meant as well.
    fn add(&mut self, word: &str, goes_on: bool) {
        let length = small(word.len());
        let mut set = |length| {
            let (at, bit) = Self::place(first(word.as_bytes(), 0, length));
            if let Some(word) = self.0.get_mut(at) {
                *word |= bit;
            }
        };
        set(length);
        if goes_on && length == FIRST {
            set(FIRST + 1);
        }
        if goes_on && length < FIRST && word.is_ascii() {
            ('a'..='z').for_each(|letter| self.add(&format!("{word}{letter}"), goes_on));
        }
    }

    fn may_have(&self, first: u32) -> bool {
        let (at, bit) = Self::place(first);
        self.0.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Those of the letters of a block that a word begins with which may be one of these. By itself, for it is most of what
    /// is done for most texts; a branch for each word would be taken the wrong way too often.
    #[inline(never)]
    fn which(&self, mut ask: u64, block: &Block, text: &[u8]) -> u64 {
        let Block { base, here, behind, .. } = *block;
        let mut which = 0;
        while ask != 0 {
            let at = ask.trailing_zeros();
            ask &= ask - 1;
            let rest = here.letters >> at | behind.letters << 1 << (63 - at);
            let length = (!rest | 2 << FIRST).trailing_zeros();
            let first = first(text, base + at as usize, length);
            which |= u64::from(self.may_have(first)) << at;
        }
        which
    }

    fn place(first: u32) -> (usize, u64) {
        let hash = first.wrapping_mul(0x9e37_79b1) >> 16;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}

impl Default for Firsts {
    fn default() -> Self {
        Self(Box::new([0; FIRSTS / 64]))
    }
}
