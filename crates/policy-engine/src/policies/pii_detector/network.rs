//! IP addresses; the standard library's own parsers decide.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::recognizer::{Recognizer, after, before, context_before};

/// Fifteen bytes; the 12 before it count (a word that makes it a version), and two characters behind.
pub(super) const IPV4: Recognizer = Recognizer {
    label: "IP_ADDRESS",
    candidate: r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
    confirm: ipv4,
    covers_candidate: false,
};

/// At most 57 bytes; one character before it counts and one behind.
pub(super) const IPV6: Recognizer = Recognizer {
    label: "IP_ADDRESS",
    candidate: r"[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{0,32}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3})?",
    confirm: ipv6,
    covers_candidate: false,
};

/// Words that make the number after them a version.
const VERSION_WORDS: &[&str] = &[
    "version", "ver.", "ver", "versione", "versie", "versao", "wersja", "release", "build", "firmware",
    "revision", "rev", "patch", "sdk", "driver", "kernel", "section", "chapter", "clause", "v",
];

fn ipv4(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let valid = text.get(candidate.clone()).is_some_and(|found| found.parse::<Ipv4Addr>().is_ok());
    let leading = before(text, candidate.start);
    let part_of_more = leading.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
        || is_product_version(text, candidate.start)
        || after(text, candidate.end).is_some_and(|c| c.is_alphanumeric() || c == '_')
        || dotted_on(text, candidate.end);
    let context = context_before(text, candidate.start, 12);
    let said_version = VERSION_WORDS.iter().any(|word| {
        context
            .trim_end_matches([' ', ':', '='])
            .strip_suffix(word)
            .is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric()))
    });
    if valid && !part_of_more && !said_version { vec![candidate] } else { Vec::new() }
}

fn ipv6(text: &str, candidate: Range<usize>) -> Vec<Range<usize>> {
    let found = text.get(candidate.clone()).unwrap_or_default();
    // a sentence may go on with a colon behind an address
    let address = if found.ends_with("::") { found } else { found.trim_end_matches(':') };
    let range = candidate.start..candidate.start + address.len();
    let part_of_more = before(text, range.start)
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, ':' | '_'))
        || after(text, range.end).is_some_and(|c| c.is_alphanumeric() || c == '_');
    // `abc::def` is an address by grammar and a path in a program by sense
    let telling = address.bytes().any(|byte| byte.is_ascii_digit()) || address.matches(':').count() >= 5;
    if telling && !part_of_more && address.parse::<Ipv6Addr>().is_ok() { vec![range] } else { Vec::new() }
}

/// `Chrome/120.0.0.0`, but not `http://10.0.0.1`.
fn is_product_version(text: &str, start: usize) -> bool {
    let mut leading = text.get(..start).unwrap_or_default().chars().rev();
    leading.next() == Some('/') && leading.next().is_some_and(char::is_alphanumeric)
}

fn dotted_on(text: &str, end: usize) -> bool {
    let mut rest = text.get(end..).unwrap_or_default().chars();
    rest.next() == Some('.') && rest.next().is_some_and(|c| c.is_ascii_digit())
}
