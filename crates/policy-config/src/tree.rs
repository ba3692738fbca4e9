//! A YAML or JSON document as a tree of nodes with their places: what the schema is read from.
//!
//! Knows nothing of packs and nothing of the parser that built it.

use crate::location::Location;

/// One value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub at: Location,
    pub kind: NodeKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// Text of one scalar after escapes, and whether it was written without quotes: only then can it be
/// null, a boolean or a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    pub plain: bool,
}

/// One `key: value` of a mapping; keys of a mapping are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub key_at: Location,
    pub value: Node,
}

/// What an author meant by a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Null,
    Boolean,
    Number,
    Text,
}

// === impl Node ===

impl Node {
    /// What this node is, for "expected X, found Y".
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a mapping",
            NodeKind::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => "nothing",
                Meaning::Boolean => "a boolean",
                Meaning::Number => "a number",
                Meaning::Text => "text",
            },
        }
    }

    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The value of this key, if this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Self> {
        let NodeKind::Mapping(entries) = &self.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }
}

// === impl Scalar ===

impl Scalar {
    pub fn meaning(&self) -> Meaning {
        if !self.plain {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Meaning::Boolean,
            text if is_number(text) => Meaning::Number,
            _ => Meaning::Text,
        }
    }
}

/// Numbers of YAML 1.2, and of 1.1 where other tools would still read one (`0o17`, `1_000`).
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if let Some(digits) = unsigned.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_');
    }
    if let Some(digits) = unsigned.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|b| matches!(b, b'0'..=b'7' | b'_'));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    if exponent.is_some_and(|digits| digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit())) {
        return false;
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let any = |part: &str| part.bytes().any(|b| b.is_ascii_digit());
    digits(whole) && digits(fraction) && (any(whole) || any(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_is_what_yaml_says() {
        let meaning = |text: &str| Scalar { text: text.to_owned(), plain: true }.meaning();
        for number in
            ["1", "-5", "1.10", "1e3", ".5", "0x1F", "0o17", "017", "1_000", ".inf", "-.INF", ".nan", "1."]
        {
            assert_eq!(meaning(number), Meaning::Number, "{number}");
        }
        for text in ["0.1.0", "gpt-4", "e3", ".", "-", "1e", "0x", "5 m", "yes", "on", "_"] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
        assert_eq!(meaning("~"), Meaning::Null);
        assert_eq!(meaning("True"), Meaning::Boolean);
        assert_eq!(Scalar { text: "1".to_owned(), plain: false }.meaning(), Meaning::Text);
    }
}
