//! The texts of the choices that are not whole yet, by where in a choice they stand.

use std::collections::BTreeMap;

use crate::json::{Document, Shape, Span, Value, encode};
use crate::text::is_text;

/// Texts held back, by choice.
#[derive(Debug, Default)]
pub(super) struct Held {
    choices: BTreeMap<u64, BTreeMap<Path, String>>,
    bytes: usize,
    /// `id`, `created`, `model`, … of the last chunk, as they were spelled.
    head: Vec<(&'static str, String)>,
}

/// What was taken out of one chunk.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The strings that were taken, and what stands there now.
    pub(super) emptied: Vec<(Span, String)>,
    /// The choices that this chunk ends.
    pub(super) finished: Vec<u64>,
    /// Something is left that a client needs.
    pub(super) carries_more: bool,
}

/// From a choice down to a string.
type Path = Vec<Step>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Key(String),
    /// Of an array: its `index`, or else its position.
    Item(u64),
}

/// What a chunk says about its stream; a chunk made here says the same.
const HEAD: &[&str] = &["id", "created", "model", "system_fingerprint", "service_tier"];
/// Map and path of one field, roughly.
const FIELD_COST: usize = 128;

// === impl Held ===

impl Held {
    /// Moves the text of a chunk's choices here.
    pub(super) fn take(&mut self, document: &Document<'_>) -> Taken {
        let root = document.root();
        let mut taken = Taken::default();
        let choices = document.member(root, "choices").map(Value::items).unwrap_or_default();
        if !choices.is_empty() {
            self.head = HEAD.iter().filter_map(|key| Some((*key, spelled(document, root, key)?))).collect();
        }
        taken.carries_more =
            choices.is_empty() || document.member(root, "usage").is_some_and(|usage| !usage.is_null());
        for (at, choice) in choices.iter().enumerate() {
            let index = index_of(document, choice).unwrap_or(at as u64);
            self.take_choice(document, choice, index, &mut taken);
        }
        // a chunk without text is none of our business
        taken.carries_more |= taken.emptied.is_empty();
        taken
    }

    /// The choices that have text here, in order.
    pub(super) fn choices(&self) -> Vec<u64> {
        self.choices.keys().copied().collect()
    }

    /// The text of a choice as chunks, one for each field, in the order of their names.
    pub(super) fn release(&mut self, choice: u64) -> Vec<String> {
        let fields = self.choices.remove(&choice).unwrap_or_default();
        let freed: usize = fields.values().map(|text| text.len() + FIELD_COST).sum();
        self.bytes = self.bytes.saturating_sub(freed);
        fields.iter().map(|(path, text)| self.chunk(choice, path, text)).collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn take_choice(&mut self, document: &Document<'_>, choice: &Value, index: u64, taken: &mut Taken) {
        for member in choice.members() {
            match document.string(member.key).text() {
                // the latter two from providers that stream as if they did not
                key @ ("delta" | "message" | "text") => {
                    let mut path = vec![Step::Key(key.to_owned())];
                    self.take_strings(document, &member.value, key, index, &mut path, taken);
                }
                "finish_reason" if !member.value.is_null() => {
                    taken.finished.push(index);
                    taken.carries_more = true;
                }
                // tokens spell the text again
                "logprobs" if !member.value.is_null() => {
                    taken.emptied.push((member.value.span, "null".to_owned()));
                }
                "index" | "finish_reason" | "logprobs" => {}
                _ => taken.carries_more |= !member.value.is_null(),
            }
        }
    }

    fn take_strings(
        &mut self,
        document: &Document<'_>,
        value: &Value,
        key: &str,
        choice: u64,
        path: &mut Path,
        taken: &mut Taken,
    ) {
        match &value.shape {
            Shape::String => {
                let string = document.string(value.span);
                if !is_text(key) {
                    taken.carries_more |= !string.text().is_empty();
                } else if !string.text().is_empty() {
                    self.hold(choice, path, string.text());
                    taken.emptied.push((value.span, "\"\"".to_owned()));
                }
            }
            Shape::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    path.push(Step::Item(index_of(document, item).unwrap_or(at as u64)));
                    self.take_strings(document, item, key, choice, path, taken);
                    path.pop();
                }
            }
            Shape::Object(members) => {
                for member in members {
                    let key = document.string(member.key).into_text().into_owned();
                    path.push(Step::Key(key.clone()));
                    self.take_strings(document, &member.value, &key, choice, path, taken);
                    path.pop();
                }
            }
            Shape::Number | Shape::Bool(_) => taken.carries_more |= key != "index",
            Shape::Null => {}
        }
    }

    fn hold(&mut self, choice: u64, path: &Path, text: &str) {
        let fields = self.choices.entry(choice).or_default();
        self.bytes += text.len();
        match fields.get_mut(path) {
            Some(held) => held.push_str(text),
            None => {
                self.bytes += FIELD_COST;
                fields.insert(path.clone(), text.to_owned());
            }
        }
    }

    fn chunk(&self, choice: u64, path: &Path, text: &str) -> String {
        let head: String = self.head.iter().map(|(key, value)| format!("\"{key}\":{value},")).collect();
        let text = path.iter().rev().fold(format!("\"{}\"", encode(text)), |inner, step| match step {
            Step::Key(key) => format!("{{\"{}\":{inner}}}", encode(key)),
            Step::Item(index) => match inner.strip_prefix('{') {
                Some(members) => format!("[{{\"index\":{index},{members}]"),
                None => format!("[{inner}]"),
            },
        });
        // a path begins with a key, so this is an object: its one member is the choice's
        let field = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or("\"delta\":{}");
        format!(
            "{{{head}\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":{choice},{field},\"finish_reason\":null}}]}}"
        )
    }
}

fn index_of(document: &Document<'_>, value: &Value) -> Option<u64> {
    document.raw(document.member(value, "index")?.span).parse().ok()
}

fn spelled(document: &Document<'_>, root: &Value, key: &str) -> Option<String> {
    Some(document.raw(document.member(root, key)?.span).to_owned())
}
