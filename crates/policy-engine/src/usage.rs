//! What an answer cost, as its provider says in `usage`: found by a look at the bytes, so that no body is parsed
//! for it, and in a stream wherever its pieces are cut.

use memchr::memmem;

use crate::json::Document;
use crate::verdict::Usage;

/// Looks for `usage` in an answer or stream as it passes.
#[derive(Debug, Default)]
pub(crate) struct UsageReader {
    found: Found,
    /// The end of what passed, while a key may be cut in it or its value is not whole.
    carried: Vec<u8>,
}

/// As told so far; later tellings of a stream count from its beginning.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    input: Option<u64>,
    cached: [Option<u64>; 2],
    output: Option<u64>,
}

const KEY: &[u8] = b"\"usage\"";
/// A `usage` that is longer is not one that we know.
const LONGEST: usize = 4096;

/// What follows a key.
enum Value<'b> {
    Cut,
    Object(&'b [u8]),
    Other,
}

// === impl UsageReader ===

impl UsageReader {
    /// Of an answer that is there as a whole: the last is it.
    pub(crate) fn of_whole(body: &[u8]) -> Option<Usage> {
        memmem::rfind_iter(body, KEY).find_map(|at| {
            let mut found = Found::default();
            match value(body.get(at + KEY.len()..).unwrap_or_default()) {
                Value::Object(object) => found.read(object),
                Value::Cut | Value::Other => {}
            }
            found.usage()
        })
    }

    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        if self.carried.is_empty() {
            self.look(bytes);
            return;
        }
        // a value is seldom cut, and what is carried is short
        let mut joined = std::mem::take(&mut self.carried);
        let more = bytes.len().min(LONGEST + KEY.len());
        let (near, rest) = bytes.split_at_checked(more).unwrap_or((bytes, &[]));
        joined.extend_from_slice(near);
        self.look(&joined);
        if !rest.is_empty() {
            let carried = std::mem::take(&mut self.carried);
            self.look(&[carried.as_slice(), rest].concat());
        }
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.found.usage()
    }

    fn look(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = memmem::find(rest, KEY) {
            let after = rest.get(at + KEY.len()..).unwrap_or_default();
            match value(after) {
                Value::Object(object) => self.found.read(object),
                Value::Other => {}
                Value::Cut => {
                    self.carried = rest.get(at..).unwrap_or_default().to_vec();
                    return;
                }
            }
            rest = after;
        }
        let tail = rest.get(rest.len().saturating_sub(KEY.len() - 1)..).unwrap_or_default();
        let begun = (0..tail.len()).find(|&at| tail.get(at..).is_some_and(|tail| KEY.starts_with(tail)));
        self.carried = begun.and_then(|at| tail.get(at..)).unwrap_or_default().to_vec();
    }
}

// === impl Found ===

impl Found {
    fn read(&mut self, object: &[u8]) {
        let Ok(document) = Document::parse(object) else { return };
        let number = |key| {
            let value = document.member(document.root(), key)?;
            document.raw(value.span).parse::<u64>().ok()
        };
        self.input = number("prompt_tokens").or(number("input_tokens")).or(self.input);
        self.output = number("completion_tokens").or(number("output_tokens")).or(self.output);
        for (cached, key) in
            self.cached.iter_mut().zip(["cache_creation_input_tokens", "cache_read_input_tokens"])
        {
            *cached = number(key).or(*cached);
        }
    }

    /// Anthropic counts what came from its cache, or went there, beside the rest of the input.
    fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let input = [self.input, self.cached[0], self.cached[1]].into_iter().flatten();
        let input_tokens = input.fold(0, u64::saturating_add);
        Some(Usage { input_tokens, output_tokens: self.output.unwrap_or(0) })
    }
}

/// The value behind a key, if it is an object.
fn value(after: &[u8]) -> Value<'_> {
    let Some(colon) = after.iter().position(|byte| !byte.is_ascii_whitespace()) else { return cut(after) };
    if after.get(colon) != Some(&b':') {
        return Value::Other;
    }
    let after = after.get(colon + 1..).unwrap_or_default();
    let Some(begin) = after.iter().position(|byte| !byte.is_ascii_whitespace()) else { return cut(after) };
    let object = after.get(begin..).unwrap_or_default();
    if object.first() != Some(&b'{') {
        return Value::Other;
    }
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in object.iter().enumerate().take(LONGEST) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' if !quoted => depth += 1,
            b'}' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Value::Object(object.get(..=at).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    cut(object)
}

fn cut(rest: &[u8]) -> Value<'_> {
    if rest.len() < LONGEST { Value::Cut } else { Value::Other }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streamed(source: &str, step: usize) -> Option<Usage> {
        let mut reader = UsageReader::default();
        source.as_bytes().chunks(step).for_each(|part| reader.pass(part));
        reader.usage()
    }

    #[test]
    fn each_endpoint_says_what_it_cost() {
        let usage = |input_tokens, output_tokens| Some(Usage { input_tokens, output_tokens });
        for (body, expected) in [
            (
                r#"{"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}"}}],"usage":{"prompt_tokens":7,"completion_tokens":9,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":3}}}"#,
                usage(7, 9),
            ),
            (r#"{"data":[],"usage" : {"prompt_tokens": 5, "total_tokens": 5}}"#, usage(5, 0)),
            (
                r#"{"output":[],"usage":{"input_tokens":11,"input_tokens_details":{"cached_tokens":0},"output_tokens":2},"metadata":{"usage":{"a":"}"}}}"#,
                usage(11, 2),
            ),
            (
                r#"{"usage":{"input_tokens":4,"cache_read_input_tokens":100,"cache_creation_input_tokens":20,"output_tokens":3}}"#,
                usage(124, 3),
            ),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"prompt_tokens":1"#, None),
        ] {
            assert_eq!(UsageReader::of_whole(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_stream_says_it_wherever_it_is_cut() {
        let chat = "data: {\"choices\":[],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}\n\ndata: [DONE]\n\n";
        let messages = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n";
        for step in 1..chat.len() {
            let expected = Some(Usage { input_tokens: 7, output_tokens: 9 });
            assert_eq!(streamed(chat, step), expected, "{step}");
        }
        for step in 1..messages.len() {
            let expected = Some(Usage { input_tokens: 30, output_tokens: 15 });
            assert_eq!(streamed(messages, step), expected, "{step}");
        }
        let long = format!("\"usage\":{{\"a\":\"{}\" {chat}", "x".repeat(2 * LONGEST));
        for step in [1, 1000, 5000, long.len()] {
            assert_eq!(streamed(&long, step).map(|usage| usage.output_tokens), Some(9), "{step}");
        }
    }
}
