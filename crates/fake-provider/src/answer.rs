//! What is said in answer to one request, in the shape of the API it was asked in: whole, or as the events of a stream.

mod chat;
mod completions;
mod embeddings;
mod messages;
mod responses;

use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::script::{Script, ToolCall};

/// An answer before it has a shape.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    number: u64,
    created: i64,
    model: String,
    words: String,
    /// Tools to call instead of saying the words.
    calls: Vec<Call>,
    prompt_words: usize,
    with_usage_chunk: bool,
    /// Of `embeddings`: how many texts were given.
    inputs: usize,
}

#[derive(Debug, Clone)]
struct Call {
    /// Its place in the answer.
    number: usize,
    name: String,
    /// A JSON object, as text.
    arguments: String,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn to(dialect: Dialect, request: &Value, script: &Script, number: u64, created: i64) -> Self {
        let said = last_words(dialect, request);
        let call = |(number, call): (usize, &ToolCall)| Call {
            number,
            name: call.name.clone(),
            arguments: call.arguments.to_string(),
        };
        Self {
            number,
            created,
            model: request.get("model").and_then(Value::as_str).unwrap_or("fake").to_owned(),
            words: script.reply.clone().unwrap_or_else(|| format!("You said: {said}")),
            calls: script.calls.iter().enumerate().map(call).collect(),
            prompt_words: said.split_whitespace().count(),
            with_usage_chunk: request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
            inputs: request.get("input").and_then(Value::as_array).map_or(1, Vec::len),
        }
    }

    pub(crate) fn whole(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Chat => chat::whole(self),
            Dialect::Completions => completions::whole(self),
            Dialect::Embeddings => embeddings::whole(self),
            Dialect::Responses => responses::whole(self),
            Dialect::Messages => messages::whole(self),
        }
    }

    /// The events of a stream as they stand on the wire, in order, to its end.
    pub(crate) fn events(&self, dialect: Dialect, chunks: usize) -> Vec<String> {
        match dialect {
            Dialect::Chat => chat::events(self, chunks),
            Dialect::Completions => completions::events(self, chunks),
            // They have no stream.
            Dialect::Embeddings => vec![data(&embeddings::whole(self))],
            Dialect::Responses => responses::events(self, chunks),
            Dialect::Messages => messages::events(self, chunks),
        }
    }

    /// Words stand in for tokens.
    fn output_tokens(&self) -> usize {
        let words = |text: &str| text.split_whitespace().count();
        match self.calls.as_slice() {
            [] => words(&self.words),
            calls => calls.iter().map(|call| words(&call.arguments)).sum(),
        }
    }
}

/// An error body as the API writes it.
pub(crate) fn error(dialect: Option<Dialect>, kind: &str, code: &str, message: &str) -> Value {
    match dialect {
        Some(Dialect::Messages) => json!({"type": "error", "error": {"type": kind, "message": message}}),
        _ => json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    }
}

pub(crate) fn models() -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "fake-provider"});
    json!({"object": "list", "data": [model("fake"), model("fake-slow"), model("fake-error"), model("fake-hang")]})
}

fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// An event that has a name, which its data repeat.
fn named(value: &Value) -> String {
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
    format!("event: {name}\ndata: {value}\n\n")
}

/// What the user said last, wherever this API puts it.
fn last_words(dialect: Dialect, request: &Value) -> String {
    let of = |key: &str| request.get(key);
    match dialect {
        Dialect::Chat | Dialect::Messages => last_of_role(of("messages"), "content"),
        Dialect::Completions => text_of(of("prompt")),
        Dialect::Embeddings => text_of(of("input")),
        Dialect::Responses => match of("input") {
            Some(Value::Array(_)) => last_of_role(of("input"), "content"),
            input => text_of(input),
        },
    }
}

fn last_of_role(messages: Option<&Value>, key: &str) -> String {
    let mut messages = messages.and_then(Value::as_array).into_iter().flatten().rev();
    let said = messages.find(|message| message.get("role") == Some(&json!("user")));
    text_of(said.and_then(|message| message.get(key)))
}

/// A text, or the texts of its parts.
fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let text = |part: &Value| Some(part.as_str().or_else(|| part.get("text")?.as_str())?.to_owned());
            parts.iter().filter_map(text).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}

/// About equal pieces, between characters; never more than there are characters.
fn cut(text: &str, pieces: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let length = characters.len().div_ceil(pieces.max(1)).max(1);
    characters.chunks(length).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests;
