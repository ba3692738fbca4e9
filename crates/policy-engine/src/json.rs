//! Strict JSON, read only to know where things lie: a tree of byte spans over the source, never a
//! second copy of it.
//!
//! A provider must read a body exactly as we did, so everything that two readers may read
//! differently is refused: duplicate keys (compared after unescaping), lone surrogates, bad UTF-8,
//! extra text. Numbers are checked for grammar alone and keep their spelling.

mod reader;
mod string;

use std::borrow::Cow;

pub(crate) use string::{JsonString, encode};

/// Levels of arrays and objects.
pub(crate) const MAX_DEPTH: usize = 64;
/// Values in one document; the tree costs about 50 bytes each.
pub(crate) const MAX_VALUES: usize = 250_000;

/// Why a body is not JSON that we pass on. Offsets are bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("it is not UTF-8 (byte {offset})")]
    NotUtf8 { offset: usize },
    #[error("it is not JSON: expected {expected} at byte {offset}")]
    Syntax { expected: &'static str, offset: usize },
    #[error("an escaped surrogate without its pair at byte {offset}")]
    LoneSurrogate { offset: usize },
    #[error("the key \"{key}\" stands twice in one object (byte {offset})")]
    DuplicateKey { key: String, offset: usize },
    #[error("it is nested deeper than {MAX_DEPTH} levels (byte {offset})")]
    TooDeep { offset: usize },
    #[error("it holds more than {MAX_VALUES} values")]
    TooManyValues,
}

/// Bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// A source and the tree of what lies where in it.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    source: Cow<'a, str>,
    root: Value,
}

/// A value and where it lies; of a string the span includes the quotes.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) shape: Shape,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Null,
    Bool(bool),
    Number,
    String,
    Array(Vec<Value>),
    Object(Vec<Member>),
}

#[derive(Debug)]
pub(crate) struct Member {
    /// Quotes included.
    pub(crate) key: Span,
    pub(crate) value: Value,
}

// === impl JsonError ===

impl JsonError {
    /// The reason without a word of the body: for who may not read what was not inspected.
    pub(crate) fn unquoted(&self) -> String {
        match self {
            Self::DuplicateKey { offset, .. } => format!("a key stands twice in one object (byte {offset})"),
            error => error.to_string(),
        }
    }
}

// === impl Document ===

impl<'a> Document<'a> {
    pub(crate) fn parse(source: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(source)
            .map_err(|error| JsonError::NotUtf8 { offset: error.valid_up_to() })?;
        Ok(Self { root: reader::read(text)?, source: Cow::Borrowed(text) })
    }

    /// The same over bytes that the document keeps.
    pub(crate) fn parse_owned(source: Vec<u8>) -> Result<Document<'static>, JsonError> {
        let text = String::from_utf8(source)
            .map_err(|error| JsonError::NotUtf8 { offset: error.utf8_error().valid_up_to() })?;
        Ok(Document { root: reader::read(&text)?, source: Cow::Owned(text) })
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn into_source(self) -> Vec<u8> {
        self.source.into_owned().into_bytes()
    }

    /// The bytes of a span of this document.
    pub(crate) fn raw(&self, span: Span) -> &str {
        self.source.get(span.start..span.end).unwrap_or_default()
    }

    /// What the string or key at this span says.
    pub(crate) fn string(&self, span: Span) -> JsonString<'_> {
        JsonString::decode(&self.source, span)
    }

    /// The member of an object by its unescaped key.
    pub(crate) fn member<'v>(&self, value: &'v Value, key: &str) -> Option<&'v Value> {
        let found = value.members().iter().find(|member| self.string(member.key).text() == key)?;
        Some(&found.value)
    }

    /// The text of a member that is a string.
    pub(crate) fn member_text(&self, value: &Value, key: &str) -> Option<Cow<'_, str>> {
        let found = self.member(value, key)?;
        found.is_string().then(|| self.string(found.span).into_text())
    }
}

// === impl Value ===

impl Value {
    pub(crate) fn members(&self) -> &[Member] {
        if let Shape::Object(members) = &self.shape { members } else { &[] }
    }

    pub(crate) fn items(&self) -> &[Value] {
        if let Shape::Array(items) = &self.shape { items } else { &[] }
    }

    pub(crate) fn is_string(&self) -> bool {
        matches!(self.shape, Shape::String)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.shape, Shape::Null)
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self.shape, Shape::Object(_))
    }
}

#[cfg(test)]
mod tests;
