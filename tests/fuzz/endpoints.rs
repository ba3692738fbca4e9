//! Requests, answers and streams of the endpoints beside chat, and which endpoint some bytes are of.

use fastrand::Rng;
use policy_engine::Endpoint;

use crate::chat::{quoted, text, value};

/// By the first word of one that stands in the bytes, so that they say it themselves.
pub(crate) fn endpoint_of(input: &[u8]) -> Endpoint {
    let read = String::from_utf8_lossy(input);
    let has = |word: &str| read.contains(word);
    match () {
        () if has("\"embedding") => Endpoint::Embeddings,
        () if has("content_block") || has("\"max_tokens\"") => Endpoint::Messages,
        () if has("\"prompt\"") || has("text_completion") => Endpoint::Completions,
        () if has("\"response.") || has("\"input\"") || has("\"output\"") => Endpoint::Responses,
        () => Endpoint::ChatCompletions,
    }
}

fn words(rng: &mut Rng) -> String {
    let words = text(rng);
    quoted(rng, &words)
}

fn list(rng: &mut Rng, least: usize, mut item: impl FnMut(&mut Rng) -> String) -> String {
    let items: Vec<String> = (0..rng.usize(least..4)).map(|_| item(rng)).collect();
    format!("[{}]", items.join(","))
}

/// A request that a gateway would take, for the most part.
pub(crate) fn request(rng: &mut Rng) -> String {
    let body = match rng.u8(0..5) {
        0 => {
            let prompt = match rng.u8(0..4) {
                0 => list(rng, 1, words),
                1 => "[[1,2],[3]]".to_owned(),
                _ => words(rng),
            };
            format!("\"prompt\":{prompt},\"suffix\":{}", words(rng))
        }
        1 => format!("\"embedding_model\":true,\"input\":{}", list(rng, 1, words)),
        2 => {
            let system = list(rng, 0, |rng| format!("{{\"type\":\"text\",\"text\":{}}}", words(rng)));
            let content = list(rng, 0, |rng| match rng.u8(0..3) {
                0 => format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":{}}}", words(rng)),
                1 => format!(
                    "{{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{{\"to\":{}}}}}",
                    words(rng)
                ),
                _ => format!("{{\"type\":\"text\",\"text\":{}}}", words(rng)),
            });
            format!(
                "\"max_tokens\":9,\"system\":{system},\"messages\":[{{\"role\":\"user\",\"content\":{content}}}]"
            )
        }
        _ => {
            let input = list(rng, 0, |rng| match rng.u8(0..3) {
                0 => format!(
                    "{{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":{}}}",
                    words(rng)
                ),
                1 => format!("{{\"type\":\"reasoning\",\"summary\":[{}]}}", value(rng, 2)),
                _ => format!(
                    "{{\"role\":\"user\",\"content\":[{{\"type\":\"input_text\",\"text\":{}}}]}}",
                    words(rng)
                ),
            });
            format!("\"input\":{input},\"instructions\":{}", words(rng))
        }
    };
    format!("{{\"model\":\"m\",{body}}}")
}

/// A whole answer.
pub(crate) fn answer(rng: &mut Rng) -> String {
    match rng.u8(0..4) {
        0 => format!(
            "{{\"object\":\"text_completion\",\"choices\":[{{\"index\":0,\"text\":{},\"logprobs\":null}}]}}",
            words(rng)
        ),
        1 => format!(
            "{{\"type\":\"message\",\"max_tokens\":null,\"content\":[{{\"type\":\"content_block\",\"text\":{}}}]}}",
            words(rng)
        ),
        _ => format!(
            "{{\"object\":\"response\",\"output\":[{{\"type\":\"message\",\"content\":[{{\"type\":\"output_text\",\
             \"text\":{}}}]}},{{\"type\":\"function_call\",\"arguments\":{}}}],\"usage\":{}}}",
            words(rng),
            words(rng),
            value(rng, 1)
        ),
    }
}

/// The events of an answer, its texts cut anywhere.
pub(crate) fn stream(rng: &mut Rng) -> String {
    let end = ["\n", "\n", "\r\n", "\r"][rng.usize(0..4)];
    let kind = rng.u8(0..3);
    let mut events = Vec::new();
    for at in 0..rng.usize(1..3) {
        let said = text(rng);
        let mut rest = said.as_str();
        while !rest.is_empty() {
            let mut cut = rng.usize(1..24).min(rest.len());
            while !rest.is_char_boundary(cut) {
                cut += 1;
            }
            let (part, after) = rest.split_at(cut);
            let part = quoted(rng, part);
            events.push(match kind {
                0 => format!(
                    "data: {{\"object\":\"text_completion\",\"choices\":[{{\"index\":{at},\"text\":{part}}}]}}\n\n"
                ),
                1 => format!(
                    "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{at},\"delta\":\
                     {{\"type\":\"text_delta\",\"text\":{part}}}}}\n\n"
                ),
                _ => delta(events.len(), at, &part),
            });
            rest = after;
        }
        let whole = quoted(rng, &said);
        if rng.u8(0..4) > 0 {
            events.push(match kind {
                0 => format!(
                    "data: {{\"object\":\"text_completion\",\"choices\":[{{\"index\":{at},\"text\":\"\",\"finish_reason\":\"stop\"}}]}}\n\n"
                ),
                1 => format!(
                    "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":{at}}}\n\n"
                ),
                _ => format!(
                    "event: response.output_text.done\ndata: {{\"type\":\"response.output_text.done\",\"output_index\":{at},\
                     \"content_index\":0,\"item_id\":\"m{at}\",\"text\":{whole},\"sequence_number\":{}}}\n\n",
                    events.len()
                ),
            });
        }
    }
    if rng.u8(0..3) == 0 {
        events.insert(rng.usize(0..=events.len()), "event: ping\ndata: {\"type\":\"ping\"}\n\n".to_owned());
    }
    events.concat().replace('\n', end)
}

fn delta(number: usize, at: usize, part: &str) -> String {
    format!(
        "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"item_id\":\"m{at}\",\
         \"output_index\":{at},\"content_index\":0,\"delta\":{part},\"logprobs\":[],\"sequence_number\":{number}}}\n\n"
    )
}
