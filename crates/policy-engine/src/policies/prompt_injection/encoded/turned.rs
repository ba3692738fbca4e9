//! Letters turned by thirteen places, and text written backwards. Both are looked for by the words that
//! attacks are about, so that a text is turned only when it says one of them.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

const ROT13: &[&str] = &["vafgehpg", "cebzcg", "thvqryvar", "erfgevpgvba", "ehyrf"];
const BACKWARDS: &[&str] = &["tcurtsni", "tpmorp", "enilediug", "noitcirtser", "selur"];

static SIGNS: LazyLock<Option<AhoCorasick>> =
    // leftmost: that is what is vectorised
    LazyLock::new(|| {
        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(ROT13.iter().chain(BACKWARDS)).ok()
    });

/// A plain text (see `normalize::plain`) the other ways round, where it makes sense so.
pub(in super::super) fn turned(plain: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Some(signs) = SIGNS.as_ref() else { return found };
    let (mut is_rot13, mut is_backwards) = (false, false);
    for sign in signs.find_iter(plain) {
        let is_first = sign.pattern().as_usize() < ROT13.len();
        is_rot13 |= is_first;
        is_backwards |= !is_first;
    }
    if is_rot13 {
        found.push(plain.chars().map(rot13).collect());
    }
    if is_backwards {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_turns_a_text() {
        for word in ROT13 {
            let straight: String = word.chars().map(rot13).collect();
            assert_eq!(turned(&format!("{word} nyy")), [format!("{straight} all")]);
        }
        assert_eq!(turned("selur lla eht"), ["the all rules"]);
        assert!(turned("the rules").is_empty());
    }
}
