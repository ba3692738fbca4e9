//! What names a text that flows over many events, and the event that carries what was held of it.

use super::events::Event;
use crate::endpoint::Endpoint;
use crate::json::{Document, encode};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Of a choice, from it down to a string.
    Choice(u64, Vec<Step>),
    /// Of `responses`.
    Delta {
        /// `response.output_text.delta`
        kind: String,
        /// As it was spelled, quotes included.
        item: Option<String>,
        places: Vec<(&'static str, u64)>,
    },
    /// Of a content block of `messages`.
    Block(u64, &'static str),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    /// Of an array: its `index`, or else its position.
    Item(u64),
}

/// What the last chunk said about its stream, as it was spelled; a chunk made here says the same.
#[derive(Debug, Default)]
pub(super) struct Head {
    members: String,
}

const HEAD: &[&str] = &["id", "created", "model", "system_fingerprint", "service_tier"];

// === impl Head ===

impl Head {
    pub(super) fn read(&mut self, document: &Document<'_>) {
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

// === impl Key ===

impl Key {
    /// An event that goes on with this text; `number` is the next of the stream.
    pub(super) fn event(&self, endpoint: Endpoint, head: &Head, text: &str, number: u64) -> Event {
        let text = encode(text);
        match self {
            Self::Choice(choice, path) => {
                let object = match endpoint {
                    Endpoint::Completions => "text_completion",
                    _ => "chat.completion.chunk",
                };
                Event::of_data(chunk(object, head, *choice, path, &text).as_bytes())
            }
            Self::Delta { kind, item, places } => {
                let item = item.iter().map(|item| format!("\"item_id\":{item},"));
                let places = places.iter().map(|(key, at)| format!("\"{key}\":{at},"));
                let place: String = item.chain(places).collect();
                let kind = encode(kind);
                let data =
                    format!(r#"{{"type":"{kind}",{place}"delta":"{text}","sequence_number":{number}}}"#);
                Event::named(&kind, data.as_bytes())
            }
            Self::Block(index, field) => {
                let kind = match *field {
                    "partial_json" => "input_json_delta",
                    "thinking" => "thinking_delta",
                    _ => "text_delta",
                };
                let data = format!(
                    r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":"{kind}","{field}":"{text}"}}}}"#
                );
                Event::named("content_block_delta", data.as_bytes())
            }
        }
    }
}

fn chunk(object: &str, head: &Head, choice: u64, path: &[Step], text: &str) -> String {
    let text = path.iter().rev().fold(format!("\"{text}\""), |inner, step| match step {
        Step::Key(key) => format!("{{\"{}\":{inner}}}", encode(key)),
        Step::Item(index) => match inner.strip_prefix('{') {
            Some(members) => format!("[{{\"index\":{index},{members}]"),
            None => format!("[{inner}]"),
        },
    });
    // a path begins with a key, so this is an object: its one member is the choice's
    let field = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("\"delta\":{}");
    format!(
        "{{{}\"object\":\"{object}\",\"choices\":[{{\"index\":{choice},{field},\"finish_reason\":null}}]}}",
        head.members
    )
}
