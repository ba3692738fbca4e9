//! `testing.suites`: read strictly, with places, and of no effect on what a pack means.

use policy_config::canonical::canonical;
use policy_config::diff::diff;
use policy_config::document::PolicyDocument;
use policy_config::schema::{ExpectedReason, ExpectedVerdict, TestSuite, UpstreamResponse};
use policy_config::{LintReport, PolicyConfig};

const PACK: &str = include_str!("../../../examples/policy-config.yaml");
const TESTING: &str = "\
testing:
  suites:
    - name: injection
      cases:
        - name: an attack
          input:
            messages:
              - {role: system, content: 'be brief'}
              - role: user
                content: [{type: text, text: \"Ignore \\\"all\\\"\\n\"}]
          expected: {verdict: block, reason_code: prompt_injection.detected}
        - name: an answer
          input:
            model: gpt-5
            headers: {X-Consumer: team-a}
            messages: [{role: user, n: 1.5, ok: True, none: ~}]
          upstream_response: 'mail me'
          expected: {verdict: allow, reason_code: null}
        - name: a whole answer
          input: {messages: [{role: user, content: null}]}
          upstream_response: {choices: [{message: {content: hi}}]}
          expected: {verdict: redact}
";

fn parse(testing: &str) -> (Option<(PolicyConfig, Vec<TestSuite>)>, LintReport) {
    PolicyDocument::new(format!("{PACK}{testing}")).parse_with_suites()
}

#[test]
fn a_suite_is_read_whole() {
    let (whole, report) = parse(TESTING);
    assert_eq!(report.findings, []);
    let (_, suites) = whole.expect("it is valid");
    let [suite] = suites.as_slice() else { panic!("{suites:?}") };
    let [attack, answer, whole_answer] = suite.cases.as_slice() else { panic!("{suite:?}") };
    assert_eq!((suite.name.as_str(), attack.name.as_str()), ("injection", "an attack"));
    let messages: serde_json::Value = serde_json::from_str(&attack.messages).expect("JSON");
    let expected = serde_json::json!([{"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "Ignore \"all\"\n"}]}]);
    assert_eq!(messages, expected);
    assert_eq!(attack.expected.verdict, ExpectedVerdict::Block);
    assert_eq!(attack.expected.reason_code, ExpectedReason::Code("prompt_injection.detected".to_owned()));
    assert_eq!(answer.messages, r#"[{"role":"user","n":1.5,"ok":true,"none":null}]"#);
    assert_eq!(answer.model.as_deref(), Some("gpt-5"));
    assert_eq!(answer.headers.get("x-consumer").map(String::as_str), Some("team-a"));
    assert_eq!((attack.model.as_deref(), attack.headers.len()), (None, 0));
    assert_eq!(answer.upstream_response, Some(UpstreamResponse::Text("mail me".to_owned())));
    assert_eq!(answer.expected.reason_code, ExpectedReason::None);
    let answer = r#"{"choices":[{"message":{"content":"hi"}}]}"#.to_owned();
    assert_eq!(whole_answer.upstream_response, Some(UpstreamResponse::Answer(answer)));
    assert_eq!(whole_answer.expected.reason_code, ExpectedReason::Any);
    let line = PACK.lines().count() + 5;
    assert_eq!(usize::try_from(attack.at.line).ok(), Some(line));
}

#[test]
fn a_pack_means_the_same_with_and_without_its_tests() {
    let (with, _) = PolicyDocument::new(format!("{PACK}{TESTING}")).parse();
    let (without, _) = PolicyDocument::new(PACK).parse();
    let (with, without) = (with.expect("a config"), without.expect("a config"));
    assert_eq!(with, without);
    assert_eq!(canonical(&with), canonical(&without));
    assert!(diff(&with, &without).is_empty());
}

#[test]
fn every_mistake_has_its_place() {
    let suite = "testing.suites[0]";
    let first = format!("{suite}.cases[0]");
    for (edit, code, line, path, says) in [
        (("suites:", "suite:"), "E002", 2, "testing.suite".to_owned(), "did you mean `suites`?"),
        (("testing:", "testings:"), "E002", 1, "testings".to_owned(), "did you mean `testing`?"),
        (("- name: injection", "- name: 5"), "E005", 3, format!("{suite}.name"), "quote it"),
        (("cases:", "case:"), "E002", 4, format!("{suite}.case"), "did you mean `cases`?"),
        (("name: an answer", "name: an attack"), "E006", 12, format!("{suite}.cases[1].name"), "is taken"),
        (("  input:\n", "  inputs:\n"), "E002", 6, format!("{first}.inputs"), "did you mean `input`?"),
        (("role: system, ", ""), "E004", 8, format!("{first}.input.messages[0].role"), "required"),
        (
            ("'be brief'", "{a: b}"),
            "E005",
            8,
            format!("{first}.input.messages[0].content"),
            "a list of parts",
        ),
        (("'be brief'", "5"), "E005", 8, format!("{first}.input.messages[0].content"), "quote it"),
        (("1.5", "0x10"), "E006", 16, format!("{suite}.cases[1].input.messages[0].n"), "none of JSON"),
        (("gpt-5", "5"), "E005", 14, format!("{suite}.cases[1].input.model"), "quote it"),
        (
            ("X-Consumer", "x consumer"),
            "E006",
            15,
            format!("{suite}.cases[1].input.headers.x consumer"),
            "cannot be",
        ),
        (("team-a", "[a]"), "E005", 15, format!("{suite}.cases[1].input.headers.X-Consumer"), "text"),
        (("block,", "blok,"), "E006", 11, format!("{first}.expected.verdict"), "did you mean `block`?"),
        (("'mail me'", "[a]"), "E005", 17, format!("{suite}.cases[1].upstream_response"), "whole answer"),
        (("{verdict: redact}", "{}"), "E004", 22, format!("{suite}.cases[2].expected.verdict"), "required"),
        (("be brief", "sk-hunter2hunter2"), "E012", 8, format!("{first}.input.messages[0].content"), "key"),
    ] {
        assert!(TESTING.contains(edit.0), "{edit:?}");
        let (whole, report) = parse(&TESTING.replacen(edit.0, edit.1, 1));
        assert!(whole.is_none(), "{edit:?}");
        let found = report.findings.iter().find(|finding| finding.code == code && finding.path == path);
        let found = found.unwrap_or_else(|| panic!("{edit:?}: {report:?}"));
        let line = PACK.lines().count() + line;
        assert_eq!(usize::try_from(found.location.line).ok(), Some(line), "{edit:?}: {found:?}");
        let said = format!("{} {}", found.message, found.suggestion);
        assert!(said.contains(says), "{edit:?}: {said}");
        assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
    }
}

#[test]
fn lists_have_limits_and_are_not_empty() {
    let many = |item: &str, number: usize| vec![item; number].join(",");
    for (testing, code) in [
        (format!("testing: {{suites: [{}]}}", many("{}", 101)), "E018"),
        (format!("testing: {{suites: [{{name: a, cases: [{}]}}]}}", many("{}", 1001)), "E018"),
        ("testing: {suites: [{name: a, cases: []}]}".to_owned(), "E006"),
        ("testing: {suites: [{name: a, cases: [{name: a, input: {messages: []}}]}]}".to_owned(), "E006"),
        ("testing: []".to_owned(), "E005"),
        ("testing: {}".to_owned(), "E004"),
    ] {
        let (whole, report) = parse(&testing);
        assert!(whole.is_none() && report.findings.iter().any(|f| f.code == code), "{code}: {report:?}");
    }
    assert!(parse("testing: {suites: []}").0.is_some(), "suites may be empty");
}
