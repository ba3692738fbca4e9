//! Reads `testing.suites`, and the cases of golden files, which have the same shape.

mod json;

use std::collections::{BTreeMap, HashMap};

use super::fields::{Field, Fields, join};
use super::settings::header_name;
use crate::lint::collector::{Collector, echo, path_key};
use crate::lint::rules;
use crate::location::Location;
use crate::schema::testing::{
    Expected, ExpectedReason, ExpectedVerdict, TestCase, TestSuite, UpstreamResponse,
};
use crate::tree::{Meaning, Node, NodeKind};

const MAX_SUITES: usize = 100;
/// In one suite or file.
const MAX_CASES: usize = 1000;
const MAX_MESSAGES: usize = 1000;
const MAX_NAME: usize = 200;
const MAX_HEADERS: usize = 100;

pub(super) fn read(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<TestSuite>> {
    let suites = Fields::of(field, &["suites"], findings)?.required("suites", findings)?;
    let items = suites.items("a list of suites", MAX_SUITES, findings)?;
    let mut names = Names::default();
    let read: Vec<TestSuite> = items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| read_suite(&suites.item(index, node), &mut names, findings))
        .collect();
    (read.len() == items.len()).then_some(read)
}

/// The cases of a golden file: one, or a list of them.
pub(crate) fn read_golden(root: &Node, findings: &mut Collector) -> Option<Vec<TestCase>> {
    let field = Field { path: String::new(), node: root };
    match root.kind {
        NodeKind::Mapping(_) => read_case(&field, findings).map(|case| vec![case]),
        NodeKind::Sequence(_) => read_cases(&field, findings),
        NodeKind::Scalar(_) => {
            let message =
                format!("a golden file holds one case, or a list of them, and not {}", root.describe());
            let suggestion = r#"write {"name": …, "input": {"messages": […]}, "expected": {"verdict": …}}"#;
            findings.add(rules::WRONG_TYPE, "", root.at, message, suggestion);
            None
        }
    }
}

/// Names that were given, with their places: each tells one thing from the others.
#[derive(Default)]
struct Names(HashMap<String, Location>);

// === impl Names ===

impl Names {
    /// The name of a suite or case.
    fn read(&mut self, fields: &Fields<'_>, findings: &mut Collector) -> Option<String> {
        let field = fields.required("name", findings)?;
        let name = field.bounded_text(MAX_NAME, findings)?;
        if let Some(first) = self.0.get(&name) {
            let message = format!("the name {} is taken, at line {}", echo(&name), first.line);
            return field.bad_value(message, "give it another name", findings);
        }
        self.0.insert(name.clone(), field.node.at);
        Some(name)
    }
}

fn read_suite(field: &Field<'_>, names: &mut Names, findings: &mut Collector) -> Option<TestSuite> {
    let fields = Fields::of(field, &["name", "cases"], findings)?;
    let name = names.read(&fields, findings);
    let cases = fields.required("cases", findings).and_then(|field| read_cases(&field, findings));
    Some(TestSuite { name: name?, cases: cases? })
}

fn read_cases(field: &Field<'_>, findings: &mut Collector) -> Option<Vec<TestCase>> {
    let items = field.items("a list of cases", MAX_CASES, findings)?;
    if items.is_empty() {
        let message = "a list of cases needs at least one".to_owned();
        return field.bad_value(message, "add a case, or remove the list", findings);
    }
    let mut names = Names::default();
    let cases: Vec<TestCase> = items
        .iter()
        .enumerate()
        .filter_map(|(index, node)| read_named_case(&field.item(index, node), &mut names, findings))
        .collect();
    (cases.len() == items.len()).then_some(cases)
}

fn read_case(field: &Field<'_>, findings: &mut Collector) -> Option<TestCase> {
    read_named_case(field, &mut Names::default(), findings)
}

fn read_named_case(field: &Field<'_>, names: &mut Names, findings: &mut Collector) -> Option<TestCase> {
    let fields = Fields::of(field, &["name", "input", "upstream_response", "expected"], findings)?;
    let name = names.read(&fields, findings);
    let input = fields.required("input", findings).and_then(|input| read_input(&input, findings));
    let upstream_response = match fields.get("upstream_response") {
        Some(field) => read_upstream_response(&field, findings),
        None => Some(None),
    };
    let expected = fields.required("expected", findings).and_then(|field| read_expected(&field, findings));
    let Input { messages, model, headers } = input?;
    Some(TestCase {
        name: name?,
        at: field.node.at,
        messages,
        model,
        headers,
        upstream_response: upstream_response?,
        expected: expected?,
    })
}

