//! `chat/completions`.

use serde_json::{Value, json};

use super::{Answer, Call, cut, data};

pub(super) fn whole(answer: &Answer) -> Value {
    let (message, finish_reason) = match answer.calls.as_slice() {
        [] => (json!({"role": "assistant", "content": answer.words, "refusal": null}), "stop"),
        calls => {
            let calls: Vec<Value> = calls.iter().map(called).collect();
            (
                json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls}),
                "tool_calls",
            )
        }
    };
    json!({
        "id": id(answer), "object": "chat.completion", "created": answer.created, "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": usage(answer),
    })
}

/// Role, text or calls one by one, end, usage where asked for, `[DONE]`.
pub(super) fn events(answer: &Answer, chunks: usize) -> Vec<String> {
    let nothing = Value::Null;
    let mut events = vec![chunk(answer, &json!({"role": "assistant", "content": ""}), &nothing)];
    for call in &answer.calls {
        let mut opened = called(call);
        set(&mut opened, "index", json!(call.number));
        if let Some(function) = opened.get_mut("function") {
            set(function, "arguments", json!(""));
        }
        events.push(chunk(answer, &json!({"tool_calls": [opened]}), &nothing));
        for piece in cut(&call.arguments, chunks) {
            let more = json!({"tool_calls": [{"index": call.number, "function": {"arguments": piece}}]});
            events.push(chunk(answer, &more, &nothing));
        }
    }
    if answer.calls.is_empty() {
        let pieces = cut(&answer.words, chunks);
        events.extend(pieces.into_iter().map(|piece| chunk(answer, &json!({"content": piece}), &nothing)));
    }
    let reason = if answer.calls.is_empty() { "stop" } else { "tool_calls" };
    events.push(chunk(answer, &json!({}), &json!(reason)));
    if answer.with_usage_chunk {
        let mut usage_chunk = head(answer);
        set(&mut usage_chunk, "choices", json!([]));
        set(&mut usage_chunk, "usage", usage(answer));
        events.push(data(&usage_chunk));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn called(call: &Call) -> Value {
    let id = format!("call_fake_{}", call.number);
    json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

fn chunk(answer: &Answer, delta: &Value, finish_reason: &Value) -> String {
    let mut chunk = head(answer);
    let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
    set(&mut chunk, "choices", json!([choice]));
    data(&chunk)
}

fn head(answer: &Answer) -> Value {
    json!({
        "id": id(answer), "object": "chat.completion.chunk", "created": answer.created, "model": answer.model,
    })
}

fn id(answer: &Answer) -> String {
    format!("chatcmpl-fake-{}", answer.number)
}

pub(super) fn usage(answer: &Answer) -> Value {
    let (asked, said) = (answer.prompt_words, answer.output_tokens());
    json!({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said})
}

pub(super) fn set(object: &mut Value, key: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
}
