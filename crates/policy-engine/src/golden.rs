//! Golden files: strict JSON, as a provider must read it, becomes the tree that the schema of cases is read from.

use policy_config::document::{MAX_NODES, MAX_SOURCE_BYTES};
use policy_config::lint::rules::{self, Rule};
use policy_config::location::Location;
use policy_config::schema::TestCase;
use policy_config::tree::{Entry, Node, NodeKind, Scalar};
use policy_config::{Finding, LintReport, golden};

use crate::json::{Document, JsonError, Member, Shape, Value};

/// What a golden file looks like, for files that hold something else.
const OUTLINE: &str = r#"write {"name": …, "input": {"messages": […]}, "expected": {"verdict": …}}"#;

/// Every case of a golden file, or every finding about it; none repeats a value that may be a secret.
pub fn read_golden(source: &[u8]) -> (Option<Vec<TestCase>>, LintReport) {
    match tree(source) {
        Ok(root) => golden::cases(&root),
        Err(finding) => (None, LintReport { findings: vec![*finding] }),
    }
}

fn tree(source: &[u8]) -> Result<Node, Box<Finding>> {
    let whole_file = Location::default();
    if source.len() > MAX_SOURCE_BYTES {
        let message = format!("the file has more than {MAX_SOURCE_BYTES} bytes (256 KiB)");
        return Err(finding(rules::FILE_TOO_BIG, whole_file, message, "split it into several files"));
    }
    // editors of some systems put a byte order mark there
    let source = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source);
    if source.trim_ascii().is_empty() {
        return Err(finding(rules::EMPTY_FILE, whole_file, "the file is empty".to_owned(), OUTLINE));
    }
    let document = Document::parse(source).map_err(|error| refusal(source, &error))?;
    let mut walk = Walk { document: &document, at: 0, location: Location { line: 1, column: 1 }, nodes: 0 };
    walk.node(document.root())
}

/// Goes through a document in the order of its bytes, so that places cost one look at each of them.
struct Walk<'d> {
    document: &'d Document<'d>,
    at: usize,
    location: Location,
    nodes: usize,
}

// === impl Walk ===

impl Walk<'_> {
    fn node(&mut self, value: &Value) -> Result<Node, Box<Finding>> {
        let at = self.place(value.span.start);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("the file has more than {MAX_NODES} keys and values");
            return Err(finding(rules::TOO_MANY_NODES, at, message, "split it into several files"));
        }
        let kind = match &value.shape {
            Shape::Null | Shape::Bool(_) | Shape::Number => {
                let text = self.document.raw(value.span).to_owned();
                NodeKind::Scalar(Scalar { text, plain: true })
            }
            Shape::String => {
                let text = self.document.string(value.span).into_text().into_owned();
                NodeKind::Scalar(Scalar { text, plain: false })
            }
            Shape::Array(items) => {
                NodeKind::Sequence(items.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?)
            }
            Shape::Object(members) => {
                NodeKind::Mapping(members.iter().map(|member| self.entry(member)).collect::<Result<_, _>>()?)
            }
        };
        Ok(Node { at, kind })
    }

    fn entry(&mut self, member: &Member) -> Result<Entry, Box<Finding>> {
        let key_at = self.place(member.key.start);
        self.nodes += 1;
        let key = self.document.string(member.key).into_text().into_owned();
        Ok(Entry { key, key_at, value: self.node(&member.value)? })
    }

    fn place(&mut self, offset: usize) -> Location {
        let passed = self.document.source().get(self.at..offset).unwrap_or_default();
        self.location = advance(self.location, passed);
        self.at = offset;
        self.location
    }
}

fn refusal(source: &[u8], error: &JsonError) -> Box<Finding> {
    let (rule, offset, suggestion) = match error {
        JsonError::NotUtf8 { offset } => (rules::NOT_UTF8, Some(*offset), "save the file as UTF-8"),
        JsonError::DuplicateKey { offset, .. } => {
            (rules::DUPLICATE_KEY, Some(*offset), "keep one of the two")
        }
        JsonError::Syntax { offset, .. } => {
            (rules::NOT_JSON, Some(*offset), "JSON has no comments and no comma after the last item")
        }
        JsonError::LoneSurrogate { offset } => (rules::NOT_JSON, Some(*offset), "write both halves of it"),
        JsonError::TooDeep { offset } => (rules::TOO_DEEP, Some(*offset), "check for stray brackets"),
        JsonError::TooManyValues => (rules::TOO_MANY_NODES, None, "split it into several files"),
    };
    let before = offset.and_then(|offset| std::str::from_utf8(source.get(..offset)?).ok());
    let at = before.map(|text| advance(Location { line: 1, column: 1 }, text)).unwrap_or_default();
    finding(rule, at, error.unquoted(), suggestion)
}

/// The place behind `text` that begins at `from`.
fn advance(from: Location, text: &str) -> Location {
    text.chars().fold(from, |at, c| match c {
        '\n' => Location { line: at.line.saturating_add(1), column: 1 },
        _ => Location { line: at.line, column: at.column.saturating_add(1) },
    })
}

