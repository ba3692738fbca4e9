//! Payment cards and bank account numbers, each by its own check digits.

use std::ops::Range;

use super::recognizer::{Recognizer, after, before, digits, luhn};

/// Runs of digit groups; which part of a run is a card is decided in [`card`]. A run has no longest; a card in it has
/// 37 bytes at most, and one character before it counts and one behind.
pub(super) const CARD: Recognizer = Recognizer {
    label: "CREDIT_CARD",
    candidate: r"[0-9](?:[ .-]?[0-9]){12,}",
    confirm: card,
    covers_candidate: true,
};

/// At most 66 bytes, of which the country says how many count; one character before it does and one behind.
pub(super) const IBAN: Recognizer = Recognizer {
    label: "IBAN",
    candidate: r"(?i-u)\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}",
    confirm: iban,
    covers_candidate: false,
};

/// Length by country (ISO 13616 registry).
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

/// Any stretch of whole digit groups with as many digits as its issuer gives and a right check digit.
/// `1 4111 1111 1111 1111` holds a card though the run as a whole is none.
fn card(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let groups = digit_groups(text, &candidate);
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, first) in groups.iter().enumerate() {
        let mut numbers = Vec::new();
        let mut longest = None;
        for group in groups.iter().skip(at) {
            numbers.extend(digits(text.get(group.clone()).unwrap_or_default()));
            if numbers.len() > 19 {
                break;
            }
            let place = first.start..group.end;
            if is_issued(&numbers)
                && luhn(&numbers)
                && !is_decimal(text.get(place.clone()).unwrap_or_default())
            {
                longest = Some(place);
            }
        }
        found.extend(longest);
    }
    found
}

/// Whether a network gives out numbers that begin so and are so long.
fn is_issued(numbers: &[u8]) -> bool {
    let four = numbers.iter().take(4).fold(0u32, |value, &digit| value * 10 + u32::from(digit));
    let length = numbers.len();
    match four {
        // Visa
        4000..=4999 => matches!(length, 13 | 16 | 19),
        // Mastercard, Mir
        5100..=5599 | 2221..=2720 => length == 16,
        2200..=2204 => (16..=19).contains(&length),
        // American Express
        3400..=3499 | 3700..=3799 => length == 15,
        // Diners Club
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => matches!(length, 14 | 16 | 19),
        // JCB, Discover, UnionPay
        3528..=3589 | 6011 | 6440..=6599 | 6200..=6299 => (16..=19).contains(&length),
        // Maestro and other debit cards
        5000..=5099 | 5600..=5899 | 6000..=6999 => (13..=19).contains(&length),
        _ => false,
    }
}

/// `3.14159265358979`: between dots a card has groups of four to six.
fn is_decimal(text: &str) -> bool {
    text.contains('.') && text.split([' ', '-', '.']).any(|group| !(4..=6).contains(&group.len()))
}

/// The runs of digits of a candidate; those glued to letters outside of it are left out.
fn digit_groups(text: &str, candidate: &Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let mut groups = Vec::new();
    let mut at = candidate.start;
    for group in found.split([' ', '-', '.']) {
        groups.push(at..at + group.len());
        at += group.len() + 1;
    }
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_word(after(text, candidate.end)) {
        groups.pop();
    }
    if is_word(before(text, candidate.start)) && !groups.is_empty() {
        groups.remove(0);
    }
    groups
}

/// Takes exactly as many characters as the country's account numbers have, then mod 97.
fn iban(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let country = found.get(..2).unwrap_or_default().to_ascii_uppercase();
    let Some(&(_, length)) = IBAN_LENGTHS.iter().find(|(code, _)| *code == country) else {
        return Vec::new();
    };
    let mut characters = String::with_capacity(length);
    let mut end = candidate.start;
    for (offset, character) in found.char_indices() {
        if characters.len() == length {
            break;
        }
        if character.is_ascii_alphanumeric() {
            characters.push(character.to_ascii_uppercase());
            end = candidate.start + offset + 1;
        }
    }
    let cut_short = after(text, end).is_some_and(|c| c.is_ascii_alphanumeric());
    let account = candidate.start..end;
    let valid = characters.len() == length && !cut_short && mod_97(&characters) == 1;
    if valid { vec![account] } else { Vec::new() }
}

/// ISO 7064: the first four characters go to the end, letters count from 10.
fn mod_97(iban: &str) -> u32 {
    let (head, tail) = iban.split_at_checked(4).unwrap_or((iban, ""));
    tail.chars().chain(head.chars()).fold(0, |rest, character| {
        let value = character.to_digit(36).unwrap_or(0);
        if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 }
    })
}
