//! Where text lies in a request, an answer or an event, and how a part of it is replaced: by
//! splicing the source, never by writing the document anew.
//!
//! Every string is text unless its key says that it is a name or media and it is written like one, so
//! that a field nobody thought of is inspected and not waved through.

mod places;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::endpoint::Endpoint;
use crate::json::{Document, JsonString, Member, Shape, Span, Value, encode};

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Input,
    Output,
}

/// Whose words a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// Whoever wrote the application: system and developer messages, tools, other settings.
    Application,
    /// Whoever talks to it, and what tools brought in.
    User,
    /// The model.
    Model,
}

/// One string of a body.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) author: Author,
    string: JsonString<'a>,
    /// Of a response: the position of its choice in `choices`, of its item in `output`.
    choice: Option<usize>,
}

/// All texts of one body, in the order of the source.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a> {
    pieces: Vec<Piece<'a>>,
    /// Token lists spell a choice's text again, or (`None`) the prompt's; they go when the text is changed, for what
    /// is given here.
    logprobs: Vec<(Option<usize>, Span, &'static str)>,
}

/// A part of a piece's text to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Position of the piece in [`Texts::pieces`].
    pub(crate) piece: usize,
    /// Bytes of the piece's text, on character boundaries.
    pub(crate) range: Range<usize>,
    /// Plain text; it is escaped when it is spliced in.
    pub(crate) replacement: String,
}

/// Values under these keys name things, or hold media: what is one plain word there is no text. Only
/// strings: an object under such a key is a schema whose property has that name, and is read.
const NAMES_AND_MEDIA: &[&str] = &[
    "role",
    "type",
    "id",
    "object",
    "model",
    "name",
    "index",
    "finish_reason",
    "tool_call_id",
    "tool_use_id",
    "call_id",
    "item_id",
    "response_id",
    "previous_response_id",
    "file_id",
    "status",
    "stop_reason",
    "image_url",
    "data",
    "file_data",
    "b64_json",
    "partial_image_b64",
    "embedding",
    "media_type",
    "signature",
    "obfuscation",
    "format",
    "detail",
    "encrypted_content",
    "system_fingerprint",
    "service_tier",
];

/// Strings under these keys are compared with what the model says, or repeat it; no model reads them.
const NEVER_TEXT: &[&str] = &["stop", "logprobs"];

// === impl Piece ===

impl Piece<'_> {
    pub(crate) fn text(&self) -> &str {
        self.string.text()
    }

    /// Where the text begins in the source.
    pub(crate) fn place(&self) -> usize {
        self.string.source_span(&(0..0)).start
    }
}

// === impl Texts ===

impl<'a> Texts<'a> {
    /// Those of a chat.
    pub(crate) fn of(phase: Phase, document: &'a Document<'_>) -> Self {
        Self::at(Endpoint::ChatCompletions, phase, document)
    }

    pub(crate) fn at(endpoint: Endpoint, phase: Phase, document: &'a Document<'_>) -> Self {
        let mut texts = Self::default();
        match phase {
            Phase::Input => texts.read_request(endpoint, document),
            Phase::Output => texts.read_response(endpoint, document),
        }
        texts
    }

    /// One text that stands in no JSON.
    pub(crate) fn bare(text: &'a str) -> Self {
        let piece = Piece { author: Author::Model, string: JsonString::bare(text), choice: None };
        Self { pieces: vec![piece], logprobs: Vec::new() }
    }

    pub(crate) fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    /// The source with the edits in it. Edits of one piece do not overlap.
    pub(crate) fn splice(&self, document: &Document<'_>, edits: &[Edit]) -> Vec<u8> {
        let mut changes: Vec<(Span, String)> = Vec::with_capacity(edits.len());
        let mut touched = BTreeSet::new();
        for edit in edits {
            let Some(piece) = self.pieces.get(edit.piece) else { continue };
            changes.push((piece.string.source_span(&edit.range), encode(&edit.replacement)));
            touched.extend(piece.choice);
        }
        let is_touched = |choice: &Option<usize>| choice.is_none_or(|choice| touched.contains(&choice));
        let spelled_again = self.logprobs.iter().filter(|(choice, ..)| is_touched(choice));
        changes.extend(spelled_again.map(|(_, span, nothing)| (*span, (*nothing).to_owned())));
        splice(document.source(), changes)
    }

