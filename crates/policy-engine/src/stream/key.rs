//! What names a text that flows over many events, and the event that carries what was held of it.

use super::events::Event;
use crate::endpoint::Endpoint;
use crate::json::{Document, encode};

/// A string by its way down from where its text belongs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Of a choice.
    Choice(u64, Vec<Step>),
    /// Of `responses`, below `delta`.
    Delta {
        /// `response.output_text.delta`
        kind: String,
        /// As it was spelled, quotes included.
        item: Option<String>,
        places: Vec<(&'static str, u64)>,
        path: Vec<Step>,
    },
    /// Of a content block of `messages`, below `delta`.
    Block(u64, Vec<Step>),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    /// Of an array, by its `index`.
    Item(u64),
    /// Of an array whose items have none, by its position.
    At(u64),
}

/// What the last chunk said about its stream, as it was spelled; a chunk made here says the same.
#[derive(Debug, Default)]
pub(super) struct Head {
    members: String,
    /// Of the last delta of a content block: its `type`, as it was spelled.
    kind: String,
}

const HEAD: &[&str] = &["id", "created", "model", "system_fingerprint", "service_tier"];

// === impl Head ===

impl Head {
    pub(super) fn read(&mut self, document: &Document<'_>) {
        if let Some(kind) =
            document.member(document.root(), "delta").and_then(|delta| document.member(delta, "type"))
        {
            self.kind.clear();
            self.kind.push_str(document.raw(kind.span));
        }
        if document.member(document.root(), "choices").is_none() {
            return;
        }
        self.members.clear();
        for key in HEAD {
            if let Some(value) = document.member(document.root(), key) {
                for part in ["\"", key, "\":", document.raw(value.span), ","] {
                    self.members.push_str(part);
                }
            }
        }
    }
}

// === impl Step ===

impl Step {
    pub(super) fn key(key: &str) -> Self {
        Self::Key(key.to_owned())
    }

    fn name(&self) -> Option<&str> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }
}

// === impl Key ===

impl Key {
    /// An event that goes on with this text; `number` is the next of the stream.
    pub(super) fn event(&self, endpoint: Endpoint, head: &Head, text: &str, number: u64) -> Event {
        match self {
            Self::Choice(choice, path) => {
                let object = match endpoint {
                    Endpoint::Completions => "text_completion",
                    _ => "chat.completion.chunk",
                };
                Event::of_data(chunk(object, head, *choice, path, text).as_bytes())
            }
            Self::Delta { kind, item, places, path } => {
                let item = item.iter().map(|item| format!("\"item_id\":{item},"));
                let places = places.iter().map(|(key, at)| format!("\"{key}\":{at},"));
                let place: String = item.chain(places).collect();
                let (kind, delta) = (encode(kind), nested(path, text));
                let data =
                    format!(r#"{{"type":"{kind}",{place}"delta":{delta},"sequence_number":{number}}}"#);
                Event::named(&kind, data.as_bytes())
            }
            Self::Block(index, path) => {
                let kind = match path.as_slice() {
                    [Step::Key(field)] if field == "partial_json" => "\"input_json_delta\"",
                    [Step::Key(field)] if field == "thinking" => "\"thinking_delta\"",
                    [Step::Key(field)] if field == "text" => "\"text_delta\"",
                    _ => head.kind.as_str(),
                };
                let delta = match path.is_empty() {
                    true => nested(path, text),
                    false => with_member(&nested(path, text), "type", kind),
                };
                let data = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#);
                Event::named("content_block_delta", data.as_bytes())
            }
        }
    }
}

fn chunk(object: &str, head: &Head, choice: u64, path: &[Step], text: &str) -> String {
    let text = nested(path, text);
    // a path begins with a key, so this is an object: its one member is the choice's
    let field = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("\"delta\":{}");
    format!(
        "{{{}\"object\":\"{object}\",\"choices\":[{{\"index\":{choice},{field},\"finish_reason\":null}}]}}",
        head.members
    )
}

/// A text within all that leads down to it.
fn nested(path: &[Step], text: &str) -> String {
    let mut inner = format!("\"{}\"", encode(text));
    for (at, step) in path.iter().enumerate().rev() {
        let (above, below) = path.split_at_checked(at).unwrap_or_default();
        let kind = part_type(above.last().and_then(Step::name), below.get(1).and_then(Step::name));
        if let (Some(kind), Step::Item(_) | Step::At(_)) = (kind, step) {
            inner = with_member(&inner, "type", &format!("\"{}\"", encode(&kind)));
        }
        inner = match step {
            Step::Key(key) => format!("{{\"{}\":{inner}}}", encode(key)),
            Step::Item(index) => format!("[{}]", with_member(&inner, "index", &index.to_string())),
            Step::At(_) => format!("[{inner}]"),
        };
    }
    inner
}

/// The `type` of a part that has one, by where it stands and what it holds.
fn part_type(list: Option<&str>, field: Option<&str>) -> Option<String> {
    match (list?, field?) {
        ("reasoning_details", field) => Some(format!("reasoning.{field}")),
        ("content" | "thinking", field @ ("text" | "thinking" | "refusal")) => Some(field.to_owned()),
        _ => None,
    }
}

/// An object with one more member, first; what is none stays as it is.
fn with_member(object: &str, key: &str, value: &str) -> String {
    match object.strip_prefix('{').filter(|_| !value.is_empty()) {
        Some(members) => format!("{{\"{key}\":{value},{members}"),
        None => object.to_owned(),
    }
}
