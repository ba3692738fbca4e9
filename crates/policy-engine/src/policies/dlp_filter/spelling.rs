//! One form for all spellings of a letter: case, accents, compatibility forms (full width, mathematical, circled),
//! tag characters. Each character is read by itself, so that what is found has its place in the text as it came.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

/// What a character is to a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A letter, digit or sign in its one form.
    Letter(char),
    /// Between words; many are as one.
    Gap,
    /// Nothing: it is invisible, or an accent.
    Nothing,
}

/// Read as nothing. A class of the regex crate says the same below.
const NOTHING: &[RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{300}'..='\u{36f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e001f}',
    '\u{e007f}'..='\u{e01ef}',
];

/// Where letters stand that are other spellings of some letter elsewhere, beside its other case.
const SPELLINGS: &[RangeInclusive<char>] = &[
    '\u{80}'..='\u{2af}',
    '\u{370}'..='\u{52f}',
    '\u{1d00}'..='\u{1fff}',
    '\u{2070}'..='\u{209f}',
    '\u{2100}'..='\u{218f}',
    '\u{2460}'..='\u{24ff}',
    '\u{ff00}'..='\u{ffef}',
    '\u{1d400}'..='\u{1d7ff}',
    '\u{1f130}'..='\u{1f189}',
    '\u{e0020}'..='\u{e007e}',
];

/// Every other spelling with its letter, by letter.
static BY_LETTER: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let spellings = SPELLINGS.iter().cloned().flatten();
    let mut by_letter: Vec<(char, char)> = spellings
        .filter_map(|c| match read(c) {
            Read::Letter(letter) if letter != c => Some((letter, c)),
            _ => None,
        })
        .collect();
    by_letter.sort_unstable();
    by_letter
});

pub(super) fn read(c: char) -> Read {
    match c {
        'a'..='z' | '0'..='9' => Read::Letter(c),
        'A'..='Z' => Read::Letter(c.to_ascii_lowercase()),
        '-' | '_' | '\u{2010}'..='\u{2015}' => Read::Gap,
        c if c.is_whitespace() => Read::Gap,
        c if c.is_ascii() => Read::Letter(c),
        c if within(NOTHING, c) => Read::Nothing,
        c if within(SPELLINGS, c) => Read::Letter(folded(c)),
        c => Read::Letter(lower(c)),
    }
}

/// A class of all characters that are read as this letter.
pub(super) fn class_of(letter: char) -> String {
    let from = BY_LETTER.partition_point(|(known, _)| *known < letter);
    let others = BY_LETTER.iter().skip(from).take_while(|(known, _)| *known == letter).map(|(_, c)| *c);
    let cases =
        [letter].into_iter().chain(letter.to_uppercase().filter(|c| read(*c) == Read::Letter(letter)));
    class(cases.chain(others).map(|c| c..=c))
}

pub(super) fn class_of_gaps() -> String {
    let blanks = ('\0'..='\u{3000}').filter(|c| read(*c) == Read::Gap);
    class(blanks.map(|c| c..=c).chain(NOTHING.iter().cloned()))
}

pub(super) fn class_of_nothing() -> String {
    class(NOTHING.iter().cloned())
}

fn class(ranges: impl Iterator<Item = RangeInclusive<char>>) -> String {
    let ranges = ranges
        .map(|range| format!("\\x{{{:x}}}-\\x{{{:x}}}", u32::from(*range.start()), u32::from(*range.end())));
    format!("[{}]", ranges.collect::<String>())
}

/// The one letter that a compatibility form stands for; what stands for several is itself.
fn folded(c: char) -> char {
    if let '\u{e0020}'..='\u{e007e}' = c {
        return char::from_u32(u32::from(c) - 0xe0000).map_or(c, lower);
    }
    let mut bare = std::iter::once(c).nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    match (bare.next(), bare.next()) {
        (Some(letter), None) => lower(letter),
        _ => lower(c),
    }
}

fn lower(c: char) -> char {
    let mut lower = c.to_lowercase().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    match (lower.next(), lower.next()) {
        (Some(letter), None) => letter,
        _ => c,
    }
}

fn within(ranges: &[RangeInclusive<char>], c: char) -> bool {
    ranges.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn a_letter_has_many_spellings() {
        for (spelling, letter) in [
            ('F', 'f'),
            ('Ｆ', 'f'),
            ('𝔣', 'f'),
            ('ⓕ', 'f'),
            ('é', 'e'),
            ('Å', 'a'),
            ('İ', 'i'),
            ('Ж', 'ж'),
            ('й', 'и'),
            ('Σ', 'σ'),
            ('\u{e0046}', 'f'),
            ('ﬁ', 'ﬁ'),
            ('機', '機'),
            ('+', '+'),
        ] {
            assert_eq!(read(spelling), Read::Letter(letter), "{spelling}");
        }
        for gap in [' ', '\n', '-', '_', '\u{a0}', '\u{2011}', '\u{3000}'] {
            assert_eq!(read(gap), Read::Gap, "{gap:?}");
        }
        for nothing in ['\u{200b}', '\u{301}', '\u{ad}', '\u{feff}', '\u{fe0f}'] {
            assert_eq!(read(nothing), Read::Nothing, "{nothing:?}");
        }
    }

    #[test]
    fn a_class_holds_what_is_read_as_its_letter_and_nothing_else() {
        let all: String = ('\0'..=char::MAX).collect();
        let matched =
            |class: &str| Regex::new(class).unwrap().find_iter(&all).map(|c| c.as_str()).collect::<String>();
        let read_as =
            |wanted: &[Read]| all.chars().filter(|c| wanted.contains(&read(*c))).collect::<String>();
        for letter in ['e', 'k', 's', '7', 'и', 'σ', '機', ']'] {
            assert_eq!(matched(&class_of(letter)), read_as(&[Read::Letter(letter)]), "{letter}");
        }
        assert_eq!(matched(&class_of_gaps()), read_as(&[Read::Gap, Read::Nothing]));
        assert_eq!(matched(&class_of_nothing()), read_as(&[Read::Nothing]));
    }
}
