//! Where text lies in a request, an answer or an event, and how a part of it is replaced: by
//! splicing the source, never by writing the document anew.
//!
//! Every string is text unless its key says that it is a name or media and it is written like one, so
//! that a field nobody thought of is inspected and not waved through.

mod media;
mod places;

use std::borrow::Cow;
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
    /// It is a number, here: what is found in it makes a string of it.
    number: Option<Span>,
    /// What the string says once it is decoded. Nothing can be spliced into it.
    decoded: Option<String>,
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
    is_answer: bool,
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

/// What is no string under these keys has keys of somebody else's choice, which say nothing about their values: all of
/// it is read, numbers and keys as well.
const FOREIGN: &[&str] = &["input", "arguments", "variables", "metadata"];

// === impl Piece ===

impl Piece<'_> {
    pub(crate) fn text(&self) -> &str {
        self.decoded.as_deref().unwrap_or_else(|| self.string.text())
    }

    /// Where the text begins in the source.
    pub(crate) fn place(&self) -> usize {
        self.number.map_or_else(|| self.string.source_span(&(0..0)).start, |span| span.start)
    }
}

// === impl Texts ===

impl<'a> Texts<'a> {
    /// Those of a chat.
    pub(crate) fn of(phase: Phase, document: &'a Document<'_>) -> Self {
        Self::at(Endpoint::ChatCompletions, phase, document)
    }

    pub(crate) fn at(endpoint: Endpoint, phase: Phase, document: &'a Document<'_>) -> Self {
        let mut texts = Self { is_answer: phase == Phase::Output, ..Self::default() };
        match phase {
            Phase::Input => texts.read_request(endpoint, document),
            Phase::Output => texts.read_response(endpoint, document),
        }
        texts
    }

    /// One text that stands in no JSON.
    pub(crate) fn bare(text: &'a str) -> Self {
        let mut texts = Self::default();
        texts.add(Author::Model, JsonString::bare(text), None);
        texts
    }

    pub(crate) fn pieces(&self) -> &[Piece<'a>] {
        &self.pieces
    }

    /// Whether all of it can be done: what is sent in a coded form is judged and not changed.
    pub(crate) fn can_be_spliced(&self, edits: &[Edit]) -> bool {
        edits.iter().all(|edit| self.pieces.get(edit.piece).is_none_or(|piece| piece.decoded.is_none()))
    }

