//! A text that flows is redacted as it is as a whole, for every split, and flows as soon as it can.

use std::time::Duration;

use policy_config::schema::{MarkerFormat, PiiAction, PiiDetector, PolicyMode};
use proptest::prelude::*;

use super::SLICE;
use super::segments::LONGEST;
use crate::budget::Budget;
use crate::json::Document;
use crate::policies::pii_detector::PiiDetectorPolicy;
use crate::policies::{Decision, Flow, Flowed, Policy, Subject};
use crate::surroundings::Nowhere;
use crate::text::{Phase, Texts};

const OWN: &[(&str, &str)] = &[
    ("EMPLOYEE", "E[0-9]{6}"),
    ("WORDS", r"(?i)\bproject \w+\b"),
    ("GLUED", r"(?:^|[^0-9])[0-9]{8}$"),
    ("SPACED", r"\s+secret\b"),
    ("QUOTED", "\"[^\"]*\""),
    ("STARS", r"\*{3} [a-z]{2}"),
];

fn pii(format: MarkerFormat, own: &[(&str, &str)], markers: &[(&str, &str)]) -> PiiDetectorPolicy {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let settings = PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: true,
        detect_patterns: pairs(own),
        marker_format: format,
        custom_markers: pairs(markers),
    };
    PiiDetectorPolicy::compile(&settings).unwrap()
}

fn policies() -> &'static [PiiDetectorPolicy] {
    static POLICIES: std::sync::LazyLock<Vec<PiiDetectorPolicy>> = std::sync::LazyLock::new(|| {
        let markers = &[("EMAIL", "\"<mail>\\"), ("SSN", "patient id"), ("IP_ADDRESS", "+1 415 555")];
        vec![
            pii(MarkerFormat::Label, &[], &[]),
            pii(MarkerFormat::Label, OWN, &[]),
            pii(MarkerFormat::Mask, OWN, &[]),
            pii(MarkerFormat::Partial, OWN, &[]),
            pii(MarkerFormat::Label, &[OWN[0], OWN[3]], markers),
        ]
    });
    &POLICIES
}

/// As the policy redacts it as a whole, and how often.
fn whole(policy: &PiiDetectorPolicy, text: &str) -> (String, u32) {
    let source = serde_json::Value::from(text).to_string();
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::of(Phase::Output, &document);
    let decision = judge(policy, &texts);
    let redactions = u32::try_from(decision.edits.len()).unwrap();
    let redacted = texts.splice(&document, &decision.edits);
    (serde_json::from_slice(&redacted).unwrap(), redactions)
}

fn judge(policy: &PiiDetectorPolicy, texts: &Texts<'_>) -> Decision {
    let budget = Budget::new(&Nowhere, Duration::MAX, 0);
    let subject = Subject { phase: Phase::Output, texts, model: "", around: &Nowhere, budget: &budget };
    policy.judge(&subject).unwrap()
}

fn take(flow: &mut dyn Flow, text: &str, last: bool, out: &mut Flowed) {
    flow.take(text, last, &Budget::new(&Nowhere, Duration::MAX, 0), out).unwrap();
}

fn flowed<'p>(policy: &PiiDetectorPolicy, parts: impl IntoIterator<Item = &'p str>) -> (String, u32) {
    let mut flow = policy.flow().unwrap();
    let mut out = Flowed::default();
    for part in parts {
        take(flow.as_mut(), part, false, &mut out);
    }
    take(flow.as_mut(), "", true, &mut out);
    (out.text, out.redactions)
}

/// What a client has after these parts.
fn given(policy: &PiiDetectorPolicy, parts: &[&str]) -> String {
    let mut flow = policy.flow().unwrap();
    let mut out = Flowed::default();
    parts.iter().for_each(|part| take(flow.as_mut(), part, false, &mut out));
    out.text
}

fn split<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| text.floor_char_boundary(*cut)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

