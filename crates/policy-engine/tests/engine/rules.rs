//! The kinds that are about who asks and what a house does not say: as cases, in the self-test, in what is shown.

use policy_config::document::PolicyDocument;
use policy_config::schema::PolicyKind;
use policy_engine::{Endpoint, Engine, Nowhere, Secrets, SelfTestError, Surroundings, Verdict, read_golden};
use serde_json::{Value, json};

fn engine(chain: &str, blocks: &str) -> Engine {
    let source = format!(
        "pack: {{name: a, version: 0.1.0, enabled: true}}\nproviders: {{targets: [{{id: a, provider: openai, model: 'gpt-*', \
         base_url: 'http://localhost'}}]}}\npolicies: {{chain: [{chain}]}}\npolicy:\n{blocks}"
    );
    let (config, report) = PolicyDocument::new(source).parse();
    Engine::compile(&config.ok_or(report).unwrap(), Secrets::new()).unwrap()
}

/// Somebody of team `a-1` asks.
struct Team;

impl Surroundings for Team {
    fn header(&self, name: &str) -> Option<&str> {
        (name == "x-team").then_some("a-1")
    }

    fn address(&self) -> Option<std::net::IpAddr> {
        None
    }

    fn now(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn cpu(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

fn decided(engine: &Engine, input: &Value) -> (Verdict, Option<&'static str>) {
    let mut input = input.clone();
    input["messages"] = json!([{"role": "user", "content": "hi"}]);
    let case = json!({"name": "a", "input": input, "expected": {"verdict": "allow"}}).to_string();
    let (cases, report) = read_golden(case.as_bytes());
    let outcome = engine.run_case(&cases.ok_or(report).unwrap()[0]).unwrap();
    (outcome.verdict, outcome.reason_code)
}

#[test]
fn a_case_says_who_asks_for_which_model() {
    let rules = "  model-access:\n    consumer_header: x-team\n    rules:\n      - {consumers: ['a-*'], models: {allow: ['gpt-*'], deny: [gpt-5-pro]}}\n";
    let denied = (Verdict::Block, Some("model_access.denied"));
    let engine = self::engine("model-access", rules);
    for (input, expected) in [
        (json!({"model": "gpt-5", "headers": {"X-Team": "a-1"}}), (Verdict::Allow, None)),
        (json!({"model": "GPT-5-Pro", "headers": {"X-Team": "a-1"}}), denied),
        (json!({"model": "gpt-5", "headers": {"X-Team": "b"}}), denied),
        (json!({"model": "gpt-5", "headers": {"X-Consumer": "a-1"}}), denied),
        (json!({"headers": {"X-Team": "a-1"}}), denied),
        (json!({}), denied),
    ] {
        assert_eq!(decided(&engine, &input), expected, "{input}");
    }
    let open = self::engine("model-access", &rules.replace("rules:", "default: allow\n    rules:"));
    assert_eq!(decided(&open, &json!({})), (Verdict::Allow, None));
    let shadowed = self::engine("model-access", &rules.replace("    rules:", "    mode: shadow\n    rules:"));
    assert_eq!(decided(&shadowed, &json!({})), (Verdict::Allow, None));
    assert_eq!(shadowed.models_for(&Nowhere, |_| true), ["gpt-*"]);
    assert_eq!(engine.models_for(&Nowhere, |_| true), [""; 0]);
    for (model, shown) in
        [("gpt-5", true), ("gpt-*", true), ("gpt-5-pro", false), ("Gpt-5-PRO", false), ("o3", false)]
    {
        assert_eq!(engine.shows(model, &Team, |_| true), shown, "{model}");
        assert!(!engine.shows(model, &Nowhere, |_| true), "{model}");
        assert_eq!(
            shadowed.shows(model, &Nowhere, |_| true),
            model != "o3" && !model.starts_with('G'),
            "{model}"
        );
    }
    assert_eq!(engine.identity_headers().collect::<Vec<_>>(), ["x-team"]);
}

#[test]
fn nothing_is_counted_where_there_is_no_gateway() {
    let engine = engine("rate-limit", "  rate-limit: {limits: [{key: global, requests: 1, window: 24h}]}\n");
    for _ in 0..3 {
        assert_eq!(decided(&engine, &json!({})), (Verdict::Allow, None));
    }
    assert_eq!(engine.self_test(), Ok(()));
    assert!(!engine.inspects_responses(), "no answer is held back for it");
}

#[test]
fn a_term_may_be_any_word_and_a_pattern_not() {
    let dlp = |settings: &str| engine("dlp-filter", &format!("  dlp-filter: {{{settings}}}\n"));
    assert_eq!(dlp("blocked_terms: [winter, lake]").self_test(), Ok(()));
    let broken = dlp("detect_patterns: {ANY: 'boat[a-z]'}").self_test();
    assert!(matches!(broken, Err(SelfTestError::FalseAlarm { policy: PolicyKind::DlpFilter, .. })));
    let body =
        json!({"model": "m", "messages": [{"role": "user", "content": "the La\u{200b}ke"}]}).to_string();
    let engine = dlp("blocked_terms: [lake], action: redact");
    let inspection = engine.inspect_request(Endpoint::ChatCompletions, body.as_bytes(), &Nowhere).unwrap();
    assert!(String::from_utf8(inspection.body.unwrap()).unwrap().contains("the [BLOCKED_TERM]"));
}
