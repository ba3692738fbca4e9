//! The labelled corpus of `tests/corpus`, run through the engine; `measured.txt` beside it and
//! `docs/reference/policies.md` say what came out. `UPDATE_CORPUS=1` writes both anew.

mod measure;
mod spelling;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use policy_config::schema::PolicySettings;
use policy_config::schema::settings::PII_LABELS;
use policy_engine::{Endpoint, Engine, Nowhere, PATTERN_SET_VERSION, Verdict};
use serde_json::{Value, json};

use self::measure::{Outcome, Table};
use self::spelling::spelled;
use crate::support::{engine, injection, parsed, pii, request, user};

const PARTS: [&str; 2] = ["tuned", "held-out"];
const UPDATE: &str = "UPDATE_CORPUS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source(policy: &str, part: &str) -> String {
    std::fs::read_to_string(root().join(format!("tests/corpus/{policy}/{part}.tsv"))).unwrap()
}

fn rows(source: &str) -> impl Iterator<Item = [&str; 4]> {
    source.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(columns.len(), 4, "four columns: {line}");
        columns[..].try_into().unwrap()
    })
}

/// One row of prompt injection: a conversation that is blocked or passes.
fn injected(part: &str, table: &mut Table) {
    let engine = engine(vec![PolicySettings::PromptInjection(injection())]);
    for [label, language, family, text] in rows(&source("prompt-injection", part)) {
        let own_role = if label == "trusted" { "system" } else { "user" };
        let turns: Vec<Value> = text.split('‖').map(|turn| message(own_role, turn)).collect();
        let body = request(turns.into());
        let verdict = engine.inspect_request(Endpoint::ChatCompletions, &body, &Nowhere).unwrap().verdict;
        let blocked = verdict == Verdict::Block;
        let family = family.split(':').next().unwrap();
        assert!(matches!(label, "attack" | "benign" | "trusted"), "label {label}");
        let outcome = match (label == "attack", blocked) {
            (true, true) => Outcome::Found,
            (true, false) => Outcome::Missed,
            (false, true) => Outcome::Alarm,
            (false, false) => Outcome::Quiet,
        };
        table.count(outcome, language, family, text);
    }
}

/// `{tool}` or `{assistant}` before a turn says whose it is.
fn message(own_role: &str, turn: &str) -> Value {
    let (role, text) = ["tool", "assistant"]
        .iter()
        .find_map(|role| Some((*role, turn.strip_prefix(&format!("{{{role}}}"))?)))
        .unwrap_or((own_role, turn));
    json!({"role": role, "content": spelled(text)})
}

/// One row of personal data: each span of it is found with its exact ends, or missed; each other one is
/// an alarm.
fn personal(part: &str, table: &mut Table) {
    let engines: BTreeMap<&str, Engine> =
        ["-", "pci", "health"].into_iter().map(|setting| (setting, pii_engine(setting))).collect();
    for [label, language, setting, text] in rows(&source("pii-detector", part)) {
        assert!(label == "none" || PII_LABELS.contains(&label), "label {label}");
        let (plain, expected) = marked(text, label);
        let found = found(&engines[setting], &plain);
        let family = if label == "none" { format!("look-alike {language}") } else { label.to_owned() };
        let language = if label == "none" { "any" } else { language };
        for _ in expected.intersection(&found) {
            table.count(Outcome::Found, language, &family, text);
        }
        for _ in expected.difference(&found) {
            table.count(Outcome::Missed, language, &family, text);
        }
        for _ in found.difference(&expected) {
            table.count(Outcome::Alarm, language, &family, text);
        }
        if expected.is_empty() && found.is_empty() {
            table.count(Outcome::Quiet, language, &family, text);
        }
    }
}

type Spans = BTreeSet<(usize, usize, String)>;

/// A text without its `⟦ ⟧`, and where they stood.
fn marked(text: &str, label: &str) -> (String, Spans) {
    let mut plain = String::new();
    let mut spans = Spans::new();
    for (at, part) in text.split(['⟦', '⟧']).enumerate() {
        if at % 2 == 1 {
            spans.insert((plain.len(), plain.len() + part.len(), label.to_owned()));
        }
        plain.push_str(part);
    }
    (plain, spans)
}

