//! Spellings of one text that read the same become the same: compatibility forms, invisible and tag
//! characters, case, accents.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

/// The text with its punctuation: lower case, one form for each letter. Delimiters are looked for here.
pub(super) fn plain(text: &str) -> String {
    let visible = unescape(text);
    if visible.is_ascii() {
        return visible.to_ascii_lowercase();
    }
    let mut plain = String::with_capacity(visible.len());
    let mut rest: &str = &visible;
    // ASCII is what it is, and nothing that is left of its neighbours joins it
    while let Some((ascii, foreign)) = split_at_byte(rest, |byte| !byte.is_ascii()) {
        plain.extend(ascii.chars().map(|c| c.to_ascii_lowercase()));
        let (foreign, next) = split_at_byte(foreign, |byte| byte.is_ascii()).unwrap_or((foreign, ""));
        fold_foreign(foreign, &mut plain);
        rest = next;
    }
    plain.push_str(&rest.to_ascii_lowercase());
    plain
}

/// Letters that stay what they are, whatever stands beside them, need no look into the tables of Unicode.
fn fold_foreign(text: &str, plain: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let (unsettled, behind) = split_where(rest, |c| settled(c).is_some());
        plain.extend(folded(unsettled));
        let (letters, next) = split_where(behind, |c| settled(c).is_none());
        plain.extend(letters.chars().filter_map(settled));
        rest = next;
    }
}

/// Russian letters but `й`, and Chinese ones.
fn settled(c: char) -> Option<char> {
    match c {
        'а'..='и' | 'к'..='я' | '\u{4e00}'..='\u{9fff}' => Some(c),
        'А'..='И' | 'К'..='Я' => char::from_u32(u32::from(c) + 0x20),
        _ => None,
    }
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.find(ends).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .filter_map(revealed)
        .nfkd()
        .filter(|&c| !('\u{300}'..='\u{36f}').contains(&c))
        .nfc()
        .flat_map(char::to_lowercase)
}

fn split_at_byte(text: &str, ends: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    text.split_at_checked(text.bytes().position(ends)?)
}

/// What a reader sees of a character: nothing of an invisible one, the letter of a tag.
fn revealed(c: char) -> Option<char> {
    match c {
        '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(c) - 0xe0000),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => None,
        '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' => None,
        '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' => None,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}' | '\u{1d173}'..='\u{1d17a}' => None,
        c => Some(c),
    }
}

/// Undoes `\u0069` and turns `\n` into a gap: text that is JSON in itself, as tool arguments are.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, escaped)) = rest.split_once('\\') {
        plain.push_str(before);
        let unicode = escaped.strip_prefix('u').and_then(|hex| hex.get(..4));
        let unicode = unicode.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let scalar = unicode.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        rest = match (scalar, escaped.chars().next()) {
            (Some(character), _) => {
                plain.push(character);
                escaped.get(5..).unwrap_or_default()
            }
            (None, Some('n' | 'r' | 't')) => {
                plain.push('\n');
                escaped.get(1..).unwrap_or_default()
            }
            _ => {
                plain.push('\\');
                escaped
            }
        };
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_in_runs_is_folded_as_a_whole(text in "([a-zA-Z<=> жЖйЙ中]|[é́\u{338}\u{200b}ſK…Ａ가ᄀ\u{1161}\u{3099}\u{653}\u{e0041}]|\\PC){0,40}") {
            prop_assert_eq!(plain(&text), folded(&unescape(&text)).collect::<String>());
        }
    }
}
