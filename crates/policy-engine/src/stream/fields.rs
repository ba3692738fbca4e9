//! Where an event of each endpoint carries a piece of a text that flows over many events, and which texts it ends.

use std::collections::{BTreeMap, BTreeSet};

use super::key::{Key, Step};
use crate::endpoint::Endpoint;
use crate::json::{Document, Member, Shape, Span, Value, encode};
use crate::text::{is_text, is_word, no_tokens, spells_tokens};

/// What one event holds of flowing texts.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// In the order of the source; empty strings too.
    pub(super) pieces: Vec<Piece>,
    pub(super) ends: Ends,
    /// By choice, which of its texts and calls go on or begin.
    lanes: BTreeMap<u64, BTreeSet<Vec<Step>>>,
    /// Tokens that spell texts again, and what stands in their place.
    pub(super) tokens: Vec<(Span, &'static str)>,
    /// Without its text the event says nothing.
    pub(super) is_text_only: bool,
    /// A number that says where a text belongs is none: two readers may read it differently.
    pub(super) is_misplaced: bool,
}

/// A string that goes on with a text.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) key: Key,
    pub(super) span: Span,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// On and on, until another event ends it.
    Flows,
    /// It ends with its event; if it goes on all the same, it is judged together with what was sent of it.
    Whole,
    /// The same of a name or of media: one word is no text.
    Named,
    /// Each event says again what the ones before it said.
    Grows,
}