fn finding(rule: Rule, location: Location, message: String, suggestion: &str) -> Box<Finding> {
    Box::new(Finding {
        code: rule.code.to_owned(),
        severity: rule.severity,
        path: String::new(),
        location,
        message,
        suggestion: suggestion.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use policy_config::schema::{ExpectedReason, ExpectedVerdict, UpstreamResponse};

    use super::*;

    #[test]
    fn a_file_holds_one_case_or_a_list_of_them() {
        let one = r#"{"name": "a", "input": {"messages": [{"role": "user", "content": "\ud83d\ude00 \u202e"}]},
            "upstream_response": {"choices": []}, "expected": {"verdict": "block", "reason_code": "pii.detected"}}"#;
        let (cases, report) = read_golden(one.as_bytes());
        let cases = cases.unwrap_or_else(|| panic!("{report:?}"));
        let [case] = cases.as_slice() else { panic!("{cases:?}") };
        assert_eq!(case.messages, "[{\"role\":\"user\",\"content\":\"\u{1f600} \u{202e}\"}]");
        assert_eq!(case.upstream_response, Some(UpstreamResponse::Answer(r#"{"choices":[]}"#.to_owned())));
        assert_eq!(case.expected.verdict, ExpectedVerdict::Block);
        assert_eq!(case.expected.reason_code, ExpectedReason::Code("pii.detected".to_owned()));
        let another = one.replace("\"a\"", "\"b\"");
        let (cases, report) = read_golden(format!("\u{feff}[{one},\n{another}]").as_bytes());
        assert_eq!(cases.map(|cases| cases.len()), Some(2), "{report:?}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_without_values() {
        let case = r#"{"name": "a",
 "input": {"messages": [{"role": "user"}]},
 "expected": {"verdict": "allow"}}"#;
        assert!(read_golden(case.as_bytes()).0.is_some());
        for (edit, code, at, path, says) in [
            (("\"name\"", "\"nmae\""), "E002", (1, 2), "nmae", "did you mean `name`?"),
            (("\"a\"", "7"), "E005", (1, 10), "name", "text"),
            (("\"a\"", "\" \""), "E006", (1, 10), "name", "1 to 200"),
            (("[{\"role\": \"user\"}]", "[]"), "E006", (2, 24), "input.messages", "at least one"),
            (("\"role\"", "\"rôle\""), "E004", (2, 25), "input.messages[0].role", "required"),
            (
                ("\"user\"}", "\"user\", \"content\": 5}"),
                "E005",
                (2, 53),
                "input.messages[0].content",
                "text",
            ),
            (("messages", "mesages"), "E002", (2, 12), "input.mesages", "did you mean `messages`?"),
            (("\"allow\"", "\"alow\""), "E006", (3, 26), "expected.verdict", "did you mean `allow`?"),
            (("\"allow\"", "\"allow\", \"reason_code\": 3"), "E005", (3, 50), "expected.reason_code", "text"),
            (
                ("\"expected\"", "\"upstream_response\": [], \"expected\""),
                "E005",
                (3, 23),
                "upstream_response",
                "whole answer",
            ),
            (("\"a\",", "\"a\",,"), "E033", (1, 14), "", "expected a key"),
            (("{\"name\"", "{\"expected\": 1, \"name\""), "E025", (3, 2), "", "stands twice"),
        ] {
            let source = case.replacen(edit.0, edit.1, 1);
            let (cases, report) = read_golden(source.as_bytes());
            assert!(cases.is_none(), "{source}");
            let found = report.findings.iter().find(|finding| finding.code == code);
            let found = found.unwrap_or_else(|| panic!("{source}: {report:?}"));
            assert_eq!((found.location.line, found.location.column), at, "{source}: {report:?}");
            assert_eq!(found.path, path, "{source}");
            let said = format!("{} {}", found.message, found.suggestion);
            assert!(said.contains(says), "{source}: {said}");
        }
        for (source, code) in [
            (&b"\xef\xbb\xbf \n"[..], "E020"),
            (b"{\"name\": \"\xff hunter2\"}", "E022"),
            (b"\"hunter2\"", "E005"),
            (b"hunter2", "E033"),
            (b"{\"sk-hunter2hunter2\": 1}", "E002"),
            (b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "E029"),
        ] {
            let (cases, report) = read_golden(source);
            assert!(cases.is_none() && report.findings.iter().any(|f| f.code == code), "{code}: {report:?}");
            assert!(!format!("{report:?}").contains("hunter2"), "{report:?}");
        }
        let many = format!("[{}]", vec!["0"; MAX_NODES].join(","));
        assert_eq!(read_golden(many.as_bytes()).1.findings[0].code, "E030");
        let big = vec![b' '; MAX_SOURCE_BYTES + 1];
        assert_eq!(read_golden(&big).1.findings[0].code, "E021");
    }
}
