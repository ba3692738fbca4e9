//! Whether a text that has begun may yet turn out to be JSON.

/// Levels that are followed; the strict reader takes fewer.
const MAX_DEPTH: usize = 1024;

/// Follows a text byte by byte. It takes for JSON whatever the strict reader takes, and more that some reader takes:
/// numbers are not checked, nor what stands twice, nor surrogates; NaN and Infinity are numbers; several values may
/// follow one another.
#[derive(Debug, Default)]
pub(super) struct JsonPrefix {
    /// Of what is open, inside last: whether it is an object.
    open: Vec<bool>,
    next: Next,
}

/// What may come next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// White space, then an object or an array.
    #[default]
    Beginning,
    Value,
    /// A value, or the end of an empty array.
    FirstValue,
    Key,
    /// A key, or the end of an empty object.
    FirstKey,
    Colon,
    /// A comma or the end of what is open.
    Separator,
    /// More of a string; `key`: a colon follows it.
    Text {
        key: bool,
        escaped: bool,
    },
    /// More of a number, or what may follow a value.
    Number,
    Word(&'static [u8]),
    /// White space, or one more object or array.
    End,
    /// It is none.
    Nothing,
}

// === impl JsonPrefix ===

impl JsonPrefix {
    /// Reads on. False: no text that begins like this is an object or array.
    pub(super) fn read(&mut self, text: &str) -> bool {
        let mut rest = text.as_bytes();
        while let [byte, behind @ ..] = rest {
            if self.next == Next::Nothing {
                return false;
            }
            self.next = self.after(*byte);
            rest = match self.next {
                Next::Text { escaped: false, .. } => behind.get(plain_in(behind)..).unwrap_or_default(),
                _ => behind,
            };
        }
        self.next != Next::Nothing
    }

    /// White space apart, nothing has come yet.
    pub(super) fn has_not_begun(&self) -> bool {
        self.next == Next::Beginning
    }

    fn after(&mut self, byte: u8) -> Next {
        match (self.next, byte) {
            (Next::Text { key, escaped: true }, _) => Next::Text { key, escaped: false },
            (Next::Text { key, .. }, b'\\') => Next::Text { key, escaped: true },
            (Next::Text { key: true, .. }, b'"') => Next::Colon,
            (Next::Text { key: false, .. }, b'"') => Next::Separator,
            (Next::Text { .. }, 0..=0x1f) => Next::Nothing,
            (text @ Next::Text { .. }, _) => text,
            (Next::Word([first, rest @ ..]), _) if *first == byte => {
                if rest.is_empty() {
                    Next::Separator
                } else {
                    Next::Word(rest)
                }
            }
            (Next::Number, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => Next::Number,
            (Next::Number, b'I') => Next::Word(b"nfinity"),
            (Next::Number, b' ' | b'\t' | b'\n' | b'\r') => Next::Separator,
            (Next::Number, _) => self.separated(byte),
            (Next::Word(_), _) => Next::Nothing,
            (next, b' ' | b'\t' | b'\n' | b'\r') => next,
            (Next::Beginning | Next::End | Next::Value | Next::FirstValue, b'{') => self.opened(true),
            (Next::Beginning | Next::End | Next::Value | Next::FirstValue, b'[') => self.opened(false),
            (Next::Value | Next::FirstValue, b'"') => Next::Text { key: false, escaped: false },
            (Next::Value | Next::FirstValue, b'-' | b'0'..=b'9') => Next::Number,
            (Next::Value | Next::FirstValue, b't') => Next::Word(b"rue"),
            (Next::Value | Next::FirstValue, b'f') => Next::Word(b"alse"),
            (Next::Value | Next::FirstValue, b'N') => Next::Word(b"aN"),
            (Next::Value | Next::FirstValue, b'I') => Next::Word(b"nfinity"),
            (Next::Value | Next::FirstValue, b'n') => Next::Word(b"ull"),
            (Next::Key | Next::FirstKey, b'"') => Next::Text { key: true, escaped: false },
            (Next::FirstValue | Next::FirstKey, b']' | b'}') => self.closed(byte),
            (Next::Colon, b':') => Next::Value,
            (Next::Separator, _) => self.separated(byte),
            _ => Next::Nothing,
        }
    }

    fn separated(&mut self, byte: u8) -> Next {
        match (byte, self.open.last()) {
            (b',', Some(true)) => Next::Key,
            (b',', Some(false)) => Next::Value,
            _ => self.closed(byte),
        }
    }

    fn opened(&mut self, object: bool) -> Next {
        if self.open.len() >= MAX_DEPTH {
            return Next::Nothing;
        }
        self.open.push(object);
        if object { Next::FirstKey } else { Next::FirstValue }
    }

    fn closed(&mut self, byte: u8) -> Next {
        match (byte, self.open.pop()) {
            (b'}', Some(true)) | (b']', Some(false)) if self.open.is_empty() => Next::End,
            (b'}', Some(true)) | (b']', Some(false)) => Next::Separator,
            _ => Next::Nothing,
        }
    }
}

/// How many bytes of a string say nothing about where it ends. Most of nearly every text is that.
fn plain_in(text: &[u8]) -> usize {
    let end = memchr::memchr2(b'"', b'\\', text).unwrap_or(text.len());
    let plain = text.get(..end).unwrap_or_default();
    let has_control = plain.iter().fold(false, |any, byte| any | (*byte < 0x20));
    if has_control { plain.iter().position(|byte| *byte < 0x20).unwrap_or(end) } else { end }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Document;

    #[test]
    fn what_can_be_no_json_is_known_at_the_first_byte_that_says_so() {
        for (text, at) in [("Hello", 0), (" \n[Some] x", 3), ("{a", 1), ("[1] and", 4), ("{\"a\" 1", 5)] {
            let mut prefix = JsonPrefix::default();
            assert!(prefix.read(&text[..at]), "{text}");
            assert!(!prefix.read(&text[at..=at]), "{text}");
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "null",
            "true",
            "false",
            "-1.5e+3",
            "0",
            "\"\"",
            "\"a\\\"\\u0041\\\\\"",
            "[]",
            "{ }",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4)
                    .prop_map(|items| format!("[{}]", items.join(" ,\n"))),
                prop::collection::vec(inner, 1..4).prop_map(|items| {
                    let members = items.iter().enumerate().map(|(at, item)| format!("\"k{at}\" : {item}"));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn no_json_is_taken_for_something_else(json in json(), spoil in 0usize..200, by in "[\\PC]") {
            let mut text = format!(" {json}\n");
            if spoil < text.len() && text.is_char_boundary(spoil) {
                text.insert_str(spoil, &by);
            }
            let is_json = text.trim_start().starts_with(['{', '[']) && Document::parse(text.as_bytes()).is_ok();
            prop_assert!(JsonPrefix::default().read(&text) || !is_json, "{text}");
        }
    }
}