#[test]
fn every_split_of_these_gives_what_the_whole_gives() {
    for text in [
        "Hello world, write to jane.doe@example.com or to j\u{f6}rg@b\u{fc}cher.de. Thanks!",
        "card 4111 1111 1111 1111 5, ssn 536-22-8726 123456789 and 1.2.3.4a@b.org",
        "SSN: 536228726; v1.2.3.4 is no address, 10.0.0.1 is \u{1f600}",
        "IBAN DE89 3704 0044 0532 0130 00 and then words go on and on until the end of it",
        "E123456 project Apollo *** xy \"quoted a@b.org\" the secret of 12345678",
        "Call (415) 555-2671, +1 415 555 2671 or 020 7946 0958 2026-01-02 2001:db8::1::",
        "{\"to\":\"a\\u0040b.org\",\"n\":4111111111111111}",
        "[Note] {a@b.org} [1] 4111111111111111 MRN: A1234567 a@b.org.c@d.org@e.org",
        "[\"a@b.org\"] trailing",
        "192.168.10.4 2671 a@b.org: 12345",
    ] {
        for (at, policy) in policies().iter().enumerate() {
            let expected = whole(policy, text);
            for first in text.char_indices().map(|(at, _)| at) {
                let two = split(text, &[first]);
                assert_eq!(flowed(policy, two), expected, "{text:?} cut at {first}, policy {at}");
                let three = split(text, &[first, first + 7]);
                assert_eq!(flowed(policy, three), expected, "{text:?} cut around {first}, policy {at}");
            }
            let single = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
            assert_eq!(flowed(policy, single), expected, "{text:?} by character, policy {at}");
        }
    }
}

#[test]
fn prose_flows_word_by_word() {
    for policy in policies() {
        assert!(given(policy, &["Hello wor"]).starts_with("Hello "), "{:?}", given(policy, &["Hello wor"]));
        let words = "In short: the boats cross the lake, at about 9 or 10 in the morning; why not?";
        let mut flow = policy.flow().unwrap();
        let mut out = Flowed::default();
        let mut said = String::new();
        for token in words.split_inclusive(' ') {
            take(flow.as_mut(), token, false, &mut out);
            said.push_str(token);
            let held = said.len() - out.text.len();
            assert!(held <= 16, "{held} bytes of {said:?} are held");
            assert!(said.starts_with(&out.text), "{:?}", out.text);
        }
    }
}

#[test]
fn only_what_may_still_match_is_held() {
    let policy = &policies()[1];
    for (said, given_on) in [
        ("write to jane.doe", "write to "),
        ("write to jane.doe@example.com", "write to "),
        ("write to jane.doe@example.com, and", "write to [EMAIL], "),
        ("the E12345", "the "),
        ("the E123456 is ", "the [EMPLOYEE] is"),
        ("a 4111 1111", "a "),
        ("that is \"so", "that is "),
        (" {\"a\":", ""),
        ("{a ", "{a"),
        ("[1] one ", "[1] one"),
    ] {
        assert_eq!(given(policy, &[said]), given_on, "{said:?}");
    }
}

#[test]
fn what_is_too_long_is_read_as_two_texts() {
    let policy = pii(MarkerFormat::Label, &[("ALL", r"(?s)BEGIN.*END")], &[]);
    for (fill, found) in [(1000, true), (LONGEST, false)] {
        let text = format!("x BEGIN{}END y a@b.org", "\u{e9} ".repeat(fill / 3));
        let expected = whole(&policy, &text);
        assert_eq!(expected.0.contains("[ALL]"), found);
        assert!(expected.0.ends_with(if found { "x [ALL] y [EMAIL]" } else { "END y [EMAIL]" }));
        for step in [4099, 613] {
            let cuts: Vec<usize> = (0..text.len()).step_by(step).collect();
            assert_eq!(flowed(&policy, split(&text, &cuts)), expected, "{fill} by {step}");
        }
    }
    let digits = "1".repeat(LONGEST + 999) + " a@b.org";
    let expected = whole(&policies()[0], &digits);
    let cuts: Vec<usize> = (0..digits.len()).step_by(777).collect();
    assert_eq!(flowed(&policies()[0], split(&digits, &cuts)), expected);
}

#[test]
fn a_text_that_is_read_in_slices_has_what_the_whole_has() {
    let data = "jane@example.com, 4111 1111 1111 1111; v1.2.3.4 10.0.0.1 project x, the secret E123456! ";
    let policy = &policies()[0];
    for begin in (SLICE - data.len()..=SLICE).step_by(7) {
        let words = "\u{e9} word ".repeat(SLICE / 8);
        let words = &words[..words.floor_char_boundary(begin)];
        let text = format!("{words}{data}");
        let cuts: Vec<usize> = (0..text.len()).step_by(4099).collect();
        assert_eq!(whole(policy, &text), flowed(policy, split(&text, &cuts)), "{begin}");
    }
}

