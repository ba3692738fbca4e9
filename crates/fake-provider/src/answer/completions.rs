//! `completions`, the older one.

use serde_json::{Value, json};

use super::chat::{set, usage};
use super::{Answer, cut, data};

pub(super) fn whole(answer: &Answer) -> Value {
    let mut body = said(answer, &answer.words, &json!("stop"));
    set(&mut body, "usage", usage(answer));
    body
}

pub(super) fn events(answer: &Answer, chunks: usize) -> Vec<String> {
    let pieces = cut(&answer.words, chunks);
    let mut events: Vec<_> = pieces.iter().map(|piece| data(&said(answer, piece, &Value::Null))).collect();
    events.push(data(&said(answer, "", &json!("stop"))));
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn said(answer: &Answer, text: &str, finish_reason: &Value) -> Value {
    json!({
        "id": format!("cmpl-fake-{}", answer.number), "object": "text_completion", "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason}],
    })
}
