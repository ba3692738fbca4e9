//! What is a term and what is not, and that a text that flows is treated as it is as a whole.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::json::Document;
use crate::policies::Flowed;
use crate::surroundings::Nowhere;
use crate::text::Texts;

const TERMS: &[&str] = &["Falcon", "project  blue-book", "C++", "naïve", "机密", "Ёлка", "blue", "книга"];

fn settings(terms: &[&str], action: DlpAction) -> DlpFilter {
    DlpFilter {
        mode: PolicyMode::Enforce,
        action,
        blocked_terms: terms.iter().map(|term| (*term).to_owned()).collect(),
        detect_patterns: BTreeMap::from([("TICKET".to_owned(), "SEC-[0-9]+".to_owned())]),
    }
}

static REDACTING: LazyLock<DlpFilterPolicy> =
    LazyLock::new(|| DlpFilterPolicy::compile(&settings(TERMS, DlpAction::Redact)).unwrap());

fn judge(policy: &DlpFilterPolicy, text: &str) -> (Decision, String) {
    let source = serde_json::Value::from(text).to_string();
    let document = Document::parse(source.as_bytes()).unwrap();
    let texts = Texts::of(Phase::Output, &document);
    let budget = Budget::new(&Nowhere, Duration::MAX, 0);
    let subject =
        Subject { phase: Phase::Output, texts: &texts, model: "", around: &Nowhere, budget: &budget };
    let decision = policy.judge(&subject).unwrap();
    let redacted = texts.splice(&document, &decision.edits);
    (decision, serde_json::from_slice(&redacted).unwrap())
}

fn redacted(text: &str) -> String {
    judge(&REDACTING, text).1
}

fn take(flow: &mut dyn Flow, text: &str, last: bool, out: &mut Flowed) {
    flow.take(text, last, &Budget::new(&Nowhere, Duration::MAX, 0), out).unwrap();
}

fn flowed(text: &str, cuts: &[usize]) -> String {
    let mut flow = REDACTING.flow().unwrap();
    let (mut out, mut from) = (Flowed::default(), 0);
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| text.floor_char_boundary(cut % (text.len() + 1))).collect();
    cuts.sort_unstable();
    for cut in cuts {
        take(flow.as_mut(), &text[from..cut], false, &mut out);
        from = cut;
    }
    take(flow.as_mut(), &text[from..], true, &mut out);
    out.text
}

#[test]
fn a_term_is_found_however_it_is_spelled() {
    for (text, expected) in [
        ("FALCON", "[BLOCKED_TERM]"),
        ("a falcon.", "a [BLOCKED_TERM]."),
        ("fal\u{200b}con", "[BLOCKED_TERM]"),
        ("falcon\u{200b}!", "[BLOCKED_TERM]!"),
        ("fal\0con fal\u{1dc4}\u{20dd}con f\u{e0fff}alcon", "[BLOCKED_TERM] [BLOCKED_TERM] [BLOCKED_TERM]"),
        ("project\u{2800}blue\0 book", "[BLOCKED_TERM]"),
        ("ｆａｌｃｏｎ", "[BLOCKED_TERM]"),
        ("𝐟𝐚𝐥𝐜𝐨𝐧 ⓕⓐⓛⓒⓞⓝ", "[BLOCKED_TERM] [BLOCKED_TERM]"),
        ("fàlcön fa\u{301}lcon", "[BLOCKED_TERM] [BLOCKED_TERM]"),
        ("Project Blue\n Book", "[BLOCKED_TERM]"),
        ("project_blue--book's", "[BLOCKED_TERM]'s"),
        ("project blue boot", "project [BLOCKED_TERM] boot"),
        ("c++, C++11", "[BLOCKED_TERM], [BLOCKED_TERM]11"),
        ("NAIVE naïve nai\u{308}ve", "[BLOCKED_TERM] [BLOCKED_TERM] [BLOCKED_TERM]"),
        ("这是机密文件", "这是[BLOCKED_TERM]文件"),
        ("ЕЛКА е\u{308}лка", "[BLOCKED_TERM] [BLOCKED_TERM]"),
        ("see SEC-4711 of falcon", "see [TICKET] of [BLOCKED_TERM]"),
        (r#"{"q":"fal\u0063on","n":[1]}"#, r#"{"q":"[BLOCKED_TERM]","n":[1]}"#),
    ] {
        assert_eq!(redacted(text), expected);
        assert_eq!(redacted(&redacted(text)), redacted(text), "once is enough");
    }
}

#[test]
fn a_part_of_a_word_is_no_term() {
    for text in [
        "falcons",
        "falconry",
        "2falcon",
        "fal con",
        "fal.con",
        "project/blueish/book",
        "blues",
        "книгами",
        "naivete",
        "falcon\u{200b}s",
        "s\u{200b}falcon",
        "éfalcon",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn reasons_and_messages_say_what_it_was_and_not_the_words() {
    let both = "SEC-1 falcon";
    assert_eq!(judge(&REDACTING, both).0.reason_codes, [TERM, PATTERN]);
    assert_eq!(judge(&REDACTING, "SEC-1").0.reason_codes, [PATTERN]);
    let blocking = DlpFilterPolicy::compile(&settings(TERMS, DlpAction::Block)).unwrap();
    let (decision, text) = judge(&blocking, both);
    assert_eq!((decision.verdict, text.as_str()), (Verdict::Block, both));
    assert_eq!(decision.message, "Response blocked: it holds what must not pass (TICKET, BLOCKED_TERM)");
    let mut flow = blocking.flow().unwrap();
    let mut out = Flowed::default();
    take(flow.as_mut(), "harmless words and then the fal", false, &mut out);
    assert_eq!(out.text, "harmless words and then the ", "only what may become a term is held");
    take(flow.as_mut(), "con.", true, &mut out);
    assert_eq!(out.stopped.unwrap().reason_codes, [TERM]);
}

#[test]
fn a_term_that_its_own_marker_holds_is_refused() {
    for (terms, label) in [(&["blocked term"][..], "TICKET"), (&["ticket"], "TICKET")] {
        let found = DlpFilterPolicy::compile(&settings(terms, DlpAction::Redact)).unwrap_err();
        assert_eq!(found[0].code, "C002", "{label}");
    }
}

/// Texts of pieces of terms, so that some are found and most nearly are.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "falcon",
            "FAL",
            "con",
            "project",
            " ",
            "  ",
            "blue",
            "-",
            "book",
            "\u{200b}",
            "e\u{301}",
            "ｆ",
            "ａ",
            "c",
            "+",
            "++",
            "机",
            "密",
            "ё",
            "лка",
            "SEC-",
            "12",
            "naı",
            "ïve",
            "[",
            "]",
            "BLOCKED",
            "_",
            "TERM",
            "{\"a\":\"",
            "\"}",
            "\\u0066",
            "\0",
            "\u{20dd}",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_text_that_flows_is_redacted_as_it_is_as_a_whole(text in texts(), cuts in proptest::collection::vec(0..400usize, 0..6)) {
        prop_assert_eq!(flowed(&text, &cuts), redacted(&text));
    }

    #[test]
    fn what_is_redacted_holds_no_term(text in texts()) {
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once);
    }
}
