//! Email addresses, phone numbers, US social security numbers.

use std::ops::Range;

use super::recognizer::{Recognizer, after, before, context_before, digits, stands_alone};

/// At most 2.6 KB: 64 characters, `@`, nine labels of 63, four bytes each. Nothing before or behind it counts.
pub(super) const EMAIL: Recognizer = Recognizer {
    label: "EMAIL",
    candidate: r#"(?:"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~ -]{1,62}"|[A-Za-z0-9.!#$%&'*+/=?^_`{|}~\x{80}-\x{10ffff}-]{1,64})@(?:[A-Za-z0-9\x{80}-\x{10ffff}-]{1,63}\.){1,8}[A-Za-z\x{80}-\x{10ffff}][A-Za-z0-9\x{80}-\x{10ffff}-]{1,62}"#,
    confirm: email,
    covers_candidate: false,
};

/// International with `+` or `00`, North American, national with a leading zero and gaps, and the shapes that
/// Brazil, France, Russia and Spain write without either. At most 46 bytes; two characters before it count and
/// two behind.
pub(super) const PHONE: Recognizer = Recognizer {
    label: "PHONE",
    candidate: concat!(
        r"(?:\+|(?-u:\b)00)[1-9](?:[ ./()-]{0,2}[0-9]){6,14}",
        r"|(?:(?-u:\b)1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|(?-u:\b)[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}",
        r"|(?-u:\b)0[1-9][0-9]{0,4}(?:[ /-][0-9]{2,8}){1,5}",
        r"|\(0[1-9][0-9]{0,4}\)[ /-]?[0-9]{2,8}(?:[ /-][0-9]{1,8}){0,3}",
        r"|(?-u:\b)0[1-9](?:\.[0-9]{2}){4}",
        r"|\([1-9][0-9]\) ?9?[0-9]{4}-[0-9]{4}",
        r"|(?-u:\b)[78][ -]?(?:\([0-9]{3}\)|-[0-9]{3}-)[ -]?[0-9]{3}[ -][0-9]{2}[ -][0-9]{2}",
        r"|(?-u:\b)[6-9][0-9]{2}(?: [0-9]{2}){3}",
    ),
    confirm: phone,
    covers_candidate: false,
};

/// Any grouping of 7 to 15 digits behind a word that says what they are. At most 80 bytes with the word, which has
/// to stand before it; one character behind it counts.
pub(super) const PHONE_SAID: Recognizer = Recognizer {
    label: "PHONE",
    candidate: concat!(
        r"(?:(?i-u:\b(?:phone|telephone|telefon|telefono|telefone|telemovel|tel|mobile|mobil|mobiel|cell|celular|handy|portable|whatsapp|fax|call me|call us|call|ring|text|rufnummer|komorka|zadzwon|cep|gsm|dial|sms))",
        r"|[Tt]eléfono|[Tt]él|téléphone|[Tt]elemóvel|[Ll]lámame|[Zz]adzwoń|[Кк]омірка|[Тт]ел|[Зз]воните|[Мм]обильный|电话|電話|手机|手機|携帯|传真|전화|휴대폰|연락처|هاتف|جوال|फ़ोन|फोन|मोबाइल)",
        r"(?:[^0-9+(\n]{0,14})\(?[0-9](?:[ ./()-]{0,2}[0-9]){6,14}",
    ),
    confirm: said_phone,
    covers_candidate: false,
};

/// Eleven bytes; one character before it counts and two behind, and for nine digits in a row the 40 bytes before.
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
    let domain = domain.split(is_foreign_sign).next().unwrap_or_default();
    // scripts without blanks glue their words to an address: `メールはa@b.example.jpまで`
    let local = if local.ends_with(|c: char| c.is_ascii()) {
        local.rsplit(is_unspaced).next().unwrap_or_default()
    } else {
        local
    };
    let last_label = domain.rfind('.').map_or(0, |dot| dot + 1);
    let begins_latin =
        domain.get(last_label..).is_some_and(|label| label.starts_with(|c: char| c.is_ascii()));
    let domain = if begins_latin { domain.split(is_unspaced).next().unwrap_or_default() } else { domain };
    let domain = domain.trim_end_matches(['-', '.']);
    if local.is_empty() || !domain.contains('.') {
        return Vec::new();
    }
    let at = candidate.start + found.find('@').unwrap_or_default();
    let address = at - local.len()..at + 1 + domain.len();
    vec![address]
}

/// Han, kana, Hangul, Thai, Lao, Khmer.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9d}')
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
        Some(b'(' | b'6'..=b'9') => {
            !follows_digits(text, candidate.start) && !precedes_digits(text, candidate.end)
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

/// The number alone; the word before it stays.
fn said_phone(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    let Some(first) = found.find(|c: char| c.is_ascii_digit()) else { return Vec::new() };
    let (said, number) = found.split_at_checked(first).unwrap_or((found, ""));
    let opened = usize::from(said.ends_with('('));
    let start = candidate.start + first - opened;
    let likely = (7..=15).contains(&digits(number).len()) && !looks_like_date(number) && !is_ip_like(number);
    let glued = after(text, candidate.end).is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        || continues_with_digit(text, candidate.end)
        || before(text, start)
            .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
    let place = start..candidate.end;
    if likely && !glued { vec![place] } else { Vec::new() }
}

/// `10.0.0.1`, `1.25.3`: numbers between dots that are shorter than a phone's groups.
fn is_ip_like(number: &str) -> bool {
    number.contains('.')
        && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && number.split('.').any(|part| part.len() < 2)
}

/// More groups of digits follow.
fn precedes_digits(text: &str, end: usize) -> bool {
    let mut rest = text.get(end..).unwrap_or_default().chars();
    rest.next() == Some(' ') && rest.next().is_some_and(|c| c.is_ascii_digit())
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
