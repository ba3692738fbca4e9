//! Letters turned by thirteen places, and text written backwards. Both are looked for by the words that
//! attacks are about, so that a text is turned only when it says one of them.

/// What is looked for of letters turned by thirteen places, and of text written backwards.
pub(in super::super) const WORDS: [&[&str]; 2] = [
    &["vafgehpg", "cebzcg", "thvqryvar", "erfgevpgvba", "ehyrf"],
    &["tcurtsni", "tpmorp", "enilediug", "noitcirtser", "selur"],
];

/// A plain text (see `normalize::plain`) the other ways round, where it makes sense so.
pub(in super::super) fn turned(plain: &str) -> Vec<String> {
    let says = |words: &[&str]| {
        words.iter().any(|word| memchr::memmem::find(plain.as_bytes(), word.as_bytes()).is_some())
    };
    let [thirteen_on, backwards] = WORDS;
    let mut found = Vec::new();
    if says(thirteen_on) {
        found.push(plain.chars().map(rot13).collect());
    }
    if says(backwards) {
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