    /// The source with the edits in it. Edits of one piece do not overlap.
    pub(crate) fn splice(&self, document: &Document<'_>, edits: &[Edit]) -> Vec<u8> {
        let mut changes: Vec<(Span, String)> = Vec::with_capacity(edits.len());
        let mut touched = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for edit in edits {
            let Some(piece) = self.pieces.get(edit.piece) else { continue };
            let replacement = encode(&edit.replacement);
            match piece.number {
                None => changes.push((piece.string.source_span(&edit.range), replacement)),
                Some(span) if numbers.insert(span.start) => {
                    changes.push((span, format!("\"{replacement}\"")))
                }
                Some(_) => {}
            }
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

    fn add(&mut self, author: Author, string: JsonString<'a>, choice: Option<usize>) {
        self.pieces.push(Piece { author, string, number: None, decoded: None, choice });
    }

    /// What a string says once it is decoded, if it says something.
    fn add_decoded(
        &mut self,
        author: Author,
        string: JsonString<'a>,
        decoded: Option<String>,
        choice: Option<usize>,
    ) {
        if decoded.is_some() {
            self.pieces.push(Piece { author, string, number: None, decoded, choice });
        }
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
        // `logprobs` are tokens where an answer has them, and else somebody's word
        if choice.is_some() && key.text() != "logprobs" && spells_tokens(key.text()) {
            return self.leave_tokens(member, choice);
        }
        if FOREIGN.contains(&key.text()) {
            self.read_all(document, &member.value, author, choice);
        } else if is_text(key.text()) {
            self.read(document, &member.value, author, choice);
        } else {
            self.read_named(document, &member.value, author, choice);
        }
        if !is_word(key.text()) {
            self.add(author, key, choice);
        }
    }

    fn leave_tokens(&mut self, member: &Member, choice: Option<usize>) {
        self.logprobs.extend(no_tokens(&member.value).map(|(span, none)| (choice, span, none)));
    }

    fn read(&mut self, document: &'a Document<'_>, value: &Value, author: Author, choice: Option<usize>) {
        if value.is_string() {
            self.add(author, document.string(value.span), choice);
        }
        for item in value.items() {
            self.read(document, item, author, choice);
        }
        for member in value.members() {
            // a document that is text: `{"type": "text", "data": …}`
            let is_text = || document.member_text(value, "type").is_some_and(|kind| kind == "text");
            match document.string(member.key).text() {
                "data" if is_text() => self.read(document, &member.value, author, choice),
                "data" if is_coded_text(document, value) => {
                    let data = document.string(member.value.span);
                    let text = media::text_of_base64(data.text().as_bytes());
                    self.add_decoded(author, document.string(member.value.span), text, choice);
                }
                "url" | "uri" | "file_url" if member.value.is_string() => {
                    let text = media::text_of_url(document.string(member.value.span).text());
                    self.add_decoded(author, document.string(member.value.span), text, choice);
                    self.read(document, &member.value, author, choice);
                }
                "logprobs" if self.is_of_words(document, value, member) => self.leave_out(member, choice),
                _ => self.read_member(document, member, author, choice),
            }
        }
    }

    /// The tokens of a part of an answer, which stand beside its text.
    fn is_of_words(&self, document: &Document<'_>, part: &Value, tokens: &Member) -> bool {
        let holds = |key| document.member(part, key).is_some_and(Value::is_string);
        self.is_answer && !tokens.value.is_string() && (holds("text") || holds("delta"))
    }

    /// Tokens are no text of their own.
    fn leave_out(&mut self, tokens: &Member, choice: Option<usize>) {
        let Some(choice) = choice else { return };
        self.logprobs.extend(no_tokens(&tokens.value).map(|(span, none)| (Some(choice), span, none)));
    }

    /// Everything: strings, numbers and keys.
    fn read_all(&mut self, document: &'a Document<'_>, value: &Value, author: Author, choice: Option<usize>) {
        match &value.shape {
            Shape::String => self.add(author, document.string(value.span), choice),
            Shape::Number => {
                let string = JsonString::bare(document.raw(value.span));
                self.pieces.push(Piece { author, string, number: Some(value.span), decoded: None, choice });
            }
            Shape::Array(items) => {
                items.iter().for_each(|item| self.read_all(document, item, author, choice));
            }
            Shape::Object(members) => {
                for member in members {
                    self.add(author, document.string(member.key), choice);
                    self.read_all(document, &member.value, author, choice);
                }
            }
            Shape::Null | Shape::Bool(_) => {}
        }
    }

    /// A name or media.
    fn read_named(
        &mut self,
        document: &'a Document<'_>,
        value: &Value,
        author: Author,
        choice: Option<usize>,
    ) {
        if value.is_string() {
            let string = document.string(value.span);
            let text = media::text_of_url(string.text());
            self.add_decoded(author, document.string(value.span), text, choice);
            if !is_word(string.text()) {
                self.add(author, string, choice);
            }
        }
        for item in value.items() {
            self.read_named(document, item, author, choice);
        }
        for member in value.members() {
            // `image_url: {url: …}`
            if document.string(member.key).text() == "url" {
                self.read_named(document, &member.value, author, choice);
            } else {
                self.read_member(document, member, author, choice);
            }
        }
    }
}

/// Whether a value under this key holds words, however it is written. Others name things, or hold media: what is one plain
/// word there is no text. Only strings: an object under such a key is a schema whose property has that name, and is read.
pub(crate) fn is_text(key: &str) -> bool {
    let names_or_media = matches!(
        key,
        "role"
            | "type"
            | "id"
            | "object"
            | "model"
            | "name"
            | "index"
            | "finish_reason"
            | "tool_call_id"
            | "tool_use_id"
            | "call_id"
            | "item_id"
            | "response_id"
            | "previous_response_id"
            | "file_id"
            | "status"
            | "stop_reason"
            | "image_url"
            | "data"
            | "file_data"
            | "b64_json"
            | "partial_image_b64"
            | "embedding"
            | "media_type"
            | "signature"
            | "obfuscation"
            | "format"
            | "detail"
            | "encrypted_content"
            | "system_fingerprint"
            | "service_tier"
    );
    !names_or_media
}

/// A file of text as base64: `{"type": "base64", "media_type": "text/…", "data": …}`.
fn is_coded_text(document: &Document<'_>, value: &Value) -> bool {
    let is_textual = |kind: Cow<'_, str>| media::is_textual(&kind);
    document.member(value, "data").is_some_and(Value::is_string)
        && document.member_text(value, "media_type").is_some_and(is_textual)
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
