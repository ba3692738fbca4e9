//! Letters of other scripts that look like Latin ones (a selection from Unicode's confusables).

use std::borrow::Cow;

/// Look-alike and the Latin letter it passes for; both in lower case, after NFKC and without accents.
const LOOK_ALIKES: &[(char, char)] = &[
    // Cyrillic
    ('а', 'a'),
    ('е', 'e'),
    ('о', 'o'),
    ('р', 'p'),
    ('с', 'c'),
    ('у', 'y'),
    ('х', 'x'),
    ('і', 'i'),
    ('ј', 'j'),
    ('ѕ', 's'),
    ('ԁ', 'd'),
    ('ԛ', 'q'),
    ('ԝ', 'w'),
    ('һ', 'h'),
    ('ӏ', 'l'),
    ('ɡ', 'g'),
    ('ү', 'y'),
    ('к', 'k'),
    ('м', 'm'),
    ('т', 't'),
    ('н', 'h'),
    ('в', 'b'),
    ('г', 'r'),
    ('п', 'n'),
    ('и', 'u'),
    ('ѵ', 'v'),
    ('ґ', 'r'),
    // Greek
    ('α', 'a'),
    ('β', 'b'),
    ('ε', 'e'),
    ('η', 'n'),
    ('ι', 'i'),
    ('κ', 'k'),
    ('ν', 'v'),
    ('ο', 'o'),
    ('ρ', 'p'),
    ('σ', 'o'),
    ('τ', 't'),
    ('υ', 'u'),
    ('χ', 'x'),
    ('ω', 'w'),
    ('γ', 'y'),
    ('ϲ', 'c'),
    ('ϳ', 'j'),
    // Armenian
    ('ո', 'n'),
    ('ս', 'u'),
    ('օ', 'o'),
    ('հ', 'h'),
    ('ց', 'g'),
    ('զ', 'q'),
    // Latin letters of other shapes
    ('ı', 'i'),
    ('ɪ', 'i'),
    ('ʟ', 'l'),
    ('ɴ', 'n'),
    ('ʀ', 'r'),
    ('ᴀ', 'a'),
    ('ᴇ', 'e'),
    ('ᴏ', 'o'),
    ('ᴘ', 'p'),
    ('ᴛ', 't'),
    ('ᴜ', 'u'),
    ('ᴠ', 'v'),
    ('ɢ', 'g'),
    ('ᴄ', 'c'),
    ('ᴅ', 'd'),
    ('ᴍ', 'm'),
    ('ꜱ', 's'),
    ('ʏ', 'y'),
    ('ɑ', 'a'),
    ('ǀ', 'l'),
    ('ł', 'l'),
    ('ø', 'o'),
    ('đ', 'd'),
];

/// These alone make a word of another script a Latin one; the rest only help in a mixed word, or
/// Russian and Greek would be read as gibberish.
const STRONG: &str = "аеорсухіјѕԁԛԝһӏɡү";

/// Folds a word that mixes Latin with look-alikes, or that consists of nothing but strong ones.
pub(super) fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        return Cow::Borrowed(word);
    }
    let mixed = word.chars().any(|c| c.is_ascii_lowercase());
    let disguised = word.chars().all(|c| STRONG.contains(c) || c.is_ascii_digit());
    let small_capitals =
        word.chars().any(|c| ('\u{250}'..='\u{2af}').contains(&c) || ('\u{1d00}'..='\u{1d7f}').contains(&c));
    if mixed || disguised || small_capitals {
        Cow::Owned(word.chars().map(latin).collect())
    } else {
        Cow::Borrowed(word)
    }
}

fn latin(c: char) -> char {
    LOOK_ALIKES.iter().find(|(look_alike, _)| *look_alike == c).map_or(c, |(_, latin)| *latin)
}
