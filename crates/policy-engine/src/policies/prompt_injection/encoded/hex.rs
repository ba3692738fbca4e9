//! Text as hexadecimal numbers: `69676e`, `69 67 6e`, `\x69\x67`, `0x69, 0x67`.

use super::is_text;

/// Bytes; shorter ones hold no sentence.
pub(super) const MIN_RUN: usize = 10;

/// Whether numbers are marked as such somewhere.
pub(super) fn has_sign(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'x', b'X', text).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        matches!(before, Some(b'\\' | b'0'))
    })
}

/// What the runs of numbers of a text say, where that is text; never more than half as many bytes.
pub(super) fn decoded(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut run = Vec::new();
    let mut rest = text.as_bytes();
    let mut in_word = false;
    while let [first, after @ ..] = rest {
        let digits = rest.strip_prefix(br"\x").or_else(|| rest.strip_prefix(b"0x")).unwrap_or(rest);
        // what begins in the middle of a word is a part of the word
        if let (Some((byte, behind)), true) = (number(digits), !in_word || !run.is_empty()) {
            run.push(byte);
            rest = gap(behind);
            in_word = rest.len() == behind.len();
            continue;
        }
        flush(&mut run, &mut found);
        in_word = first.is_ascii_alphanumeric();
        rest = after;
    }
    flush(&mut run, &mut found);
    found
}

fn number(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, behind @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? * 16 + digit(*low)?, behind))
}

/// What may stand between two numbers.
fn gap(text: &[u8]) -> &[u8] {
    match text {
        [b',', b' ', behind @ ..] | [b' ' | b':' | b'-' | b',', behind @ ..] => behind,
        _ => text,
    }
}

/// A word before the run that looks like a number (`to be 69 67`) spoils a byte, not the text.
fn flush(run: &mut Vec<u8>, found: &mut Vec<String>) {
    if run.len() >= MIN_RUN && run.iter().any(u8::is_ascii_alphabetic) {
        let text = String::from_utf8_lossy(run);
        if is_text(&text) {
            found.push(text.into_owned());
        }
    }
    run.clear();
}
