//! Where an event of each endpoint carries a piece of a text that flows over many events, and which texts it ends.

use std::collections::BTreeSet;

use super::key::{Key, Step};
use crate::endpoint::Endpoint;
use crate::json::{Document, Shape, Span, Value};
use crate::text::{is_text, no_tokens};

/// What one event holds of flowing texts.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Where a string goes on with which text; empty strings too.
    pub(super) pieces: Vec<(Key, Span)>,
    pub(super) ends: Ends,
    /// Tokens that spell texts again, and what stands in their place.
    pub(super) tokens: Vec<(Span, &'static str)>,
    /// Without its text the event says nothing.
    pub(super) is_text_only: bool,
}

/// The texts that an event ends.
#[derive(Debug, Default)]
pub(super) enum Ends {
    #[default]
    None,
    All,
    Choices(BTreeSet<u64>),
    /// Those of `responses` that agree with each of these.
    Places(Vec<(&'static str, u64)>),
    Block(u64),
}

/// By which an event of `responses` says where its text belongs.
const PLACES: &[&str] = &["output_index", "content_index", "summary_index"];

// === impl Fields ===

impl Fields {
    pub(super) fn read(endpoint: Endpoint, document: &Document<'_>) -> Self {
        let mut fields = Self::default();
        match endpoint {
            Endpoint::ChatCompletions | Endpoint::Completions => fields.read_chunk(document),
            Endpoint::Responses => fields.read_responses(document),
            Endpoint::Messages => fields.read_messages(document),
            Endpoint::Embeddings => {}
        }
        fields
    }

    fn read_chunk(&mut self, document: &Document<'_>) {
        let root = document.root();
        let choices = document.member(root, "choices").map(Value::items).unwrap_or_default();
        let usage = document.member(root, "usage").is_some_and(|usage| !usage.is_null());
        self.is_text_only = !choices.is_empty() && !usage;
        let mut finished = BTreeSet::new();
        for (at, choice) in choices.iter().enumerate() {
            let index = index_of(document, choice).unwrap_or(at as u64);
            for member in choice.members() {
                match document.string(member.key).text() {
                    // the latter two from providers that stream as if they did not, and of `completions`
                    key @ ("delta" | "message" | "text") => {
                        let mut path = vec![Step::Key(key.to_owned())];
                        self.read_strings(document, &member.value, key, index, &mut path);
                    }
                    "finish_reason" if !member.value.is_null() => {
                        finished.insert(index);
                        self.is_text_only = false;
                    }
                    "logprobs" => self.tokens.extend(no_tokens(&member.value)),
                    "index" | "finish_reason" => {}
                    _ => self.is_text_only &= member.value.is_null(),
                }
            }
        }
        if !finished.is_empty() {
            self.ends = Ends::Choices(finished);
        }
    }

    fn read_strings(
        &mut self,
        document: &Document<'_>,
        value: &Value,
        key: &str,
        choice: u64,
        path: &mut Vec<Step>,
    ) {
        match &value.shape {
            Shape::String if is_text(key) => {
                self.pieces.push((Key::Choice(choice, path.clone()), value.span));
            }
            Shape::String => self.is_text_only &= document.string(value.span).text().is_empty(),
            Shape::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Item(index_of(document, item).unwrap_or(at as u64)));
                    self.read_strings(document, item, key, choice, path);
                    path.pop();
                }
            }
            Shape::Object(members) => {
                for member in members {
                    let key = document.string(member.key).into_text().into_owned();
                    path.push(Step::Key(key.clone()));
                    self.read_strings(document, &member.value, &key, choice, path);
                    path.pop();
                }
            }
            Shape::Number | Shape::Bool(_) => self.is_text_only &= key == "index",
            Shape::Null => {}
        }
    }

    /// Their events are numbered without gaps, so none is left out.
    fn read_responses(&mut self, document: &Document<'_>) {
        let root = document.root();
        let Some(kind) = document.member_text(root, "type") else { return };
        let place = |key: &&'static str| Some((*key, number(document, root, key)?));
        let places = || PLACES.iter().filter_map(place).collect::<Vec<_>>();
        let delta = document.member(root, "delta").filter(|delta| delta.is_string());
        match (kind.as_ref(), delta) {
            // base64
            ("response.audio.delta" | "response.output_audio.delta", _) => {}
            (kind, Some(delta)) if kind.ends_with(".delta") => {
                let item = document.member(root, "item_id").map(|item| document.raw(item.span).to_owned());
                let key = Key::Delta { kind: kind.to_owned(), item, places: places() };
                self.pieces.push((key, delta.span));
            }
            ("response.completed" | "response.incomplete" | "response.failed" | "error", _) => {
                self.ends = Ends::All;
            }
            (kind, _) if kind.ends_with(".done") => self.ends = Ends::Places(places()),
            _ => {}
        }
        if memchr::memmem::find(document.source().as_bytes(), b"logprobs").is_some() {
            self.read_tokens(document, root);
        }
    }

    fn read_tokens(&mut self, document: &Document<'_>, value: &Value) {
        value.items().iter().for_each(|item| self.read_tokens(document, item));
        for member in value.members() {
            if document.string(member.key).text() == "logprobs" {
                self.tokens.extend(no_tokens(&member.value));
            } else {
                self.read_tokens(document, &member.value);
            }
        }
    }

    fn read_messages(&mut self, document: &Document<'_>) {
        let root = document.root();
        let Some(kind) = document.member_text(root, "type") else { return };
        let index = number(document, root, "index").unwrap_or(0);
        match kind.as_ref() {
            "content_block_start" => {
                document.member(root, "content_block").map(|block| self.read_block(document, block, index));
            }
            "content_block_delta" => {
                self.is_text_only = document
                    .member(root, "delta")
                    .is_some_and(|delta| self.read_block(document, delta, index));
            }
            "content_block_stop" => self.ends = Ends::Block(index),
            "message_start" | "message_delta" | "message_stop" | "error" => self.ends = Ends::All,
            _ => {}
        }
    }

    /// True: there is nothing else in it.
    fn read_block(&mut self, document: &Document<'_>, block: &Value, index: u64) -> bool {
        let mut only = true;
        for member in block.members() {
            let field = match document.string(member.key).text() {
                "text" => "text",
                "partial_json" => "partial_json",
                "thinking" => "thinking",
                key => {
                    only &= key == "type";
                    continue;
                }
            };
            if member.value.is_string() {
                self.pieces.push((Key::Block(index, field), member.value.span));
            }
        }
        only
    }
}

// === impl Ends ===

impl Ends {
    pub(super) fn end(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::All, _) => true,
            (Self::Choices(ended), Key::Choice(choice, _)) => ended.contains(choice),
            (Self::Block(ended), Key::Block(block, _)) => ended == block,
            (Self::Places(ended), Key::Delta { places, .. }) => {
                let agrees = |(name, at): &(&str, u64)| {
                    places.iter().all(|(other, place)| other != name || place == at)
                };
                ended.iter().all(agrees)
            }
            _ => false,
        }
    }
}

fn index_of(document: &Document<'_>, value: &Value) -> Option<u64> {
    number(document, value, "index")
}

fn number(document: &Document<'_>, value: &Value, key: &str) -> Option<u64> {
    document.raw(document.member(value, key)?.span).parse().ok()
}
