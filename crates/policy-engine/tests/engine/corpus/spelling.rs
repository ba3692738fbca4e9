//! The escapes of the corpus, so that a row can be read by people and be anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

type Encode = fn(&str) -> String;

/// `{name:text}` stands for the encoded text.
const ENCODINGS: &[(&str, Encode)] = &[
    ("base64", |text| STANDARD.encode(text)),
    ("base64lines", |text| in_lines(&STANDARD.encode(text), 24)),
    ("hex", |text| text.bytes().map(|byte| format!("{byte:02x}")).collect()),
    ("hexgaps", |text| text.bytes().map(|byte| format!("{byte:02X} ")).collect()),
    ("hexescapes", |text| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()),
    ("percent", |text| text.bytes().map(|byte| format!("%{byte:02x}")).collect()),
    ("entities", |text| text.chars().map(|c| format!("&#{};", u32::from(c))).collect()),
    ("hexentities", |text| text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect()),
    ("rot13", |text| text.chars().map(rot13).collect()),
    ("reverse", |text| text.chars().rev().collect()),
    ("tags", |text| text.chars().filter_map(|c| char::from_u32(0xe0000 + u32::from(c))).collect()),
];

/// `\n`, `\u{…}` and the encodings; the innermost first.
pub(super) fn spelled(text: &str) -> String {
    let mut plain = text.replace("\\n", "\n");
    while let Some(start) = plain.rfind("\\u{") {
        let end = start + plain[start..].find('}').unwrap();
        let character = char::from_u32(u32::from_str_radix(&plain[start + 3..end], 16).unwrap()).unwrap();
        plain.replace_range(start..=end, &character.to_string());
    }
    while let Some((start, name, encode)) = last_encoding(&plain) {
        let end = start + plain[start..].find('}').unwrap();
        let encoded = encode(&plain[start + name.len() + 2..end]);
        plain.replace_range(start..=end, &encoded);
    }
    plain
}

fn last_encoding(text: &str) -> Option<(usize, &'static str, Encode)> {
    let places = ENCODINGS.iter().filter_map(|(name, encode)| {
        let start = text.rfind(&format!("{{{name}:"))?;
        Some((start, *name, *encode))
    });
    places.max_by_key(|(start, ..)| *start)
}

fn in_lines(text: &str, width: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

fn rot13(c: char) -> char {
    let turned = |first: u8| char::from(first + (c as u8 - first + 13) % 26);
    match c {
        'a'..='z' => turned(b'a'),
        'A'..='Z' => turned(b'A'),
        c => c,
    }
}

#[test]
fn a_row_is_spelled_as_it_says() {
    assert_eq!(spelled(r"a\nb \u{200b}"), "a\nb \u{200b}");
    assert_eq!(spelled("{base64:{rot13:Ab}} {keep}"), "Tm8= {keep}");
    assert_eq!(spelled("{hex:a}{percent:a}{entities:a}{hexescapes:a}{reverse:ab}"), r"61%61&#97;\x61ba");
}
