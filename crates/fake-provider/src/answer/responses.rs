//! `responses`: a message, or an output item for each call of a function; what is streamed is said again whole by the events
//! that end it.

use serde_json::{Value, json};

use super::chat::set;
use super::{Answer, Call, cut, named};

pub(super) fn whole(answer: &Answer) -> Value {
    let output: Vec<Value> = match answer.calls.as_slice() {
        [] => vec![message(answer, &answer.words, "completed")],
        calls => calls.iter().map(|call| called(answer, call, &call.arguments, "completed")).collect(),
    };
    let (asked, said) = (answer.prompt_words, answer.output_tokens());
    let usage = json!({
        "input_tokens": asked, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": asked + said,
    });
    let mut response = begun(answer);
    set(&mut response, "status", json!("completed"));
    set(&mut response, "output", json!(output));
    set(&mut response, "usage", usage);
    response
}

pub(super) fn events(answer: &Answer, chunks: usize) -> Vec<String> {
    let mut events = vec![
        json!({"type": "response.created", "response": begun(answer)}),
        json!({"type": "response.in_progress", "response": begun(answer)}),
    ];
    for call in &answer.calls {
        let (at, item, place) = (call.number, call_id(answer, call), "response.function_call_arguments");
        let opened = called(answer, call, "", "in_progress");
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": opened}));
        for piece in cut(&call.arguments, chunks) {
            events.push(json!({"type": format!("{place}.delta"), "item_id": item, "output_index": at, "delta": piece}));
        }
        events.push(json!({
            "type": format!("{place}.done"), "item_id": item, "output_index": at, "name": call.name,
            "arguments": call.arguments,
        }));
        let done = called(answer, call, &call.arguments, "completed");
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": done}));
    }
    if answer.calls.is_empty() {
        let opened = json!({
            "type": "message", "id": item_id(answer), "status": "in_progress", "role": "assistant", "content": [],
        });
        events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": opened}));
        events.push(of_part(answer, "response.content_part.added", &json!({"part": part("")})));
        for piece in cut(&answer.words, chunks) {
            let delta = json!({"delta": piece, "logprobs": []});
            events.push(of_part(answer, "response.output_text.delta", &delta));
        }
        let done = json!({"text": answer.words, "logprobs": []});
        events.push(of_part(answer, "response.output_text.done", &done));
        events.push(of_part(answer, "response.content_part.done", &json!({"part": part(&answer.words)})));
        let whole = message(answer, &answer.words, "completed");
        events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": whole}));
    }
    events.push(json!({"type": "response.completed", "response": whole(answer)}));
    let numbered = events.into_iter().enumerate().map(|(number, mut event)| {
        set(&mut event, "sequence_number", json!(number));
        named(&event)
    });
    numbered.collect()
}

fn begun(answer: &Answer) -> Value {
    json!({
        "id": format!("resp_fake_{}", answer.number), "object": "response", "created_at": answer.created,
        "status": "in_progress", "error": null, "incomplete_details": null, "instructions": null, "model": answer.model,
        "output": [], "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "usage": null,
    })
}

fn message(answer: &Answer, words: &str, status: &str) -> Value {
    json!({
        "type": "message", "id": item_id(answer), "status": status, "role": "assistant", "content": [part(words)],
    })
}

fn called(answer: &Answer, call: &Call, arguments: &str, status: &str) -> Value {
    json!({
        "type": "function_call", "id": call_id(answer, call), "call_id": format!("call_fake_{}", call.number), "status": status, "name": call.name,
        "arguments": arguments,
    })
}

fn part(words: &str) -> Value {
    json!({"type": "output_text", "text": words, "annotations": [], "logprobs": []})
}

fn of_part(answer: &Answer, kind: &str, more: &Value) -> Value {
    let mut event = json!({"type": kind, "item_id": item_id(answer), "output_index": 0, "content_index": 0});
    for (key, value) in more.as_object().into_iter().flatten() {
        set(&mut event, key, value.clone());
    }
    event
}

fn call_id(answer: &Answer, call: &Call) -> String {
    format!("{}_{}", item_id(answer), call.number)
}

fn item_id(answer: &Answer) -> String {
    format!("item_fake_{}", answer.number)
}
