//! The literals that a word begins with, found by its first letters.

use super::lexicon::Hit;

#[derive(Debug)]
pub(super) struct Heads {
    /// For each hash of a head, one more than the place of its first entry; 0: none.
    first: Vec<u16>,
    entries: Vec<Entry>,
    /// Those that are shorter than a head, and that a longer word may begin with, by their first two letters.
    short: Vec<Vec<Entry>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    hash: u16,
    pub(super) literal: u16,
    length: usize,
    /// A longer word may begin with it.
    is_beginning: bool,
    word: Letters,
    mask: u128,
}

/// The first letters of a word, as one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Letters(u128);

/// Letters by which literals are told apart at first.
const HEAD: usize = 4;
const HEADS: usize = 1 << 14;
const LETTERS: usize = 26;

// === impl Heads ===

impl Heads {
    /// The number of a literal is its place.
    pub(super) fn build(literals: &[&str]) -> Option<Self> {
        let mut entries = Vec::with_capacity(literals.len());
        let mut short: Vec<Vec<Entry>> = std::iter::repeat_with(Vec::new).take(LETTERS * LETTERS).collect();
        for (at, literal) in literals.iter().enumerate() {
            let word = literal.trim();
            let letters = Letters::of(word);
            let entry = Entry {
                hash: letters.hash(),
                literal: u16::try_from(at).ok()?,
                length: word.len(),
                is_beginning: !literal.ends_with(' '),
                word: letters,
                mask: Letters::mask(word.len()),
            };
            match letters.pair().and_then(|pair| short.get_mut(pair)) {
                Some(short) if entry.is_beginning && word.len() < HEAD => short.push(entry),
                _ => entries.push(entry),
            }
        }
        entries.sort_by_key(|entry| entry.hash);
        let mut first = vec![0; HEADS];
        for (at, entry) in entries.iter().enumerate().rev() {
            *first.get_mut(usize::from(entry.hash))? = u16::try_from(at + 1).ok()?;
        }
        Some(Self { first, entries, short })
    }

    /// Of a word of so many letters that begins at `from`.
    pub(super) fn find(&self, word: Letters, length: usize, from: usize, hits: &mut Vec<Hit>) {
        let found = self.alike(word).filter(|entry| entry.is_in(length));
        hits.extend(found.map(|entry| Hit { at: from + entry.length, literal: entry.literal }));
    }

    /// Those whose letters a word begins with.
    pub(super) fn alike(&self, word: Letters) -> impl Iterator<Item = &Entry> {
        let short = word.pair().and_then(|pair| self.short.get(pair)).map(Vec::as_slice).unwrap_or_default();
        let hash = word.hash();
        let first = self.first.get(usize::from(hash)).copied().unwrap_or_default();
        let alike = usize::from(first).checked_sub(1).and_then(|first| self.entries.get(first..));
        let alike = alike.unwrap_or_default().iter().take_while(move |entry| entry.hash == hash);
        short.iter().chain(alike).filter(move |entry| word.0 & entry.mask == entry.word.0)
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it is in a word of so many letters that begins with its letters.
    pub(super) fn is_in(&self, length: usize) -> bool {
        self.is_beginning || self.length == length
    }
}

// === impl Letters ===

impl Letters {
    pub(super) fn of(word: &str) -> Self {
        Self::at(word.as_bytes(), 0, word.len())
    }

    pub(super) fn at(text: &[u8], begin: usize, length: usize) -> Self {
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

    /// The place of the first two among all pairs of letters.
    fn pair(self) -> Option<usize> {
        let [first, second, ..] = self.0.to_le_bytes();
        let place = |letter: u8| letter.is_ascii_lowercase().then(|| usize::from(letter - b'a'));
        Some(place(first)? * LETTERS + place(second)?)
    }

    fn hash(self) -> u16 {
        let head = u32::try_from(self.0 & Self::mask(HEAD)).unwrap_or_default();
        let mixed = head.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HEADS.trailing_zeros());
        u16::try_from(mixed).unwrap_or_default()
    }
}
