//! What a provider streams: however its bytes are cut, the same leaves, and of it no text that redaction of the
//! whole would have hidden.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use fastrand::Rng;
use policy_engine::{Endpoint, Engine, Inspection, Nowhere};

use crate::chat::{self, EMAIL};
use crate::endpoints::{self, endpoint_of};
use crate::engine::{Target, Watch};
use crate::json::{self, Json};
use crate::said;

/// What is tried; a planted bug stands in for it.
pub(crate) struct Sse {
    pub(crate) feed: fn(&Engine, Endpoint, &[&[u8]]) -> Streamed,
    pub(crate) engines: Vec<(&'static str, Engine)>,
}

/// What came of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Streamed {
    pub(crate) out: Vec<u8>,
    pub(crate) inspection: Inspection,
    /// Bytes that came out after the end was told.
    pub(crate) after_end: usize,
}

/// An event as a second reader has it.
#[derive(Debug)]
pub(crate) enum Event {
    Comment,
    Done,
    Data(Json),
    /// A number that serde cannot hold: no opinion.
    Unknown,
    Unreadable,
}

// === impl Sse ===

impl Default for Sse {
    fn default() -> Self {
        let pii = |settings: &str| chat::engine("pii-detector", &format!("{{pii-detector: {{{settings}}}}}"));
        Self {
            feed,
            engines: vec![
                ("redact", pii("healthcare_mode: true, detect_patterns: {EMPLOYEE: 'E[0-9]{6}'}")),
                ("block", pii("action: block")),
                ("shadow", pii("mode: shadow")),
                ("unread", chat::engine("audit-logger", "{audit-logger: {}}")),
            ],
        }
    }
}

impl Target for Sse {
    fn name(&self) -> &'static str {
        "sse"
    }

    fn tokens(&self) -> &'static [&'static [u8]] {
        chat::TOKENS
    }

    fn generate(&self, rng: &mut Rng) -> Vec<u8> {
        if rng.bool() { chat::stream(rng) } else { endpoints::stream(rng) }.into_bytes()
    }

    fn check(&mut self, input: &[u8], watch: &mut Watch) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish());
        let endpoint = endpoint_of(input);
        let other = rng.usize(1..self.engines.len());
        let mut met = Vec::new();
        for (name, engine) in [&self.engines[0], &self.engines[other]] {
            let whole = watch.time(|| (self.feed)(engine, endpoint, &[input]));
            for parts in cuts(input, &mut rng) {
                let cut = (self.feed)(engine, endpoint, &parts);
                if cut != whole {
                    return Err(format!(
                        "the cut of the bytes does not matter: {} and {}",
                        told(&whole),
                        told(&cut)
                    ));
                }
            }
            if whole.after_end > 0 {
                return Err(format!("nothing is sent after the end: {}", told(&whole)));
            }
            let kind = match *name {
                "shadow" | "unread" if whole.out != input => {
                    return Err(format!("what nobody may change passes as it is: {}", told(&whole)));
                }
                "shadow" | "unread" => "passed".to_owned(),
                _ => guarded((engine, endpoint), input, &whole, *name == "redact")?,
            };
            let redactions: u32 = whole.inspection.policies.iter().map(|record| record.redactions).sum();
            // how much of it, roughly, so that streams grow that do more
            let much = (redactions.checked_ilog2(), events(&whole.out).len().checked_ilog2());
            met.push(format!("{name}: {:?} {kind} {endpoint:?} {much:?}", whole.inspection.verdict));
        }
        Ok(met.join(" | "))
    }

    fn must_meet(&self) -> &'static [&'static str] {
        &[
            "redact: Redact ended well",
            "redact: Allow ended well",
            "redact: Block ended by an error",
            "block: Block ended by an error",
            "shadow: Allow",
            "unread: Allow",
            "texts compared ChatCompletions",
            "texts compared Completions",
            "texts compared Responses",
            "texts compared Messages",
        ]
    }
}

