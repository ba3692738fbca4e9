//! Which kinds of personal data a text may hold at all, from where its digits, `@` and colons lie: one pass in wide
//! steps, after which most texts are done.

use super::recognizer::Recognizer;
use super::{banking, contact, health, network};

/// What a kind must find near together; a kind that is not known here is always looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    Nothing,
    At,
    /// So many digits, with at most [`MAX_GAP`] other bytes between one and the next.
    Cluster(usize),
    /// Three dots, each between two digits of a cluster.
    Dots,
    /// Two letters that begin a word, then two digits.
    AccountHead,
    /// Two colons with at most four bytes between them.
    Colons,
    /// Anywhere.
    Digits(usize),
}

/// The kinds in order, each with its need.
#[derive(Debug)]
pub(super) struct Prefilter {
    needs: Vec<Need>,
}

/// One bit for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u32);

/// What was seen of a text so far.
#[derive(Debug, Default)]
struct Seen {
    at: bool,
    colons: bool,
    dots: bool,
    account_head: bool,
    digits: usize,
    largest_cluster: usize,
}

/// More than any pattern has between two digits of one number.
const MAX_GAP: usize = 3;
const BLOCK: usize = 1024;

// === impl Prefilter ===

impl Prefilter {
    pub(super) fn new<'k>(kinds: impl Iterator<Item = &'k Recognizer>) -> Self {
        Self { needs: kinds.map(need).collect() }
    }

    /// The kinds whose need a text meets.
    pub(super) fn matches(&self, text: &str) -> Kinds {
        let seen = Seen::of(text.as_bytes());
        let met = |need: &Need| match *need {
            Need::Nothing => true,
            Need::At => seen.at,
            Need::Cluster(digits) => seen.largest_cluster >= digits,
            Need::Dots => seen.dots,
            Need::AccountHead => seen.account_head,
            Need::Colons => seen.colons,
            Need::Digits(digits) => seen.digits >= digits,
        };
        Kinds(self.needs.iter().rev().fold(0, |bits, need| (bits << 1) | u32::from(met(need))))
    }
}

fn need(kind: &Recognizer) -> Need {
    let needs = [
        (contact::EMAIL, Need::At),
        (banking::IBAN, Need::AccountHead),
        (banking::CARD, Need::Cluster(13)),
        (health::MRN, Need::Digits(4)),
        (health::NPI, Need::Cluster(10)),
        (contact::SSN, Need::Cluster(9)),
        (network::IPV4, Need::Dots),
        (network::IPV6, Need::Colons),
        (contact::PHONE, Need::Cluster(7)),
        (contact::PHONE_SAID, Need::Cluster(7)),
    ];
    let same = |known: &&(Recognizer, Need)| known.0.candidate == kind.candidate;
    needs.iter().find(same).map_or(Need::Nothing, |(_, need)| *need)
}

// === impl Kinds ===

impl Iterator for Kinds {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let lowest = usize::try_from(self.0.trailing_zeros()).ok().filter(|_| self.0 != 0)?;
        self.0 &= self.0 - 1;
        Some(lowest)
    }
}

// === impl Seen ===

impl Seen {
    fn of(text: &[u8]) -> Self {
        let mut seen = Self::default();
        let mut cluster = Cluster::default();
        let mut last_colon = None;
        let mut flags = [0_u8; BLOCK];
        for (at, block) in text.chunks(BLOCK).enumerate() {
            for (flag, byte) in flags.iter_mut().zip(block) {
                // `:` is right behind `9`
                *flag = u8::from((byte.wrapping_sub(b'0') < 11) | (*byte == b'@'));
            }
            for offset in memchr::memchr_iter(1, flags.get(..block.len()).unwrap_or_default()) {
                let position = at * BLOCK + offset;
                match block.get(offset) {
                    Some(b'@') => seen.at = true,
                    Some(b':') => {
                        seen.colons |= last_colon.is_some_and(|last| position - last <= 5);
                        last_colon = Some(position);
                    }
                    _ => seen.digit(text, position, &mut cluster),
                }
            }
        }
        seen
    }

    fn digit(&mut self, text: &[u8], at: usize, cluster: &mut Cluster) {
        let byte = |back: usize| at.checked_sub(back).and_then(|at| text.get(at).copied());
        let gap = at - cluster.end;
        if cluster.digits == 0 || gap > MAX_GAP {
            *cluster = Cluster::default();
        }
        match gap {
            _ if cluster.digits == 0 => cluster.run = 1,
            0 => cluster.run += 1,
            _ => {
                cluster.dots = if gap == 1 && byte(1) == Some(b'.') { cluster.dots + 1 } else { 0 };
                cluster.run = 1;
            }
        }
        cluster.digits += 1;
        cluster.end = at + 1;
        self.digits += 1;
        self.largest_cluster = self.largest_cluster.max(cluster.digits);
        self.dots |= cluster.dots >= 3;
        if cluster.run == 2 {
            let letter = |back| byte(back).is_some_and(|byte| byte.is_ascii_alphabetic());
            let word = byte(4).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            self.account_head |= letter(2) && letter(3) && !word;
        }
    }
}

/// Digits that lie near together, up to where the text was read.
#[derive(Debug, Default)]
struct Cluster {
    digits: usize,
    /// Behind the last digit.
    end: usize,
    /// Digits up to here without a gap.
    run: usize,
    dots: usize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::recognizer::built_in;

    /// What each kind finds without being asked for its need.
    fn found(text: &str) -> Vec<usize> {
        let built_in = built_in();
        (0..built_in.recognizers.len())
            .filter(|&at| {
                let (kind, regex) = built_in.recognizer(at).unwrap();
                (0..text.len()).filter(|&from| text.is_char_boundary(from)).any(|from| {
                    regex
                        .find_at(text, from)
                        .is_some_and(|found| !(kind.confirm)(text, found.range()).is_empty())
                })
            })
            .collect()
    }

    fn check(text: &str, found: &[usize]) {
        let passed: Vec<usize> = built_in().prefilter.matches(text).collect();
        for kind in found {
            assert!(passed.contains(kind), "{kind} is in {text:?}, and only {passed:?} would be looked for");
        }
    }

    #[test]
    fn no_kind_is_kept_from_what_it_finds() {
        for text in [
            "a@b.org",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "DE89 3704 0044 0532 0130 00",
            "MT84MALT011000012345MTLCAST001S",
            "078-05-1120",
            "10.0.0.1",
            "2001:db8::1",
            "::1",
            "1::",
            "+44 20 7946 0958",
            "0049 30 1234567",
            "(212) 555-0123",
            "030 1234567",
            "mrn: A1B2C3D4",
            "1234567893",
        ] {
            let found = found(text);
            assert!(!found.is_empty(), "{text}");
            check(text, &found);
            // over the edge of a block
            check(&format!("{}{text}{}", "x ".repeat(510), " y".repeat(600)), &found);
        }
        let harmless = "In 1987 it cost 24 million: no more, and 9 to 12 is late";
        assert_eq!(
            built_in()
                .prefilter
                .matches(harmless)
                .map(|at| built_in().recognizers[at].0.label)
                .collect::<Vec<_>>(),
            ["MRN"]
        );
    }

    proptest! {
        #[test]
        fn no_kind_is_kept_from_what_it_finds_in_any_text(text in "([0-9]{1,5}|[0-9]|[ .:/()+-]|@|a|[A-Z]{2}[0-9]{2}|::|é|00|555|mrn |ssn ){0,24}") {
            check(&text, &found(&text));
        }
    }
}
