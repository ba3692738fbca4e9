//! The recursive reader behind [`super::Document`]; recursion is bounded by `MAX_DEPTH`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{JsonError, JsonString, MAX_DEPTH, MAX_VALUES, Member, Shape, Span, Value};

/// Reads exactly one value with nothing but white space around it.
pub(super) fn read(source: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { source, at: 0, values: 0 };
    reader.skip_space();
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at == source.len() { Ok(value) } else { Err(reader.expected("the end of the body")) }
}

struct Reader<'a> {
    source: &'a str,
    at: usize,
    values: usize,
}

/// Objects with at most this many keys compare them pairwise; bigger ones build a set.
const FEW_KEYS: usize = 12;
/// Of a duplicate key, this much is shown.
const SHOWN_KEY_CHARS: usize = 64;

// === impl Reader ===

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(JsonError::TooManyValues);
        }
        let start = self.at;
        let shape = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => {
                self.string()?;
                Shape::String
            }
            Some(b't') => self.word("true", Shape::Bool(true))?,
            Some(b'f') => self.word("false", Shape::Bool(false))?,
            Some(b'n') => self.word("null", Shape::Null)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Value { span: Span { start, end: self.at }, shape })
    }

    fn object(&mut self, depth: usize) -> Result<Shape, JsonError> {
        self.enter(depth)?;
        let mut members: Vec<Member> = Vec::new();
        if self.closes(b'}') {
            return Ok(Shape::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in double quotes"));
            }
            let key = self.string()?;
            self.skip_space();
            self.take(b':', "`:` after a key")?;
            self.skip_space();
            let value = self.value(depth + 1)?;
            members.push(Member { key, value });
            if !self.separated(b'}', "`,` or `}`")? {
                break;
            }
        }
        self.refuse_duplicates(&members)?;
        Ok(Shape::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Shape, JsonError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        if self.closes(b']') {
            return Ok(Shape::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth + 1)?);
            if !self.separated(b']', "`,` or `]`")? {
                return Ok(Shape::Array(items));
            }
        }
    }

    fn string(&mut self) -> Result<Span, JsonError> {
        let start = self.at;
        self.at += 1;
        loop {
            let rest = self.rest();
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            if let Some(control) = control_in(rest.get(..plain).unwrap_or_default()) {
                self.at += control;
                return Err(self.expected("the end of a string"));
            }
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Span { start, end: self.at });
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.expected("the end of a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.code_unit()?;
                let lone = JsonError::LoneSurrogate { offset: start };
                match unit {
                    0xd800..=0xdbff if self.rest().starts_with(b"\\u") => {
                        self.at += 1;
                        if matches!(self.code_unit()?, 0xdc00..=0xdfff) { Ok(()) } else { Err(lone) }
                    }
                    0xd800..=0xdfff => Err(lone),
                    _ => Ok(()),
                }
            }
            _ => Err(self.expected("an escape that JSON knows")),
        }
    }

    /// `u` and four hex digits.
    fn code_unit(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit * 16 + digit.ok_or_else(|| self.expected("four hex digits"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Shape, JsonError> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Shape::Number)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str, shape: Shape) -> Result<Shape, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(shape)
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth >= MAX_DEPTH {
            return Err(JsonError::TooDeep { offset: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// Takes the closing bracket of an empty container.
    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let closed = self.peek() == Some(bracket);
        self.at += usize::from(closed);
        closed
    }

    /// Takes `,` (true) or the closing bracket (false).
    fn separated(&mut self, bracket: u8, expected: &'static str) -> Result<bool, JsonError> {
        self.skip_space();
        let more = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == bracket => false,
            _ => return Err(self.expected(expected)),
        };
        self.at += 1;
        Ok(more)
    }

    fn refuse_duplicates(&self, members: &[Member]) -> Result<(), JsonError> {
        let text = |member: &Member| JsonString::decode(self.source, member.key).into_text();
        let raw =
            |member: &Member| self.source.get(member.key.start + 1..member.key.end - 1).unwrap_or_default();
        let repeated = if members.len() > FEW_KEYS {
            let mut seen = BTreeSet::new();
            members.iter().position(|member| !seen.insert(text(member)))
        } else if members.iter().any(|member| raw(member).contains('\\')) {
            let keys: Vec<Cow<'_, str>> = members.iter().map(text).collect();
            (1..keys.len()).find(|&at| keys.iter().take(at).any(|earlier| keys.get(at) == Some(earlier)))
        } else {
            // keys without escapes say what they spell
            members
                .iter()
                .enumerate()
                .position(|(at, member)| members.iter().take(at).any(|earlier| raw(earlier) == raw(member)))
        };
        let Some(member) = repeated.and_then(|at| members.get(at)) else { return Ok(()) };
        let key = text(member).escape_debug().take(SHOWN_KEY_CHARS).collect();
        Err(JsonError::DuplicateKey { key, offset: member.key.start })
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.source.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { expected, offset: self.at }
    }
}

/// Where the first control character of a string lies. Whether there is one at all is asked without a branch per
/// byte, which the compiler turns into wide steps.
fn control_in(plain: &[u8]) -> Option<usize> {
    let any = plain.iter().fold(false, |any, byte| any | (*byte < 0x20));
    if any { plain.iter().position(|byte| *byte < 0x20) } else { None }
}
