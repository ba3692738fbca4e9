//! `healthcare_mode`: medical record numbers, which are only known by what stands before them, and
//! national provider identifiers.

use std::ops::Range;

use super::recognizer::{Recognizer, digits, luhn, stands_alone};

/// At most 52 bytes with the words before the number; one character behind it counts.
pub(super) const MRN: Recognizer = Recognizer {
    label: "MRN",
    candidate: r"(?i-u)\b(?:mrn|medical record(?: number| no\.?| #)?|patient id)(?: is|)[ :#=]{0,4}[A-Z0-9][A-Z0-9-]{4,19}",
    confirm: mrn,
    covers_candidate: false,
};

/// Ten bytes; one character before it counts and one behind.
pub(super) const NPI: Recognizer =
    Recognizer { label: "NPI", candidate: r"[12][0-9]{9}", confirm: npi, covers_candidate: false };

/// The number alone; the words before it stay.
fn mrn(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let length = found.bytes().rev().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    let number = candidate.end - length..candidate.end;
    let is_number = digits(text.get(number.clone()).unwrap_or_default()).len() >= 4;
    if is_number && stands_alone(text, &number) { vec![number] } else { Vec::new() }
}

/// Ten digits whose check digit is right behind the issuer prefix 80840.
fn npi(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let mut numbers = vec![8, 0, 8, 4, 0];
    numbers.extend(digits(text.get(candidate.clone()).unwrap_or_default()));
    if luhn(&numbers) && stands_alone(text, &candidate) { vec![candidate] } else { Vec::new() }
}