/// The texts that an event ends.
#[derive(Debug, Default)]
pub(super) enum Ends {
    #[default]
    None,
    All,
    Choices(BTreeSet<u64>),
    /// Those of `responses` that agree with each of these.
    Places(Vec<(&'static str, u64)>),
    Block(u64),
}

/// By which an event of `responses` says where its text belongs.
const PLACES: &[&str] = &["output_index", "content_index", "summary_index"];
/// What stands below these is whole in each event, also where the next event brings another one.
const NOTES: &[&str] = &["annotations", "citations", "citation"];
/// The words of a model as an object: keys in it name nothing that is known.
const OPEN: &[&str] = &["arguments", "input"];

// === impl Fields ===

impl Fields {
    pub(super) fn read(endpoint: Endpoint, document: &Document<'_>) -> Self {
        let mut fields = Self::default();
        let root = document.root();
        let is_chunk = document.member(root, "choices").is_some() && document.member(root, "delta").is_none();
        match endpoint {
            Endpoint::Embeddings => {}
            Endpoint::ChatCompletions | Endpoint::Completions => fields.read_chunk(document),
            // whatever was asked for: this is what came
            _ if is_chunk => fields.read_chunk(document),
            Endpoint::Responses => fields.read_responses(document),
            Endpoint::Messages => fields.read_messages(document),
        }
        if document.member(root, "error").is_some_and(|error| !error.is_null()) {
            fields.ends = Ends::All;
        }
        fields
    }

    /// The texts that go on in this event, each with the number of the last piece that does so.
    pub(super) fn last_pieces(&self) -> BTreeMap<&Key, usize> {
        self.pieces.iter().enumerate().map(|(at, piece)| (&piece.key, at)).collect()
    }

    /// Whether one of the pieces begins at this place.
    pub(super) fn has_piece_at(&self, place: usize) -> bool {
        self.pieces.binary_search_by_key(&place, |piece| piece.span.start + 1).is_ok()
    }

    /// Whether the choice of this text has gone on to another one: clients take what is not the newest for whole.
    pub(super) fn leaves(&self, key: &Key) -> bool {
        let Key::Choice(choice, path) = key else { return false };
        self.lanes.get(choice).is_some_and(|lanes| !lanes.contains(lane(path)))
    }

    /// The `id` of each call of a tool that the event names.
    pub(super) fn call_ids(&self) -> impl Iterator<Item = &Piece> {
        let is_id = |path: &[Step]| is_call(path) && matches!(path, [_, _, _, Step::Key(key)] if key == "id");
        self.pieces.iter().filter(move |piece| matches!(&piece.key, Key::Choice(_, path) if is_id(path)))
    }

    /// What is to stand in the event instead of what came with it, where `texts` may be sent of its pieces.
    pub(super) fn changes(
        &self,
        document: &Document<'_>,
        texts: &[String],
        number: Option<(Span, u64)>,
    ) -> Vec<(Span, String)> {
        let texts = self.pieces.iter().zip(texts);
        let other = texts.filter(|(piece, text)| document.string(piece.span).text() != *text);
        let mut changes: Vec<(Span, String)> =
            other.map(|(piece, text)| (piece.span, format!("\"{}\"", encode(text)))).collect();
        changes.extend(self.tokens.iter().map(|(span, none)| (*span, (*none).to_owned())));
        changes.extend(number.map(|(span, number)| (span, number.to_string())));
        changes
    }

    fn read_chunk(&mut self, document: &Document<'_>) {
        let root = document.root();
        let choices = document.member(root, "choices").map(Value::items).unwrap_or_default();
        let usage = document.member(root, "usage").is_some_and(|usage| !usage.is_null());
        self.is_text_only = !choices.is_empty() && !usage;
        let mut finished = BTreeSet::new();
        for (at, choice) in choices.iter().enumerate() {
            let index = self.number(document, choice, "index").unwrap_or(at as u64);
            // beside a delta it is all that was said so far
            let delta = document.member(choice, "delta");
            let message = if delta.is_some_and(Value::is_object) { How::Grows } else { How::Flows };
            for member in choice.members() {
                match document.string(member.key).text() {
                    // the latter two from providers that stream as if they did not, and of `completions`
                    "delta" | "text" => self.read_choice(document, member, index, How::Flows),
                    "message" => self.read_choice(document, member, index, message),
                    "finish_reason" if member.value.is_null() => {}
                    "finish_reason" => {
                        if member.value.is_string() && document.raw(member.value.span) != "\"\"" {
                            finished.insert(index);
                            self.is_text_only = false;
                        }
                    }
                    "index" => {}
                    key if spells_tokens(key) => self.tokens.extend(no_tokens(&member.value)),
                    _ => {
                        self.is_text_only &= member.value.is_null();
                        self.read_choice(document, member, index, How::Whole);
                    }
                }
            }
        }
        self.read_tokens_of(document, root);
        if !finished.is_empty() {
            self.ends = Ends::Choices(finished);
        }
    }

    fn read_choice(&mut self, document: &Document<'_>, member: &Member, choice: u64, how: How) {
        let key = document.string(member.key).into_text().into_owned();
        let mut path = vec![Step::Key(key.clone())];
        let is_named = !is_text(&key);
        self.read_strings(
            document,
            &member.value,
            (how, is_named),
            &|path| Key::Choice(choice, path),
            &mut path,
        );
    }

    /// All strings of a value; `how` they go on, and whether the key over them is that of a name.
    fn read_strings(
        &mut self,
        document: &Document<'_>,
        value: &Value,
        (how, is_named): (How, bool),
        key_of: &dyn Fn(Vec<Step>) -> Key,
        path: &mut Vec<Step>,
    ) {
        match &value.shape {
            Shape::String => {
                let how = if is_named { How::Named } else { how };
                let is_empty = document.raw(value.span).len() <= 2;
                self.is_text_only &= !is_named || is_empty;
                let key = key_of(path.clone());
                if let Key::Choice(choice, path) = &key
                    && !is_empty
                    && (how == How::Flows || is_call(path))
                {
                    self.lanes.entry(*choice).or_default().insert(lane(path).to_vec());
                }
                self.pieces.push(Piece { key, span: value.span, how });
            }
            Shape::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    let index = self.number(document, item, "index");
                    path.push(index.map_or(Step::At(at as u64), Step::Item));
                    self.read_strings(document, item, (how, is_named), key_of, path);
                    path.pop();
                }
            }
            Shape::Object(members) => {
                let is_text_part = || document.member_text(value, "type").is_some_and(|kind| kind == "text");
                let is_open =
                    path.iter().any(|step| matches!(step, Step::Key(key) if OPEN.contains(&key.as_str())));
                for member in members {
                    let key = document.string(member.key).into_text().into_owned();
                    let is_words = is_open || is_text(&key) || (key == "data" && is_text_part());
                    // a key that is text itself is in no event that is made here
                    let is_whole =
                        how == How::Flows && (is_open || !is_word(&key) || NOTES.contains(&key.as_str()));
                    let how = if is_whole { How::Whole } else { how };
                    path.push(Step::Key(key));
                    self.read_strings(document, &member.value, (how, !is_words), key_of, path);
                    path.pop();
                }
            }
            Shape::Number | Shape::Bool(_) => {
                self.is_text_only &= matches!(path.last(), Some(Step::Key(key)) if key == "index");
            }
            Shape::Null => {}
        }
    }

