//! `embeddings`: numbers that mean nothing, one list for each text.

use serde_json::{Value, json};

use super::Answer;

pub(super) fn whole(answer: &Answer) -> Value {
    let one = |at: usize| json!({"object": "embedding", "index": at, "embedding": [0.25, -0.5, 0.125]});
    let data: Vec<Value> = (0..answer.inputs).map(one).collect();
    let tokens = answer.prompt_words;
    json!({
        "object": "list", "data": data, "model": answer.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}