/// What a guarding policy let out.
fn guarded(
    (engine, endpoint): (&Engine, Endpoint),
    input: &[u8],
    streamed: &Streamed,
    redacts: bool,
) -> Result<String, String> {
    let sent = events(&streamed.out);
    if let Some(bad) = sent.iter().find(|event| matches!(event, Event::Unreadable)) {
        return Err(format!("what leaves can be read: {bad:?} in {}", told(streamed)));
    }
    let error = |event: &Event| matches!(event, Event::Data(json) if is_ours(json));
    let stopped = sent.iter().position(error);
    if streamed.inspection.block.is_some() != stopped.is_some()
        || stopped.is_some_and(|at| at + 1 < sent.len())
    {
        return Err(format!("an error event exactly when blocked, and the last: {}", told(streamed)));
    }
    for event in &sent {
        let (Event::Data(json), mut texts) = (event, Vec::new()) else { continue };
        json.texts(&["stop", "logprobs"], &mut texts);
        if let Some(leak) = texts.iter().find(|text| text.contains(EMAIL)) {
            return Err(format!("no address leaves: {leak:?}"));
        }
    }
    let ended = if stopped.is_some() { "ended by an error" } else { "ended well" };
    let (Some(said), Some(left)) = (said::texts(endpoint, &events(input)), said::texts(endpoint, &sent))
    else {
        return Ok(ended.to_owned());
    };
    let message = streamed.inspection.block.as_ref().map_or("", |block| block.message.as_str());
    // what was sent before such an end may be the beginning of a match
    if !redacts || message.contains("goes on behind its end") {
        return Ok(ended.to_owned());
    }
    for (choice, texts) in &said {
        // also where it goes on behind its end
        let expected = redacted(engine, &texts.concat());
        let left = left.get(choice).map(|texts| texts.concat()).unwrap_or_default();
        // of a text that would have gone on behind an end, had the stream not ended first
        let to_an_end = |ends: usize| redacted(engine, &texts[..ends].concat()).starts_with(&left);
        // or was to be judged together with what had been sent of it
        let is_sent = || texts.concat().starts_with(&left) && redacted(engine, &left) == left;
        let is_begun = || expected.starts_with(&left) || (1..texts.len()).any(to_an_end) || is_sent();
        if left != expected && !(stopped.is_some() && is_begun()) {
            return Err(format!("what leaves is the whole text redacted: {left:?} and not {expected:?}"));
        }
    }
    let compared =
        if said.values().flatten().any(|text| !text.is_empty()) { "texts compared" } else { "no text" };
    Ok(format!("{ended}, {compared}"))
}

/// The text as the same engine redacts it in a whole answer.
fn redacted(engine: &Engine, text: &str) -> String {
    let answer = serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]}).to_string();
    let Some(body) = engine.inspect_response(Endpoint::ChatCompletions, answer.as_bytes(), &Nowhere).body
    else {
        return text.to_owned();
    };
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    body["choices"][0]["delta"]["content"].as_str().unwrap().to_owned()
}

fn is_ours(json: &Json) -> bool {
    let kind = json.get("error").and_then(|error| error.get("type")).and_then(Json::text);
    // the latter where a policy could not do its work
    matches!(kind, Some("policy_violation" | "unavailable"))
}

/// A second reader of server-sent events: all lines first, then what stands between blank ones.
fn events(bytes: &[u8]) -> Vec<Event> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut rest = bytes.iter().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' | b'\n' => {
                let _ = rest.next_if(|next| *byte == b'\r' && **next == b'\n');
                lines.push(Vec::new());
            }
            byte => lines.last_mut().unwrap().push(*byte),
        }
    }
    // no blank line came after these
    let begun = lines.iter().rev().skip(1).position(Vec::is_empty).map_or(lines.len(), |at| at + 1);
    let unfinished: Vec<Vec<u8>> =
        lines.split_off(lines.len() - begun).into_iter().filter(|line| !line.is_empty()).collect();
    let mut read: Vec<Event> =
        lines.split(Vec::is_empty).filter(|lines| !lines.is_empty()).map(event).collect();
    if !unfinished.is_empty() {
        // an event that was cut off counts if it reads whole all the same
        read.extend(Some(event(&unfinished)).filter(|event| !matches!(event, Event::Unreadable)));
    }
    read
}

fn event(lines: &[Vec<u8>]) -> Event {
    let value = |line: &Vec<u8>| match line.strip_prefix(b"data:") {
        Some(value) => Some(value.strip_prefix(b" ").unwrap_or(value).to_vec()),
        None => (line == b"data").then(Vec::new),
    };
    let data: Vec<Vec<u8>> = lines.iter().filter_map(value).collect();
    if data.is_empty() {
        return Event::Comment;
    }
    let data = data.join(&b'\n');
    if data.trim_ascii() == b"[DONE]" {
        return Event::Done;
    }
    match json::read(&data) {
        None => Event::Unknown,
        Some(Ok(json)) if json.depth() <= 64 => Event::Data(json),
        Some(_) => Event::Unreadable,
    }
}

/// The bytes in a few parts, and one by one.
fn cuts<'i>(input: &'i [u8], rng: &mut Rng) -> Vec<Vec<&'i [u8]>> {
    let mut places: Vec<usize> = (0..rng.usize(1..8)).map(|_| rng.usize(0..=input.len())).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    let few = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
    let single = input.chunks(1).collect();
    if input.len() <= 1024 { vec![few, single] } else { vec![few] }
}

pub(crate) fn feed(engine: &Engine, endpoint: Endpoint, parts: &[&[u8]]) -> Streamed {
    let mut inspector = engine.stream_inspector(endpoint, std::sync::Arc::new(Nowhere));
    let (mut out, mut after_end) = (Vec::new(), 0);
    for part in parts {
        let ended = inspector.is_ended();
        let sent = inspector.push(Bytes::copy_from_slice(part));
        after_end += if ended { sent.len() } else { 0 };
        out.extend(sent);
    }
    let ended = inspector.is_ended();
    let (rest, inspection) = inspector.finish();
    after_end += if ended { rest.len() } else { 0 };
    out.extend(rest);
    Streamed { out, inspection, after_end }
}

fn told(streamed: &Streamed) -> String {
    let Streamed { out, inspection, after_end } = streamed;
    format!("{:?} ({after_end} bytes late, {:?})", String::from_utf8_lossy(out), inspection.verdict)
}
