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

/// Read as nothing: controls, what Unicode calls ignorable, and marks that are laid over letters of any script or that
/// their script may do without (points of Hebrew, short vowels of Arabic), in order. A class of the regex crate says the
/// same below.
const NOTHING: &[RangeInclusive<char>] = &[
    '\u{0}'..='\u{8}',
    '\u{e}'..='\u{1f}',
    '\u{7f}'..='\u{84}',
    '\u{86}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{300}'..='\u{36f}',
    '\u{483}'..='\u{489}',
    '\u{591}'..='\u{5bd}',
    '\u{5bf}'..='\u{5bf}',
    '\u{5c1}'..='\u{5c2}',
    '\u{5c4}'..='\u{5c5}',
    '\u{5c7}'..='\u{5c7}',
    '\u{610}'..='\u{61a}',
    '\u{61c}'..='\u{61c}',
    '\u{64b}'..='\u{65f}',
    '\u{670}'..='\u{670}',
    '\u{6d6}'..='\u{6dc}',
    '\u{6df}'..='\u{6e4}',
    '\u{6e7}'..='\u{6e8}',
    '\u{6ea}'..='\u{6ed}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{1ab0}'..='\u{1aff}',
    '\u{1cd0}'..='\u{1cd2}',
    '\u{1cd4}'..='\u{1ce8}',
    '\u{1ced}'..='\u{1ced}',
    '\u{1cf4}'..='\u{1cf4}',
    '\u{1cf7}'..='\u{1cf9}',
    '\u{1dc0}'..='\u{1dff}',
    '\u{200b}'..='\u{200f}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{20d0}'..='\u{20ff}',
    '\u{302a}'..='\u{302d}',
    '\u{3164}'..='\u{3164}',
    '\u{a66f}'..='\u{a672}',
    '\u{a674}'..='\u{a67d}',
    '\u{a69e}'..='\u{a69f}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{fe20}'..='\u{fe2f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d165}'..='\u{1d169}',
    '\u{1d16d}'..='\u{1d182}',
    '\u{1d185}'..='\u{1d18b}',
    '\u{1d1aa}'..='\u{1d1ad}',
    '\u{e0000}'..='\u{e001f}',
    '\u{e007f}'..='\u{e0fff}',
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
        '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2800}' => Read::Gap,
        '!'..='~' => Read::Letter(c),
        c if c.is_whitespace() => Read::Gap,
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

/// Of ranges in order.
fn within(ranges: &[RangeInclusive<char>], c: char) -> bool {
    let begun = ranges.partition_point(|range| *range.start() <= c);
    begun.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|range| range.contains(&c))
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
        for gap in [' ', '\n', '\u{b}', '\u{85}', '-', '_', '\u{a0}', '\u{2011}', '\u{2800}', '\u{3000}'] {
            assert_eq!(read(gap), Read::Gap, "{gap:?}");
        }
        for nothing in
            "\u{200b}\u{301}\u{ad}\u{feff}\u{fe0f}\0\u{8}\u{7f}\u{9f}\u{fff9}\u{e0fff}\u{1dc4}\u{20dd}\u{1cd0}\u{488}\u{34f}"
                .chars()
        {
            assert_eq!(read(nothing), Read::Nothing, "{nothing:?}");
        }
        // without these a word is another
        for letter in ['\u{93f}', '\u{94d}', '\u{e31}', '\u{bcd}', '\u{3099}'] {
            assert_eq!(read(letter), Read::Letter(letter), "{letter:?}");
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