#[test]
fn escapes_hide_nothing_in_what_is_json_to_some_reader() {
    let deep = format!("{}\"a\\u0040b.org\"{}", "[".repeat(65), "]".repeat(65));
    for (text, expected) in [
        (r#"{"a":1,"a":"a\u0040b.org"}"#, r#"{"a":1,"a":"[EMAIL]"}"#),
        (r#"{"s":"\ud83d","to":"a\u0040b.org 1\/2"}"#, r#"{"s":"\ud83d","to":"[EMAIL] 1\/2"}"#),
        (
            r#"{"n":[NaN,-Infinity],"to":"\ud83d\ude00 a\u0040b\u002eorg"}"#,
            "{\"n\":[NaN,-Infinity],\"to\":\"\\ud83d\\ude00 [EMAIL]\"}",
        ),
        (
            "{\"a\":\"a\\u0040b.org\"}\n{\"b\":\"1.2.3.\\u0034\"}\n",
            "{\"a\":\"[EMAIL]\"}\n{\"b\":\"[IP_ADDRESS]\"}\n",
        ),
        (r#"{"cut":"a\u0040b.org"#, r#"{"cut":"[EMAIL]"#),
        (
            r#"{"in":"{\"to\":\"a\\u0040b.org\"}","in":"c@d.org"}"#,
            r#"{"in":"{\"to\":\"[EMAIL]\"}","in":"[EMAIL]"}"#,
        ),
        (deep.as_str(), &deep.replace(r"a\u0040b.org", "[EMAIL]")),
    ] {
        let policy = &policies()[0];
        assert_eq!(whole(policy, text).0, expected);
        for cut in 0..text.len() {
            assert_eq!(flowed(policy, split(text, &[cut])).0, expected, "{text:?} cut at {cut}");
        }
    }
}

#[test]
fn filler_hides_nothing() {
    let policy = &policies()[0];
    let card = "4111 1111 1111 1111";
    for filler in ["1 ", "a"] {
        for before in [LONGEST - 19, 2 * LONGEST - 4096 - 10] {
            let filler = filler.repeat(before / filler.len() + 1);
            let filler = &filler[..before];
            let text = match filler.starts_with('a') {
                true => format!("{filler}@b.org {filler} c@d.org"),
                false => format!("{filler} {card} and so on"),
            };
            let expected = whole(policy, &text);
            assert!(expected.0.contains("[CREDIT_CARD]") || expected.0.ends_with(" [EMAIL]"), "{before}");
            assert!(!expected.0.contains(card), "{before}");
            let cuts: Vec<usize> = (0..text.len()).step_by(7777).collect();
            assert_eq!(flowed(policy, split(&text, &cuts)), expected, "{before}");
        }
    }
}

/// Bits of personal data, of what surrounds it, and of what glues them together.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::sample::select(vec![
            "jane@example.com",
            "4111 1111 1111 1111",
            "378282246310005",
            "536-22-8726",
            "192.168.0.1",
            "2001:db8::1",
            "DE89370400440532013000",
            "+14155552671",
            "(415) 555-2671",
            "020 7946 0958",
            "NPI 1234567893",
            "MRN: A1234567",
            "ssn ",
            "version ",
            "the secret",
            "E123456",
            "project x",
            "\u{e9}",
            "\u{1f600}",
            "\"",
            "\\",
            "\n",
            "{",
            "[",
            "12345678",
            "***",
            " words of a sentence ",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,4}",
        "[ .@:/+()_a-z-]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(part, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_flow_of_any_pieces_gives_what_the_whole_gives(
        text in text(),
        json in 0u8..8,
        cuts in prop::collection::vec(0usize..200, 0..12),
    ) {
        let text = match json {
            0 => serde_json::json!({"a": text, "b": [text]}).to_string(),
            1 => format!("{text}{}", serde_json::json!([text])),
            2 => format!("{{\"a\":1,\"a\":{}", serde_json::json!(text).to_string().replace('@', "\\u0040")),
            _ => text,
        };
        for (at, policy) in policies().iter().enumerate() {
            let expected = whole(policy, &text);
            prop_assert_eq!(flowed(policy, split(&text, &cuts)), expected.clone(), "policy {}", at);
            let single = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
            prop_assert_eq!(flowed(policy, single), expected, "policy {}", at);
        }
    }

    #[test]
    fn nothing_that_would_be_found_is_left(text in text()) {
        // of `partial`, and of a marker that begins something, what stays may look like something itself
        for at in [0, 1, 2, 4] {
            let once = whole(&policies()[at], &text).0;
            let again = whole(&policies()[at], &once);
            prop_assert_eq!(&again.0, &once, "policy {} of {:?}", at, &text);
        }
    }
}
