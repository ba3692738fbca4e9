//! Email addresses, phone numbers, US social security numbers.

use std::ops::Range;

use super::recognizer::{Recognizer, after, before, context_before, digits, stands_alone};

pub(super) const EMAIL: Recognizer = Recognizer {
    label: "EMAIL",
    candidate: r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\x{80}-\x{10ffff}-]{1,64}@(?:[A-Za-z0-9\x{80}-\x{10ffff}-]{1,63}\.){1,8}[A-Za-z\x{80}-\x{10ffff}][A-Za-z0-9\x{80}-\x{10ffff}-]{1,62}",
    confirm: email,
    covers_candidate: false,
};

/// International with `+` or `00`, North American, and national ones with a leading zero and gaps.
pub(super) const PHONE: Recognizer = Recognizer {
    label: "PHONE",
    candidate: r"(?:\+|(?-u:\b)00)[1-9](?:[ ./()-]{0,2}[0-9]){6,14}|(?:(?-u:\b)1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|(?-u:\b)[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}|(?-u:\b)0[1-9][0-9]{0,4}(?:[ /-][0-9]{2,8}){1,5}",
    confirm: phone,
    covers_candidate: false,
};

pub(super) const SSN: Recognizer = Recognizer {
    label: "SSN",
    candidate: r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}",
    confirm: ssn,
    covers_candidate: false,
};

fn email(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let Some((local, domain)) = found.split_once('@') else { return Vec::new() };
    // the pattern also takes the punctuation that surrounds an address in prose, in any script
    let is_foreign_sign = |c: char| !c.is_ascii() && !c.is_alphanumeric();
    let local = local.rsplit(is_foreign_sign).next().unwrap_or_default();
    let local = local.trim_start_matches(['.', '\'', '`', '|', '{', '*', '/', '=', '?', '!']);
    let domain = domain.split(is_foreign_sign).next().unwrap_or_default().trim_end_matches('-');
    if local.is_empty() || !domain.contains('.') {
        return Vec::new();
    }
    let at = candidate.start + found.find('@').unwrap_or_default();
    let address = at - local.len()..at + 1 + domain.len();
    vec![address]
}

fn phone(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let numbers = digits(found);
    let glued = before(text, candidate.start)
        .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-'))
        || after(text, candidate.end).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        || continues_with_digit(text, candidate.end);
    let plausible = match found.as_bytes().first() {
        Some(b'+') => (8..=15).contains(&numbers.len()),
        Some(b'0') if numbers.starts_with(&[0, 0]) => {
            (10..=17).contains(&numbers.len()) && !follows_digits(text, candidate.start)
        }
        Some(b'0') => {
            (9..=11).contains(&numbers.len())
                && !looks_like_date(found)
                && !follows_digits(text, candidate.start)
        }
        _ => true,
    };
    if plausible && !glued { vec![candidate] } else { Vec::new() }
}

/// `-4` or `.5` right behind: this is the middle of a longer number.
fn continues_with_digit(text: &str, end: usize) -> bool {
    let mut rest = text.get(end..).unwrap_or_default().chars();
    matches!(rest.next(), Some('-' | '.' | '/')) && rest.next().is_some_and(|c| c.is_ascii_digit())
}

/// A group of digits stands before it: this is the end of a longer number.
fn follows_digits(text: &str, start: usize) -> bool {
    let mut leading = text.get(..start).unwrap_or_default().chars().rev();
    leading.next() == Some(' ') && leading.next().is_some_and(|c| c.is_ascii_digit())
}

/// `02-11-2026`, `02/11/2026 10`: day and month, then a year.
fn looks_like_date(text: &str) -> bool {
    let mut parts = text.split([' ', '/', '-']);
    let day = parts.next().and_then(|part| part.parse::<u32>().ok());
    let month = parts.next().and_then(|part| part.parse::<u32>().ok());
    let year = parts.next().and_then(|part| part.parse::<u32>().ok());
    matches!((day, month, year), (Some(1..=31), Some(1..=31), Some(1900..=2099)))
}

/// Area 001-899 without 666, group 01-99, serial 0001-9999. Nine digits in a row are one only when the
/// text before says so.
fn ssn(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let numbers = digits(found);
    let part = |range: Range<usize>| {
        numbers
            .get(range)
            .unwrap_or_default()
            .iter()
            .fold(0u32, |value, &digit| value * 10 + u32::from(digit))
    };
    let valid = matches!(part(0..3), 1..=665 | 667..=899) && part(3..5) > 0 && part(5..9) > 0;
    let spelled = match (found.len(), found.as_bytes().get(3), found.as_bytes().get(6)) {
        (11, Some(first), Some(second)) => first == second,
        (9, ..) => {
            let context = context_before(text, candidate.start, 40);
            context.contains("ssn") || context.contains("social security")
        }
        _ => false,
    };
    let glued = matches!(before(text, candidate.start), Some('-' | '.'))
        || continues_with_digit(text, candidate.end)
        || !stands_alone(text, &candidate);
    if valid && spelled && !glued { vec![candidate] } else { Vec::new() }
}
