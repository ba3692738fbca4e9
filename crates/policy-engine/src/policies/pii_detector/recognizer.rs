//! A kind of personal data: a cheap pattern that proposes candidates, and a check that decides.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use policy_config::schema::PiiDetector;
use regex::Regex;

use super::prefilter::Prefilter;
use super::{banking, contact, health, network};

/// One kind of personal data that is known here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recognizer {
    /// What stands in its place, as `[EMAIL]`.
    pub(super) label: &'static str,
    /// Proposes; in a text where it matches nowhere, `confirm` is not asked. ASCII classes only.
    pub(super) candidate: &'static str,
    /// Decides about one candidate and says which parts of it are the data. Looks at two characters behind the
    /// candidate and 64 bytes before it at most: of a stream no more may be there.
    pub(super) confirm: fn(text: &str, candidate: Range<usize>) -> Vec<Range<usize>>,
    /// `confirm` looks at every part of a candidate; else one that is refused is searched again from
    /// its second character on.
    pub(super) covers_candidate: bool,
}

/// All kinds; the earlier gives its label where two overlap.
const ALL: &[Recognizer] = &[
    contact::EMAIL,
    banking::IBAN,
    banking::CARD,
    health::MRN,
    health::NPI,
    contact::SSN,
    network::IPV4,
    network::IPV6,
    contact::PHONE,
    contact::PHONE_SAID,
];

/// All kinds with their patterns: they are part of the program, not of a pack.
#[derive(Debug)]
pub(super) struct BuiltIn {
    /// A pattern is built when a text first has what its kind needs: that takes milliseconds and memory.
    pub(super) recognizers: Vec<(Recognizer, OnceLock<Option<Regex>>)>,
    /// Most texts are done after it.
    pub(super) prefilter: Prefilter,
}

static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(|| BuiltIn {
    recognizers: ALL.iter().map(|kind| (*kind, OnceLock::new())).collect(),
    prefilter: Prefilter::new(ALL.iter()),
});

/// The kinds, the same for every pack.
pub(super) fn built_in() -> &'static BuiltIn {
    &BUILT_IN
}

// === impl BuiltIn ===

impl BuiltIn {
    /// `None`: there is no such kind. That every pattern compiles is tested.
    pub(super) fn recognizer(&self, at: usize) -> Option<(&Recognizer, &Regex)> {
        let (kind, regex) = self.recognizers.get(at)?;
        Some((kind, regex.get_or_init(|| Regex::new(kind.candidate).ok()).as_ref()?))
    }
}

// === impl Recognizer ===

impl Recognizer {
    pub(super) fn is_wanted(&self, settings: &PiiDetector) -> bool {
        match self.label {
            "CREDIT_CARD" => settings.pci_mode,
            "MRN" | "NPI" => settings.healthcare_mode,
            _ => true,
        }
    }
}

/// The character before an offset.
pub(super) fn before(text: &str, offset: usize) -> Option<char> {
    text.get(..offset)?.chars().next_back()
}

/// The character at an offset.
pub(super) fn after(text: &str, offset: usize) -> Option<char> {
    text.get(offset..)?.chars().next()
}

/// Up to `bytes` of text before an offset, lower-cased, cut on a character boundary.
pub(super) fn context_before(text: &str, offset: usize, bytes: usize) -> String {
    let mut start = offset.saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..offset).unwrap_or_default().to_ascii_lowercase()
}

/// True when neither neighbour continues a word or number.
pub(super) fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let continues =
        |neighbour: Option<char>| neighbour.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    !continues(before(text, range.start)) && !continues(after(text, range.end))
}

/// The digits of a text, in order.
pub(super) fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect()
}

/// The check digit rule of cards and of NPIs.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| {
            let doubled = u32::from(digit) * 2;
            match at % 2 {
                0 => u32::from(digit),
                _ if doubled > 9 => doubled - 9,
                _ => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use policy_config::schema::settings::PII_LABELS;

    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!((0..ALL.len()).all(|at| built_in().recognizer(at).is_some()));
    }

    #[test]
    fn lint_knows_every_label() {
        let labels: BTreeSet<_> = ALL.iter().map(|kind| kind.label).collect();
        assert_eq!(labels, PII_LABELS.iter().copied().collect());
        assert_eq!(labels.len(), PII_LABELS.len());
    }

    #[test]
    fn no_kind_asks_for_a_word_boundary_of_unicode() {
        // it would take all text that is not ASCII off the fast automaton, forty times slower
        for kind in ALL.iter().filter(|kind| !kind.candidate.starts_with("(?i-u)")) {
            let others = kind.candidate.replace(r"(?-u:\b", "").replace(r"(?i-u:\b", "");
            assert!(!others.contains(r"\b"), "{}", kind.label);
        }
    }
}
