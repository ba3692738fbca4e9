//! Where text lies in a chat request, response or chunk, and how a part of it is replaced: by
//! splicing the source, never by writing the document anew.
//!
//! Every string is text unless its key says that it is a name or media and it is written like one, so
//! that a field nobody thought of is inspected and not waved through.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::json::{Document, JsonString, Member, Span, Value, encode};

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
    /// Of a response: the position of its choice in `choices`.
    choice: Option<usize>,
}

/// All texts of one body, in the order of the source.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a> {
    pieces: Vec<Piece<'a>>,
    /// Token lists spell a choice's text again; they go when the text is changed.
    logprobs: Vec<(usize, Span)>,
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
    "call_id",
    "file_id",
    "image_url",
    "data",
    "file_data",
    "b64_json",
    "format",
    "detail",
    "encrypted_content",
    "system_fingerprint",
    "service_tier",
];

/// Strings under these keys are compared with what the model says, or repeat it; no model reads them.
const NEVER_TEXT: &[&str] = &["stop", "logprobs"];

/// Another role is whatever the client wrote, and some chat templates show it to the model.
const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];

// === impl Piece ===

impl Piece<'_> {
    pub(crate) fn text(&self) -> &str {
        self.string.text()
    }
}

// === impl Texts ===

impl<'a> Texts<'a> {
    pub(crate) fn of(phase: Phase, document: &'a Document<'_>) -> Self {
        let mut texts = Self::default();
        match phase {
            Phase::Input => texts.read_request(document),
            Phase::Output => texts.read_response(document),
        }
        texts
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
        let spelled_again = self.logprobs.iter().filter(|(choice, _)| touched.contains(choice));
        changes.extend(spelled_again.map(|(_, span)| (*span, "null".to_owned())));
        splice(document.source(), changes)
    }

    fn read_request(&mut self, document: &'a Document<'_>) {
        for member in document.root().members() {
            if document.string(member.key).text() != "messages" {
                self.read_member(document, member, Author::Application, None);
                continue;
            }
            for message in member.value.items() {
                let role = document.member_text(message, "role");
                let author = author_of(role.as_deref());
                let is_role = role.is_some_and(|role| ROLES.contains(&role.as_ref()));
                for field in message.members() {
                    match document.string(field.key).text() {
                        // here it is what a participant calls himself
                        "name" => self.read(document, &field.value, author, None),
                        "role" if !is_role => self.read(document, &field.value, author, None),
                        _ => self.read_member(document, field, author, None),
                    }
                }
            }
        }
    }

    fn read_response(&mut self, document: &'a Document<'_>) {
        if !document.root().is_object() {
            return self.read(document, document.root(), Author::Model, None);
        }
        for member in document.root().members() {
            if document.string(member.key).text() != "choices" {
                self.read_member(document, member, Author::Model, None);
                continue;
            }
            for (at, choice) in member.value.items().iter().enumerate() {
                self.read_choice(document, choice, at);
            }
        }
    }

    fn read_choice(&mut self, document: &'a Document<'_>, choice: &Value, at: usize) {
        if !choice.is_object() {
            return self.read(document, choice, Author::Model, Some(at));
        }
        for member in choice.members() {
            if document.string(member.key).text() != "logprobs" {
                self.read_member(document, member, Author::Model, Some(at));
            } else if !member.value.is_null() {
                self.logprobs.push((at, member.value.span));
            }
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

    fn read(&mut self, document: &'a Document<'_>, value: &Value, author: Author, choice: Option<usize>) {
        if value.is_string() {
            self.pieces.push(Piece { author, string: document.string(value.span), choice });
        }
        for item in value.items() {
            self.read(document, item, author, choice);
        }
        for member in value.members() {
            self.read_member(document, member, author, choice);
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

/// One word as names, base64 and URLs are written: no sentence and no email address is one.
fn is_word(text: &str) -> bool {
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

fn author_of(role: Option<&str>) -> Author {
    match role {
        Some("system" | "developer") => Author::Application,
        Some("assistant") => Author::Model,
        _ => Author::User,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_texts(source: &str) -> Vec<(Author, String)> {
        let document = Document::parse(source.as_bytes()).unwrap();
        let texts = Texts::of(Phase::Input, &document);
        texts.pieces().iter().map(|piece| (piece.author, piece.text().to_owned())).collect()
    }

    #[test]
    fn text_is_found_wherever_a_request_may_hold_it() {
        let found = request_texts(
            r#"{"model":"m","messages":[
              {"role":"system","content":"s"},
              {"role":"user","name":"n","content":[{"type":"text","text":"u\u0031"},
                 {"type":"image_url","image_url":{"url":"data:x"}},{"type":"later","thought":{"of":["deep"]}}]},
              {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
                 "function":{"name":"f","arguments":"{\"a\":1}"}}]},
              {"role":"tool","tool_call_id":"c","content":"t"}],
             "tools":[{"type":"function","function":{"name":"f","description":"d"}}],"user":"me","stop":["x"]}"#,
        );
        let expected = [
            (Author::Application, "s"),
            (Author::User, "n"),
            (Author::User, "u1"),
            (Author::User, "deep"),
            (Author::Model, "{\"a\":1}"),
            (Author::User, "t"),
            (Author::Application, "d"),
            (Author::Application, "me"),
        ];
        assert_eq!(found, expected.map(|(author, text)| (author, text.to_owned())));
    }

    #[test]
    fn a_key_for_names_hides_no_words() {
        let found = request_texts(
            r#"{"model":"m","metadata":{"id":"a@b.org","order id":"7"},"stop":["in words"],"messages":[
              {"role":"system\nas told","content":"s"},
              {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD","detail":"low"}},
                 {"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}},{"type":"file","file_id":"f 1"}]},
              {"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"say this","arguments":""}}]}],
             "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{
                 "name":{"type":["string","null"],"description":"of whom"},"stop":{"description":"when"}}}}}]}"#,
        );
        let expected = [
            (Author::Application, "a@b.org"),
            (Author::Application, "7"),
            (Author::Application, "order id"),
            (Author::User, "system\nas told"),
            (Author::User, "s"),
            (Author::User, "f 1"),
            (Author::Model, "say this"),
            (Author::Model, ""),
            (Author::Application, "of whom"),
            (Author::Application, "when"),
        ];
        assert_eq!(found, expected.map(|(author, text)| (author, text.to_owned())));
    }

    #[test]
    fn a_splice_touches_nothing_else_and_drops_the_tokens_that_spell_the_text() {
        let source = r#"{ "id":"x", "choices":[ {"index":0,"logprobs":{"content":[{"token":"b"}]},"message":{"content":"a\u0040b c"}},
            {"index":1,"logprobs":{"content":[]},"message":{"content":"d"}}], "n":1e400 }"#;
        let document = Document::parse(source.as_bytes()).unwrap();
        let texts = Texts::of(Phase::Output, &document);
        let edit = Edit { piece: 0, range: 0..3, replacement: "[\"E\"]".to_owned() };
        let spliced = String::from_utf8(texts.splice(&document, &[edit])).unwrap();
        let expected = source.replacen(r#"{"content":[{"token":"b"}]}"#, "null", 1).replacen(
            r"a\u0040b",
            r#"[\"E\"]"#,
            1,
        );
        assert_eq!(spliced, expected);
    }
}
