//! Anthropic's `messages`.

use serde_json::{Value, json};

use super::chat::set;
use super::{Answer, cut, named};

pub(super) fn whole(answer: &Answer) -> Value {
    let block = match &answer.call {
        Some(call) => {
            let input: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
            json!({"type": "tool_use", "id": "toolu_fake", "name": call.name, "input": input})
        }
        None => json!({"type": "text", "text": answer.words}),
    };
    let mut message = begun(answer);
    set(&mut message, "content", json!([block]));
    set(&mut message, "stop_reason", json!(stop_reason(answer)));
    set(
        &mut message,
        "usage",
        json!({"input_tokens": answer.prompt_words, "output_tokens": answer.output_tokens()}),
    );
    message
}

pub(super) fn events(answer: &Answer, chunks: usize) -> Vec<String> {
    let (block, deltas): (Value, Vec<Value>) = match &answer.call {
        Some(call) => (
            json!({"type": "tool_use", "id": "toolu_fake", "name": call.name, "input": {}}),
            cut(&call.arguments, chunks)
                .into_iter()
                .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                .collect(),
        ),
        None => (
            json!({"type": "text", "text": ""}),
            cut(&answer.words, chunks)
                .into_iter()
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect(),
        ),
    };
    let mut events = vec![
        named(&json!({"type": "message_start", "message": begun(answer)})),
        named(&json!({"type": "content_block_start", "index": 0, "content_block": block})),
        named(&json!({"type": "ping"})),
    ];
    let delta = |delta| named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    events.extend(deltas.into_iter().map(delta));
    events.push(named(&json!({"type": "content_block_stop", "index": 0})));
    let ended = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let usage = json!({"output_tokens": answer.output_tokens()});
    events.push(named(&json!({"type": "message_delta", "delta": ended, "usage": usage})));
    events.push(named(&json!({"type": "message_stop"})));
    events
}

fn begun(answer: &Answer) -> Value {
    json!({
        "id": format!("msg_fake_{}", answer.number), "type": "message", "role": "assistant", "model": answer.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": answer.prompt_words, "output_tokens": 1},
    })
}

const fn stop_reason(answer: &Answer) -> &'static str {
    if answer.call.is_some() { "tool_use" } else { "end_turn" }
}