    /// Of a text that stands in no JSON: it with the edits in it.
    pub(crate) fn replaced(&self, edits: &[Edit]) -> String {
        let text = self.pieces.first().map(Piece::text).unwrap_or_default();
        let mut edits: Vec<&Edit> = edits.iter().collect();
        edits.sort_by_key(|edit| edit.range.start);
        let (mut replaced, mut kept_to) = (String::with_capacity(text.len()), 0);
        for edit in edits {
            replaced.push_str(text.get(kept_to..edit.range.start).unwrap_or_default());
            replaced.push_str(&edit.replacement);
            kept_to = edit.range.end;
        }
        replaced.push_str(text.get(kept_to..).unwrap_or_default());
        replaced
    }

    /// The value as its key says, and the key itself where it is more than a word.
    fn read_member(
        &mut self,
        document: &'a Document<'_>,
        member: &Member,
        author: Author,
        choice: Option<usize>,
    ) {
        let key = document.string(member.key);
        if choice.is_some() && spells_tokens(key.text()) {
            return self.leave_tokens(member, choice);
        }
        if is_text(key.text()) {
            self.read(document, &member.value, author, choice);
        } else {
            let never = NEVER_TEXT.contains(&key.text());
            self.read_named(document, &member.value, never, author, choice);
        }
        if !is_word(key.text()) {
            self.pieces.push(Piece { author, string: key, choice });
        }
    }

    fn leave_tokens(&mut self, member: &Member, choice: Option<usize>) {
        self.logprobs.extend(no_tokens(&member.value).map(|(span, none)| (choice, span, none)));
    }

    fn read(&mut self, document: &'a Document<'_>, value: &Value, author: Author, choice: Option<usize>) {
        if value.is_string() {
            self.pieces.push(Piece { author, string: document.string(value.span), choice });
        }
        for item in value.items() {
            self.read(document, item, author, choice);
        }
        for member in value.members() {
            // a document that is text: `{"type": "text", "data": …}`
            let is_text = || document.member_text(value, "type").is_some_and(|kind| kind == "text");
            if document.string(member.key).text() == "data" && is_text() {
                self.read(document, &member.value, author, choice);
            } else {
                self.read_member(document, member, author, choice);
            }
        }
    }

    /// A name or media. `never`: strings are no text whatever they say.
    fn read_named(
        &mut self,
        document: &'a Document<'_>,
        value: &Value,
        never: bool,
        author: Author,
        choice: Option<usize>,
    ) {
        if value.is_string() && !never {
            let string = document.string(value.span);
            if !is_word(string.text()) {
                self.pieces.push(Piece { author, string, choice });
            }
        }
        for item in value.items() {
            self.read_named(document, item, never, author, choice);
        }
        for member in value.members() {
            // `image_url: {url: …}`
            if document.string(member.key).text() == "url" {
                self.read_named(document, &member.value, false, author, choice);
            } else {
                self.read_member(document, member, author, choice);
            }
        }
    }
}

/// Whether a value under this key holds words, however it is written.
pub(crate) fn is_text(key: &str) -> bool {
    !NAMES_AND_MEDIA.contains(&key) && !NEVER_TEXT.contains(&key)
}

/// Whether a value under this key spells texts again, token by token.
pub(crate) fn spells_tokens(key: &str) -> bool {
    matches!(key, "logprobs" | "token_ids" | "prompt_token_ids" | "prompt_logprobs")
}

/// Tokens that are there, and what stands in their place.
pub(crate) fn no_tokens(logprobs: &Value) -> Option<(Span, &'static str)> {
    match &logprobs.shape {
        Shape::Null => None,
        Shape::Array(tokens) if tokens.is_empty() => None,
        Shape::Array(_) => Some((logprobs.span, "[]")),
        _ => Some((logprobs.span, "null")),
    }
}

/// One word as names, base64 and URLs are written: no sentence and no email address is one.
pub(crate) fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

/// A source with some spans replaced, all other bytes kept.
pub(crate) fn splice(source: &str, mut changes: Vec<(Span, String)>) -> Vec<u8> {
    changes.sort_by_key(|(span, _)| span.start);
    let mut spliced = Vec::with_capacity(source.len());
    let mut kept_to = 0;
    for (span, replacement) in changes {
        spliced.extend_from_slice(source.get(kept_to..span.start).unwrap_or_default().as_bytes());
        spliced.extend_from_slice(replacement.as_bytes());
        kept_to = span.end;
    }
    spliced.extend_from_slice(source.get(kept_to..).unwrap_or_default().as_bytes());
    spliced
}

#[cfg(test)]
mod tests;
