//! The labelled corpus. What the engine is known to get wrong is labelled so as well, so that every
//! change of what it catches shows here and in `docs/reference/policies.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy_config::schema::PolicySettings;
use policy_engine::{Endpoint, Engine, Nowhere, Verdict};
use serde_json::{Value, json};

use crate::support::{engine, injection, parsed, pii, request, user};

const INJECTION: &str = include_str!("../corpus/prompt_injection.tsv");
const PII: &str = include_str!("../corpus/pii.tsv");

fn rows(source: &str) -> impl Iterator<Item = Vec<&str>> {
    source.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

#[test]
fn attacks_are_caught_and_what_looks_like_them_passes() {
    let engine = engine(vec![PolicySettings::PromptInjection(injection())]);
    let (mut caught, mut attacks, mut alarms, mut surprises) = (0, 0, 0, Vec::new());
    for row in rows(INJECTION) {
        let [label, language, why, text] = row[..] else { panic!("four columns: {row:?}") };
        let role = if label == "trusted" { "system" } else { "user" };
        let turns: Vec<Value> =
            text.split('‖').map(|turn| json!({"role": role, "content": unescape(turn)})).collect();
        let blocked = engine
            .inspect_request(Endpoint::ChatCompletions, &request(turns.into()), &Nowhere)
            .unwrap()
            .verdict
            == Verdict::Block;
        let is_attack = matches!(label, "attack" | "missed");
        attacks += usize::from(is_attack);
        caught += usize::from(is_attack && blocked);
        alarms += usize::from(!is_attack && blocked);
        if blocked != matches!(label, "attack" | "false-alarm") {
            surprises.push(format!("{label} {language} {why}: {text}"));
        }
    }
    println!("prompt-injection: {caught} of {attacks} attacks caught, {alarms} false alarms");
    assert!(surprises.is_empty(), "labelled otherwise:\n{}", surprises.join("\n"));
}

#[test]
fn personal_data_is_found_and_nothing_else() {
    let mut surprises = Vec::new();
    let mut spans = 0;
    for row in rows(PII) {
        let [label, setting, text] = row[..] else { panic!("three columns: {row:?}") };
        let source = text.replace(['⟦', '⟧'], "");
        let mut expected = String::new();
        for (at, part) in text.split(['⟦', '⟧']).enumerate() {
            let marker = format!("[{label}]");
            spans += at % 2;
            expected.push_str(if at % 2 == 1 { &marker } else { part });
        }
        let found = redacted(&pii_engine(setting), &source);
        if found != expected {
            surprises.push(format!("{source}\n  expected {expected}\n  found    {found}"));
        }
    }
    println!("pii-detector: {spans} spans");
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

fn pii_engine(setting: &str) -> Engine {
    let mut settings = pii();
    settings.pci_mode = setting == "pci";
    settings.healthcare_mode = setting == "health";
    engine(vec![PolicySettings::PiiDetector(settings)])
}

fn redacted(engine: &Engine, text: &str) -> String {
    let body = user(text);
    let inspection = engine.inspect_request(Endpoint::ChatCompletions, &body, &Nowhere).unwrap();
    let sent = inspection.body.unwrap_or(body);
    parsed(&sent)["messages"][0]["content"].as_str().unwrap().to_owned()
}

/// `\n`, `\u{…}` and `{base64:…}` of the corpus files; the innermost first.
fn unescape(text: &str) -> String {
    let mut plain = text.replace("\\n", "\n");
    while let Some(start) = plain.rfind("\\u{") {
        let end = start + plain[start..].find('}').unwrap();
        let character = char::from_u32(u32::from_str_radix(&plain[start + 3..end], 16).unwrap()).unwrap();
        plain.replace_range(start..=end, &character.to_string());
    }
    while let Some(start) = plain.rfind("{base64:") {
        let end = start + plain[start..].find('}').unwrap();
        let encoded = STANDARD.encode(&plain[start + 8..end]);
        plain.replace_range(start..=end, &encoded);
    }
    plain
}