/// What a case sends.
struct Input {
    messages: String,
    model: Option<String>,
    headers: BTreeMap<String, String>,
}

fn read_input(field: &Field<'_>, findings: &mut Collector) -> Option<Input> {
    let fields = Fields::of(field, &["messages", "model", "headers"], findings)?;
    let messages = fields.required("messages", findings).and_then(|field| read_messages(&field, findings));
    let model = match fields.get("model") {
        Some(field) => field.bounded_text(MAX_NAME, findings).map(Some),
        None => Some(None),
    };
    let headers = fields.get("headers").map_or(Some(BTreeMap::new()), |field| read_headers(&field, findings));
    Some(Input { messages: messages?, model: model?, headers: headers? })
}

fn read_headers(field: &Field<'_>, findings: &mut Collector) -> Option<BTreeMap<String, String>> {
    let entries = field.entries("a mapping from header to text", findings)?;
    if entries.len() > MAX_HEADERS {
        let message = format!("`{}` has {} headers; the limit is {MAX_HEADERS}", field.path, entries.len());
        return field.bad_value(message, "shorten it", findings);
    }
    let mut headers = BTreeMap::new();
    for entry in entries {
        let value = Field { path: join(&field.path, &path_key(&entry.key)), node: &entry.value };
        let name = header_name(&value, &entry.key, findings);
        if let (Some(text), Some(name)) = (value.bounded_text(MAX_NAME, findings), name) {
            headers.insert(name, text);
        }
    }
    (headers.len() == entries.len()).then_some(headers)
}

/// What a gateway asks of messages; all else in them is the provider's business.
fn read_messages(field: &Field<'_>, findings: &mut Collector) -> Option<String> {
    let items = field.items("a list of messages", MAX_MESSAGES, findings)?;
    if items.is_empty() {
        let message = format!("`{}` needs at least one message", field.path);
        return field.bad_value(message, "write {role: user, content: …}", findings);
    }
    let good = items
        .iter()
        .enumerate()
        .filter(|(index, node)| check_message(&field.item(*index, node), findings).is_some())
        .count();
    let json = json::of(field, findings)?;
    (good == items.len()).then_some(json)
}

fn check_message(field: &Field<'_>, findings: &mut Collector) -> Option<()> {
    let fields = Fields::open(field, findings)?;
    let role = fields.required("role", findings).and_then(|field| field.text(findings));
    if let Some(content) = fields.get("content") {
        check_content(&content, findings)?;
    }
    role.map(drop)
}

fn check_content(field: &Field<'_>, findings: &mut Collector) -> Option<()> {
    match &field.node.kind {
        NodeKind::Sequence(_) => Some(()),
        NodeKind::Scalar(scalar) if scalar.meaning() == Meaning::Null => Some(()),
        NodeKind::Scalar(_) => field.text(findings).map(drop),
        NodeKind::Mapping(_) => field.wrong_type("text, a list of parts or null", findings),
    }
}

fn read_upstream_response(field: &Field<'_>, findings: &mut Collector) -> Option<Option<UpstreamResponse>> {
    match &field.node.kind {
        NodeKind::Mapping(_) => json::of(field, findings).map(|json| Some(UpstreamResponse::Answer(json))),
        NodeKind::Scalar(scalar) if scalar.meaning() == Meaning::Null => Some(None),
        NodeKind::Scalar(_) => field.text(findings).map(|text| Some(UpstreamResponse::Text(text))),
        NodeKind::Sequence(_) => {
            field.wrong_type("the text of the answer, or the whole answer as a mapping", findings)
        }
    }
}

fn read_expected(field: &Field<'_>, findings: &mut Collector) -> Option<Expected> {
    let choices: Vec<(&str, ExpectedVerdict)> =
        ExpectedVerdict::ALL.iter().map(|verdict| (verdict.as_str(), *verdict)).collect();
    let fields = Fields::of(field, &["verdict", "reason_code"], findings)?;
    let verdict = fields.required("verdict", findings).and_then(|field| field.choice(&choices, findings));
    let reason_code = match fields.get("reason_code") {
        None => Some(ExpectedReason::Any),
        Some(field) if field.is_null() => Some(ExpectedReason::None),
        Some(field) => field.bounded_text(MAX_NAME, findings).map(ExpectedReason::Code),
    };
    Some(Expected { verdict: verdict?, reason_code: reason_code? })
}

// === impl Field ===

impl Field<'_> {
    fn is_null(&self) -> bool {
        self.node.as_scalar().is_some_and(|scalar| scalar.meaning() == Meaning::Null)
    }
}