    /// Their events are numbered without gaps, so none is left out.
    fn read_responses(&mut self, document: &Document<'_>) {
        let root = document.root();
        let kind = document.member_text(root, "type").unwrap_or_default();
        let places: Vec<(&'static str, u64)> =
            PLACES.iter().filter_map(|key| Some((*key, self.number(document, root, key)?))).collect();
        if let Some(delta) = document.member(root, "delta") {
            let item = document.member(root, "item_id").map(|item| document.raw(item.span).to_owned());
            let key_of = |path| Key::Delta {
                kind: kind.clone().into_owned(),
                item: item.clone(),
                places: places.clone(),
                path,
            };
            // base64
            let is_named = matches!(kind.as_ref(), "response.audio.delta" | "response.output_audio.delta");
            self.read_strings(document, delta, (How::Flows, is_named), &key_of, &mut Vec::new());
        }
        match kind.as_ref() {
            "response.completed" | "response.incomplete" | "response.failed" | "error" => {
                self.ends = Ends::All;
            }
            kind if kind.ends_with(".done") => self.ends = Ends::Places(places),
            _ => {}
        }
        let source = document.source().as_bytes();
        if [&b"logprobs"[..], b"token_ids"].iter().any(|key| memchr::memmem::find(source, key).is_some()) {
            self.read_tokens(document, root);
        }
    }

    fn read_tokens(&mut self, document: &Document<'_>, value: &Value) {
        value.items().iter().for_each(|item| self.read_tokens(document, item));
        for member in value.members().iter().filter(|member| !is_tokens(document, member)) {
            self.read_tokens(document, &member.value);
        }
        self.read_tokens_of(document, value);
    }

    fn read_tokens_of(&mut self, document: &Document<'_>, value: &Value) {
        let tokens = value.members().iter().filter(|member| is_tokens(document, member));
        self.tokens.extend(tokens.filter_map(|member| no_tokens(&member.value)));
    }

    fn read_messages(&mut self, document: &Document<'_>) {
        let root = document.root();
        let kind = document.member_text(root, "type").unwrap_or_default();
        let index = self.number(document, root, "index").unwrap_or(0);
        let key_of = |path| Key::Block(index, path);
        if let Some(delta) = document.member(root, "delta")
            && kind != "message_delta"
        {
            let is_known = kind == "content_block_delta";
            // what is held can be sent on only in a kind of event that is known
            let (how, mut path) = match is_known {
                true => (How::Flows, Vec::new()),
                false => (How::Whole, vec![Step::key(&kind)]),
            };
            self.read_strings(document, delta, (how, false), &key_of, &mut path);
            // the type of a delta says no more than its text
            let says =
                |piece: &Piece| piece.how == How::Named && piece.key != key_of(vec![Step::key("type")]);
            self.is_text_only = is_known
                && !self.pieces.iter().any(|piece| says(piece) && document.raw(piece.span).len() > 2);
        }
        match kind.as_ref() {
            "content_block_start" => {
                let block = document.member(root, "content_block").map(Value::members).unwrap_or_default();
                for member in block.iter().filter(|member| member.value.is_string()) {
                    let key = document.string(member.key).into_text().into_owned();
                    let how = match key.as_str() {
                        "text" | "partial_json" | "thinking" => How::Flows,
                        key if is_text(key) => How::Whole,
                        _ => How::Named,
                    };
                    let key = key_of(vec![Step::Key(key)]);
                    self.pieces.push(Piece { key, span: member.value.span, how });
                }
            }
            "content_block_stop" => self.ends = Ends::Block(index),
            "message_start" | "message_delta" | "message_stop" | "error" => self.ends = Ends::All,
            _ => {}
        }
    }

    /// A member that counts; absent and null count nothing.
    fn number(&mut self, document: &Document<'_>, value: &Value, key: &str) -> Option<u64> {
        let member = document.member(value, key).filter(|member| !member.is_null())?;
        let number = document.raw(member.span).parse().ok();
        self.is_misplaced |= number.is_none();
        number
    }
}

fn is_tokens(document: &Document<'_>, member: &Member) -> bool {
    spells_tokens(document.string(member.key).text())
}

/// Of a path of a choice: as far as it names one text, or one call of a tool.
fn lane(path: &[Step]) -> &[Step] {
    path.get(..3).filter(|_| is_call(path)).unwrap_or(path)
}

/// Whether both are of one text, or of one call.
pub(super) fn share_lane(one: &Key, other: &Key) -> bool {
    match (one, other) {
        (Key::Choice(choice, path), Key::Choice(other, other_path)) => {
            choice == other && lane(path) == lane(other_path)
        }
        _ => false,
    }
}

fn is_call(path: &[Step]) -> bool {
    matches!(path, [_, Step::Key(key), Step::Item(_) | Step::At(_), ..] if key == "tool_calls")
}

// === impl Ends ===

impl Ends {
    pub(super) fn end(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::All, _) => true,
            (Self::Choices(ended), Key::Choice(choice, _)) => ended.contains(choice),
            (Self::Block(ended), Key::Block(block, _)) => ended == block,
            (Self::Places(ended), Key::Delta { places, .. }) => {
                let agrees = |(name, at): &(&str, u64)| {
                    places.iter().all(|(other, place)| other != name || place == at)
                };
                ended.iter().all(agrees)
            }
            _ => false,
        }
    }
}
