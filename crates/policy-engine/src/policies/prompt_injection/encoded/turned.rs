//! Letters turned by thirteen places, and text written backwards. Both are looked for by the words that
//! attacks are about, so that a text is turned only when it says one of them.

use std::sync::LazyLock;

use regex::Regex;

static ROT13: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("vafgehpg|cebzcg|thvqryvar|erfgevpgvba|ehyrf").ok());
static BACKWARDS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("tcurtsni|tpmorp|enilediug|noitcirtser|selur").ok());

/// A plain text (see `normalize::plain`) the other ways round, where it makes sense so.
pub(in super::super) fn turned(plain: &str) -> Vec<String> {
    let says = |words: &Option<Regex>| words.as_ref().is_some_and(|words| words.is_match(plain));
    let mut found = Vec::new();
    if says(&ROT13) {
        found.push(plain.chars().map(rot13).collect());
    }
    if says(&BACKWARDS) {
        found.push(plain.chars().rev().collect());
    }
    found
}

fn rot13(c: char) -> char {
    match c {
        'a'..='m' => char::from_u32(u32::from(c) + 13).unwrap_or(c),
        'n'..='z' => char::from_u32(u32::from(c) - 13).unwrap_or(c),
        c => c,
    }
}
