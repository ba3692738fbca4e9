//! Text as hexadecimal numbers: `69676e`, `69 67 6e`, `\x69\x67`, `0x69, 0x67`.

use super::is_text;
use crate::policies::prompt_injection::runs::{is_within, runs};

/// Bytes; shorter ones hold no sentence.
const MIN_RUN: usize = 10;

/// What the runs of numbers of a text say, where that is text; never more than half as many bytes.
pub(super) fn decoded(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for range in runs(bytes, 2 * MIN_RUN, may_be_in_run) {
        let before = range.start.checked_sub(1).and_then(|before| bytes.get(before));
        decode(
            bytes.get(range).unwrap_or_default(),
            before.is_some_and(u8::is_ascii_alphanumeric),
            &mut found,
        );
    }
    found
}

/// `in_word`: whether the text goes on with a word that has begun.
fn decode(mut rest: &[u8], mut in_word: bool, found: &mut Vec<String>) {
    let mut run = Vec::new();
    while let [first, after @ ..] = rest {
        let digits = rest.strip_prefix(br"\x").or_else(|| rest.strip_prefix(b"0x")).unwrap_or(rest);
        // what begins in the middle of a word is a part of the word
        if let (Some((byte, behind)), true) = (number(digits), !in_word || !run.is_empty()) {
            run.push(byte);
            rest = gap(behind);
            in_word = rest.len() == behind.len();
            continue;
        }
        flush(&mut run, found);
        in_word = first.is_ascii_alphanumeric();
        rest = after;
    }
    flush(&mut run, found);
}

/// Of digits, of what stands between numbers, and of what marks them.
fn may_be_in_run(byte: u8) -> bool {
    is_within(byte | 0x20, b'a', b'f')
        | is_within(byte, b'0', b':')
        | matches!(byte, b' ' | b',' | b'-' | b'x' | b'\\')
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
