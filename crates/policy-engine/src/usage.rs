//! What an answer cost, as its provider says in `usage`: found by a look at the bytes, so that no body is parsed
//! for it, and in a stream wherever its pieces are cut. Only where a provider writes it: what a model or a tool says
//! stands further down.

mod finder;

use memchr::memmem;

use self::finder::Finder;
use crate::json::{Document, Value};
use crate::verdict::Usage;

/// Looks for `usage` in an answer or stream as it passes.
#[derive(Debug, Default)]
pub(crate) struct UsageReader {
    found: Found,
    finder: Finder,
    line: Line,
    /// The last byte was `\r`: a `\n` that follows belongs to it.
    after_return: bool,
}

/// The line of a stream that is being read.
#[derive(Debug)]
enum Line {
    /// So much of its beginning has come, and it may be one of data.
    Begun(usize),
    Data,
    Other,
}

/// The most of what was told: a telling of a stream counts from its beginning.
#[derive(Debug, Default, Clone, Copy)]
struct Found {
    input: Option<u64>,
    cached: [Option<u64>; 2],
    output: Option<u64>,
}

const DATA: &[u8] = b"data:";
const KEY: &[u8] = b"\"usage\"";

// === impl UsageReader ===

impl UsageReader {
    /// Of an answer that is there as a whole.
    pub(crate) fn of_whole(body: &[u8]) -> Option<Usage> {
        memmem::find(body, KEY)?;
        let mut found = Found::default();
        Finder::default().read(body, &mut |usage| found.read(usage));
        found.usage()
    }

    /// Of one that has been read.
    pub(crate) fn of_document(document: &Document<'_>) -> Option<Usage> {
        let root = document.root();
        let outer = ["response", "message"].map(|outer| document.member(root, outer));
        let mut found = Found::default();
        for teller in [Some(root)].into_iter().chain(outer).flatten() {
            if let Some(usage) = document.member(teller, "usage") {
                found.read_in(document, usage);
            }
        }
        found.usage()
    }

    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        // whole events, as they mostly come, and nothing in them
        let is_between = self.finder.has_not_begun() && matches!(self.line, Line::Begun(0));
        if is_between && bytes.ends_with(b"\n\n") && memmem::find(bytes, KEY).is_none() {
            self.after_return = false;
            return;
        }
        let mut rest = bytes;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, end) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.pass_line(line);
            // an empty line: the event is whole, and the next one begins anew
            if matches!(self.line, Line::Begun(0)) {
                self.finder = Finder::default();
            }
            self.line = Line::Begun(0);
            let is_return = end.first() == Some(&b'\r');
            rest = end.get(1..).unwrap_or_default();
            match rest.strip_prefix(b"\n").filter(|_| is_return) {
                Some(after) => rest = after,
                None => self.after_return = is_return && rest.is_empty(),
            }
        }
        self.pass_line(rest);
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.found.usage()
    }

    /// A part of a line, without its end.
    fn pass_line(&mut self, part: &[u8]) {
        let mut part = part;
        while let (Line::Begun(at), Some((first, rest))) = (&self.line, part.split_first()) {
            self.line = match at + 1 {
                _ if DATA.get(*at) != Some(first) => Line::Other,
                end if end == DATA.len() => Line::Data,
                end => Line::Begun(end),
            };
            part = rest;
        }
        if matches!(self.line, Line::Data) {
            let found = &mut self.found;
            self.finder.read(part, &mut |usage| found.read(usage));
        }
    }
}

// === impl Line ===

impl Default for Line {
    fn default() -> Self {
        Self::Begun(0)
    }
}

// === impl Found ===

impl Found {
    fn read(&mut self, object: &[u8]) {
        if let Ok(document) = Document::parse(object) {
            self.read_in(&document, document.root());
        }
    }

    fn read_in(&mut self, document: &Document<'_>, usage: &Value) {
        let number = |key| {
            let value = document.member(usage, key)?;
            document.raw(value.span).parse::<u64>().ok()
        };
        self.input = self.input.max(number("prompt_tokens").or(number("input_tokens")));
        self.output = self.output.max(number("completion_tokens").or(number("output_tokens")));
        for (cached, key) in
            self.cached.iter_mut().zip(["cache_creation_input_tokens", "cache_read_input_tokens"])
        {
            *cached = (*cached).max(number(key));
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
            // what stands further down was said by the model or by a tool
            (
                r#"{"usage":{"prompt_tokens":400,"completion_tokens":40},"metadata":{"usage":{"prompt_tokens":0,"completion_tokens":0}},"usage_of":{"prompt_tokens":900}}"#,
                usage(400, 40),
            ),
            (
                r#"{"content":[{"type":"tool_use","input":{"usage":{"input_tokens":0,"output_tokens":9}}}],"usage":{"input_tokens":400,"output_tokens":40}}"#,
                usage(400, 40),
            ),
            (
                r#"{"choices":[{"message":{"usage":{"prompt_tokens":9}}}],"x":["usage",{"prompt_tokens":9}]}"#,
                None,
            ),
            (
                r#"{"response":{"metadata":{"usage":{"prompt_tokens":9}},"usage":{"input_tokens":3}}}"#,
                usage(3, 0),
            ),
            (r#"{"a\"":"\\","a":[[[1,2],[{"b":"]"}]]],"usage":{"input_tokens":3,"x":[{}]}}"#, usage(3, 0)),
            (r#"{"usage":{"prompt_tokens":1"#, None),
        ] {
            assert_eq!(UsageReader::of_whole(body.as_bytes()), expected, "{body}");
            let document = Document::parse(body.as_bytes());
            assert!(document.is_err() || UsageReader::of_document(&document.unwrap()) == expected, "{body}");
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
        let told = |input: u64, output: u64| {
            format!(
                "data: {{\"choices\":[{{\"x\":{{\"usage\":{{\"prompt_tokens\":9000}}}}}}],\"usage\":{{\"prompt_tokens\":{input},\"completion_tokens\":{output}}}}}\r\n\r\n"
            )
        };
        let shrinking =
            [told(3, 1), told(400, 40), told(0, 0), ": \"usage\":{\"prompt_tokens\":9000}\n\n".to_owned()]
                .concat();
        for step in 1..shrinking.len() {
            assert_eq!(
                streamed(&shrinking, step),
                Some(Usage { input_tokens: 400, output_tokens: 40 }),
                "{step}"
            );
        }
        let long = format!("\"usage\":{{\"a\":\"{}\" {chat}", "x".repeat(10_000));
        for step in [1, 1000, 5000, long.len()] {
            assert_eq!(streamed(&long, step).map(|usage| usage.output_tokens), Some(9), "{step}");
        }
    }
}
