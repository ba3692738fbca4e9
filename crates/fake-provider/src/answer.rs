//! The bodies of a chat completion, whole and in chunks. Pure.

use serde_json::{Value, json};

use crate::script::Script;

/// What one chat completion says.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    id: String,
    created: i64,
    model: String,
    words: String,
    prompt_words: usize,
    with_usage_chunk: bool,
}

// === impl Answer ===

impl Answer {
    pub(crate) fn to(request: &Value, script: &Script, number: u64, created: i64) -> Self {
        let said = last_user_text(request);
        Self {
            id: format!("chatcmpl-fake-{number}"),
            created,
            model: request.get("model").and_then(Value::as_str).unwrap_or("fake").to_owned(),
            words: script.reply.clone().unwrap_or_else(|| format!("You said: {said}")),
            prompt_words: said.split_whitespace().count(),
            with_usage_chunk: request.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        }
    }

    pub(crate) fn whole(&self) -> Value {
        let choice = json!({
            "index": 0,
            "message": {"role": "assistant", "content": self.words, "refusal": null},
            "logprobs": null,
            "finish_reason": "stop",
        });
        let mut body = self.head("chat.completion");
        insert(&mut body, "choices", json!([choice]));
        insert(&mut body, "usage", self.usage());
        body
    }

    /// The data of each event, in order, `[DONE]` included: role, text, end, usage where asked for.
    pub(crate) fn events(&self, chunks: usize) -> Vec<String> {
        let mut events = vec![self.chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        let pieces = cut(&self.words, chunks);
        events.extend(pieces.into_iter().map(|piece| self.chunk(json!({"content": piece}), Value::Null)));
        events.push(self.chunk(json!({}), json!("stop")));
        if self.with_usage_chunk {
            let mut usage = self.head("chat.completion.chunk");
            insert(&mut usage, "choices", json!([]));
            insert(&mut usage, "usage", self.usage());
            events.push(usage.to_string());
        }
        events.push("[DONE]".to_owned());
        events
    }

    fn chunk(&self, delta: Value, finish_reason: Value) -> String {
        let mut chunk = self.head("chat.completion.chunk");
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        insert(&mut chunk, "choices", json!([choice]));
        chunk.to_string()
    }

    fn head(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model})
    }

    /// Words stand in for tokens.
    fn usage(&self) -> Value {
        let said = self.words.split_whitespace().count();
        json!({"prompt_tokens": self.prompt_words, "completion_tokens": said, "total_tokens": self.prompt_words + said})
    }
}

/// An error body as OpenAI writes it.
pub(crate) fn error(kind: &str, code: &str, message: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

pub(crate) fn models() -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "fake-provider"});
    json!({"object": "list", "data": [model("fake"), model("fake-slow"), model("fake-error"), model("fake-hang")]})
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}

fn last_user_text(request: &Value) -> String {
    let messages = request.get("messages").and_then(Value::as_array);
    let said =
        messages.into_iter().flatten().rev().find(|message| message.get("role") == Some(&json!("user")));
    match said.and_then(|message| message.get("content")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            parts.iter().filter_map(|part| part.get("text")?.as_str()).collect::<Vec<_>>().join(" ")
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
mod tests {
    use super::*;

    #[test]
    fn a_stream_says_what_the_whole_answer_says() {
        let request = json!({"model": "m", "messages": [
            {"role": "user", "content": [{"type": "text", "text": "grüße 😀 and more"}]}, {"role": "tool", "content": "x"}]});
        let answer = Answer::to(&request, &Script::default(), 1, 0);
        let whole = answer.whole();
        let content = whole.pointer("/choices/0/message/content").unwrap().as_str().unwrap();
        assert_eq!(content, "You said: grüße 😀 and more");
        let events = answer.events(7);
        let streamed: String = events
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok())
            .filter_map(|event| Some(event.pointer("/choices/0/delta/content")?.as_str()?.to_owned()))
            .collect();
        assert_eq!(streamed, content);
        assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    }
}
