//! Streams of chunks as providers send them, cut anywhere.

mod endpoints;
mod odd;
mod whole;

use policy_config::schema::{MarkerFormat, PiiAction, PiiDetector, PolicyMode, PolicySettings};
use proptest::prelude::*;

use super::*;
use crate::compile;
use crate::surroundings::Nowhere;
use crate::verdict::Verdict;

fn inspector(mode: PolicyMode, action: PiiAction) -> StreamInspector {
    at(Endpoint::ChatCompletions, mode, action)
}

fn at(endpoint: Endpoint, mode: PolicyMode, action: PiiAction) -> StreamInspector {
    let pii = PiiDetector {
        mode,
        action,
        pci_mode: true,
        healthcare_mode: false,
        detect_patterns: Default::default(),
        marker_format: MarkerFormat::Label,
        custom_markers: Default::default(),
    };
    StreamInspector::new(
        endpoint,
        Arc::new(compile::chain(&[PolicySettings::PiiDetector(pii)]).unwrap()),
        Arc::new(Nowhere),
    )
}

fn run(mut inspector: StreamInspector, parts: &[&[u8]]) -> (String, Inspection) {
    let mut out = Vec::new();
    for part in parts {
        out.extend(inspector.push(Bytes::copy_from_slice(part)));
    }
    let (rest, inspection) = inspector.finish();
    out.extend(rest);
    (String::from_utf8(out).unwrap(), inspection)
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn stream() -> String {
    [
        ": keep-alive\n\n".to_owned(),
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"mail jane"}"#, "null"),
        chunk(r#"{"content":".doe\u0040exam"}"#, "null"),
        chunk(r#"{"content":"ple.com 😀 now"}"#, "null"),
        chunk(r#"{"tool_calls":[{"index":1,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}"#, "null"),
        chunk(r#"{"tool_calls":[{"index":1,"function":{"arguments":"{\"to\":\"a@"}}]}"#, "null"),
        chunk(r#"{"tool_calls":[{"index":1,"function":{"arguments":"b.org\"}"}}]}"#, "null"),
        chunk("{}", "\"stop\""),
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"total_tokens\":1e400}}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat()
}

#[test]
fn text_is_redacted_over_chunks_and_comes_before_the_chunk_that_ends_it() {
    let (out, inspection) = run(inspector(PolicyMode::Enforce, PiiAction::Redact), &[stream().as_bytes()]);
    let expected = [
        ":\n\n".to_owned(),
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"mail "}"#, "null"),
        chunk(r#"{"content":"[EMAIL] 😀 "}"#, "null"),
        made(r#"{"content":"now"}"#),
        chunk(r#"{"tool_calls":[{"index":1,"id":"t","type":"function","function":{"name":"f","arguments":""}}]}"#, "null"),
        made(r#"{"tool_calls":[{"index":1,"function":{"arguments":"{\"to\":\"[EMAIL]\"}"}}]}"#),
        chunk("{}", "\"stop\""),
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"total_tokens\":1e400}}\n\n".to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ]
    .concat();
    assert_eq!(out, expected);
    assert_eq!(inspection.verdict, Verdict::Redact);
    assert_eq!(inspection.policies.iter().map(|record| record.redactions).collect::<Vec<_>>(), [2]);
}

fn made(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"created\":1,\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

#[test]
fn a_shadowed_policy_watches_and_changes_no_byte() {
    let source = stream().replace('\n', "\r\n");
    let (out, inspection) = run(inspector(PolicyMode::Shadow, PiiAction::Block), &[source.as_bytes()]);
    assert_eq!(out, source);
    assert_eq!(inspection.verdict, Verdict::Allow);
    assert_eq!(inspection.policies.first().map(|record| record.verdict), Some(Verdict::Block));
}

#[test]
fn a_block_ends_the_stream_with_one_error_event() {
    let (out, inspection) = run(inspector(PolicyMode::Enforce, PiiAction::Block), &[stream().as_bytes()]);
    assert!(!out.contains("doe") && !out.contains("[DONE]") && !out.contains("stop"), "{out}");
    let last = out.trim_end().rsplit("\n\n").next().unwrap();
    let error: serde_json::Value = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "output_blocked");
    assert_eq!(error["error"]["policy"], "pii-detector");
    assert_eq!(inspection.verdict, Verdict::Block);
}

#[test]
fn a_stream_that_ends_early_gives_its_text_redacted() {
    let source = chunk(r#"{"content":"to a@b.org"}"#, "null");
    let (out, _) = run(inspector(PolicyMode::Enforce, PiiAction::Redact), &[source.as_bytes()]);
    let expected = chunk(r#"{"content":"to "}"#, "null") + &made(r#"{"content":"[EMAIL]"}"#);
    assert_eq!(out, expected);
    let (out, _) = run(inspector(PolicyMode::Enforce, PiiAction::Redact), &[source.trim_end().as_bytes()]);
    assert_eq!(out, expected);
}

#[test]
fn tokens_do_not_spell_what_was_redacted() {
    let source = chunk(r#"{"content":"a@b.org"}"#, "null").replace(
        "\"finish_reason\"",
        "\"logprobs\":{\"content\":[{\"token\":\"a@b.org\"}]},\"finish_reason\"",
    );
    let (out, _) = run(inspector(PolicyMode::Enforce, PiiAction::Redact), &[source.as_bytes()]);
    assert!(!out.contains("b.org"), "{out}");
}

#[test]
fn what_cannot_be_read_ends_the_stream() {
    for data in ["data: {\"a\":1,\"a\":2}\n\n", "data: nonsense\n\n", "data: \"\\ud800\"\n\n"] {
        let mut inspector = inspector(PolicyMode::Enforce, PiiAction::Redact);
        let out = String::from_utf8(inspector.push(Bytes::from(data)).to_vec()).unwrap();
        assert!(out.starts_with("data: {\"error\":"), "{out}");
        assert!(inspector.is_ended());
        assert!(inspector.push(Bytes::from("data: [DONE]\n\n")).is_empty());
    }
}

#[test]
fn held_text_is_bounded() {
    let mut inspector = inspector(PolicyMode::Enforce, PiiAction::Redact);
    // JSON that does not end
    let mut out = inspector.push(Bytes::from(chunk(r#"{"content":"[\""}"#, "null"))).to_vec();
    let part = chunk(&format!("{{\"content\":\"{}\"}}", "x".repeat(1 << 20)), "null");
    for _ in 0..17 {
        out.extend(inspector.push(Bytes::copy_from_slice(part.as_bytes())));
    }
    assert!(inspector.is_ended());
    assert!(String::from_utf8(out).unwrap().contains("16 MiB"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_cut_of_the_bytes_does_not_matter(
        mut cuts in proptest::collection::vec(0usize..1400, 0..12),
        line_end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
        block in any::<bool>(),
    ) {
        let source = stream().replace('\n', line_end);
        let action = if block { PiiAction::Block } else { PiiAction::Redact };
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(source.len()));
        cuts.extend([0, source.len()]);
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &source.as_bytes()[pair[0]..pair[1]]).collect();
        let whole = run(inspector(PolicyMode::Enforce, action), &[stream().as_bytes()]);
        prop_assert_eq!(run(inspector(PolicyMode::Enforce, action), &parts), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let mut inspector = inspector(PolicyMode::Enforce, PiiAction::Redact);
        for part in &parts {
            inspector.push(Bytes::copy_from_slice(part));
        }
        inspector.finish();
    }
}

#[test]
fn a_choice_that_streams_whole_messages_or_bare_text_is_held_as_well() {
    let chunk = |field: &str| format!("data: {{\"choices\":[{{\"index\":0,{field}}}]}}\n\n");
    let (message, text) = (r#""message":{"content":"jane@exam"}"#, r#""text":"write to a@b"#);
    let parts = [
        chunk(message),
        chunk(r#""message":{"content":"ple.com"}"#),
        chunk(&format!("{text}\"")),
        chunk(r#""text":".org","finish_reason":"stop""#),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (out, inspection) =
        run(inspector(PolicyMode::Enforce, PiiAction::Redact), &[parts.concat().as_bytes()]);
    assert_eq!(inspection.policies[0].redactions, 2);
    assert!(out.contains(r#""message":{"content":"[EMAIL]"}"#), "{out}");
    assert!(
        out.contains(r#""text":"write to ""#) && out.contains(r#""text":"[EMAIL]","finish_reason""#),
        "{out}"
    );
    assert!(!out.contains("jane") && !out.contains("a@b"), "{out}");
}