/// Every label has a marker that stands in no row, so that what was replaced can be seen in the answer.
fn pii_engine(setting: &str) -> Engine {
    let mut settings = pii();
    settings.pci_mode = setting == "pci";
    settings.healthcare_mode = setting == "health";
    settings.custom_markers =
        PII_LABELS.iter().map(|label| ((*label).to_owned(), format!("⟦{label}⟧"))).collect();
    engine(vec![PolicySettings::PiiDetector(settings)])
}

/// What stands between two markers of the answer stands in the text, too; the rest was replaced.
fn found(engine: &Engine, plain: &str) -> Spans {
    let body = user(plain);
    let inspection = engine.inspect_request(Endpoint::ChatCompletions, &body, &Nowhere).unwrap();
    let sent =
        parsed(&inspection.body.unwrap_or(body))["messages"][0]["content"].as_str().unwrap().to_owned();
    let mut parts = sent.split(['⟦', '⟧']);
    let mut at = parts.next().unwrap().len();
    let mut spans = Spans::new();
    while let (Some(label), Some(kept)) = (parts.next(), parts.next()) {
        let last = !sent[..].contains('⟦') || sent.ends_with(&format!("⟦{label}⟧{kept}"));
        let end = if last { plain.len() - kept.len() } else { next(plain, at + 1..plain.len(), kept) };
        spans.insert((at, end, label.to_owned()));
        at = end + kept.len();
    }
    spans
}

fn next(plain: &str, range: Range<usize>, kept: &str) -> usize {
    let start = (range.start..range.end).find(|&at| plain.is_char_boundary(at)).unwrap();
    start + plain[start..].find(kept).unwrap()
}

#[test]
fn what_is_measured_is_what_is_written_down() {
    let mut measured = format!(
        "Written by `{UPDATE}=1 cargo test --workspace --test engine corpus`; a test holds it.\nPattern set {PATTERN_SET_VERSION}.\n"
    );
    let mut paper = std::fs::read_to_string(root().join("docs/reference/policies.md")).unwrap();
    let was = paper.clone();
    for (policy, run) in
        [("prompt-injection", injected as fn(&str, &mut Table)), ("pii-detector", personal as _)]
    {
        let tables = PARTS.map(|part| {
            let mut table = Table::default();
            run(part, &mut table);
            (part, table)
        });
        for (part, table) in &tables {
            measured.push_str(&table.as_text(&format!("{policy}/{part}.tsv"), *part == "tuned"));
        }
        paper = with_block(&paper, policy, &measure::as_markdown(policy, &tables));
    }
    let file = root().join("tests/corpus/measured.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, &measured).unwrap();
        std::fs::write(root().join("docs/reference/policies.md"), &paper).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    let different: Vec<String> = measure::difference(&written, &measured);
    assert!(
        different.is_empty(),
        "measured.txt says otherwise; {UPDATE}=1 writes it\n{}",
        different.join("\n")
    );
    let update = std::env::var_os(UPDATE).is_some();
    assert!(update || was == paper, "docs/reference/policies.md has other figures; {UPDATE}=1 writes them");
}

/// The paper with the lines between the two comments of a policy replaced.
fn with_block(paper: &str, policy: &str, block: &str) -> String {
    let (head, rest) = paper.split_once(&format!("<!-- measured: {policy} -->\n")).unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    format!("{head}<!-- measured: {policy} -->\n{block}<!-- end -->{tail}")
}

#[test]
fn no_row_is_in_both_parts_or_twice_in_one() {
    for policy in ["prompt-injection", "pii-detector"] {
        let mut seen = BTreeSet::new();
        for part in PARTS {
            for row in rows(&source(policy, part)) {
                assert!(seen.insert(row[3].to_owned()), "{policy}/{part}: twice: {}", row[3]);
            }
        }
    }
}
