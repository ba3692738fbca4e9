//! Anthropic's `messages`.

use serde_json::{Value, json};

use super::chat::set;
use super::{Answer, Call, cut, named};

pub(super) fn whole(answer: &Answer) -> Value {
    let called = |call: &Call| tool_use(call, &serde_json::from_str(&call.arguments).unwrap_or_default());
    let blocks: Vec<Value> = match answer.calls.as_slice() {
        [] => vec![json!({"type": "text", "text": answer.words})],
        calls => calls.iter().map(called).collect(),
    };
    let mut message = begun(answer);
    set(&mut message, "content", json!(blocks));
    set(&mut message, "stop_reason", json!(stop_reason(answer)));
    set(
        &mut message,
        "usage",
        json!({"input_tokens": answer.prompt_words, "output_tokens": answer.output_tokens()}),
    );
    message
}

pub(super) fn events(answer: &Answer, chunks: usize) -> Vec<String> {
    let mut events = vec![named(&json!({"type": "message_start", "message": begun(answer)}))];
    let mut block = |index: usize, opened: &Value, pieces: Vec<Value>| {
        events.push(named(&json!({"type": "content_block_start", "index": index, "content_block": opened})));
        events.push(named(&json!({"type": "ping"})));
        let delta = |delta| named(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
        events.extend(pieces.into_iter().map(delta));
        events.push(named(&json!({"type": "content_block_stop", "index": index})));
    };
    for call in &answer.calls {
        let piece = |piece| json!({"type": "input_json_delta", "partial_json": piece});
        let pieces = cut(&call.arguments, chunks).into_iter().map(piece).collect();
        block(call.number, &tool_use(call, &json!({})), pieces);
    }
    if answer.calls.is_empty() {
        let piece = |piece| json!({"type": "text_delta", "text": piece});
        let pieces = cut(&answer.words, chunks).into_iter().map(piece).collect();
        block(0, &json!({"type": "text", "text": ""}), pieces);
    }
    let ended = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let usage = json!({"output_tokens": answer.output_tokens()});
    events.push(named(&json!({"type": "message_delta", "delta": ended, "usage": usage})));
    events.push(named(&json!({"type": "message_stop"})));
    events
}

fn tool_use(call: &Call, input: &Value) -> Value {
    let id = format!("toolu_fake_{}", call.number);
    json!({"type": "tool_use", "id": id, "name": call.name, "input": input})
}

fn begun(answer: &Answer) -> Value {
    json!({
        "id": format!("msg_fake_{}", answer.number), "type": "message", "role": "assistant", "model": answer.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": answer.prompt_words, "output_tokens": 1},
    })
}

const fn stop_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "end_turn" } else { "tool_use" }
}
