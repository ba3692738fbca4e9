//! A second opinion on JSON: serde's reader, with duplicate keys refused, and a scanner of string literals.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A document as serde reads it. Numbers are kept as text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Other(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

/// A document without its strings, and the strings, escapes and all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skeleton<'s> {
    pub(crate) bones: String,
    pub(crate) strings: Vec<&'s str>,
}

struct Reader;

/// Why serde did not read it, or `None` where it differs from us on purpose: we keep a number's spelling and
/// never its value, so none is too large.
pub(crate) fn read(source: &[u8]) -> Option<Result<Json, String>> {
    match serde_json::from_slice::<Json>(source) {
        Ok(json) => Some(Ok(json)),
        Err(error) if error.to_string().contains("number out of range") => None,
        Err(error) => Some(Err(error.to_string())),
    }
}

pub(crate) fn skeleton(source: &str) -> Skeleton<'_> {
    let (mut bones, mut strings, mut rest) = (String::new(), Vec::new(), source);
    while let Some((before, after)) = rest.split_once('"') {
        bones.push_str(before);
        bones.push_str("\"\"");
        let mut escaped = false;
        let end = after.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let end = end.unwrap_or(after.len());
        strings.push(&after[..end]);
        rest = after.get(end + 1..).unwrap_or_default();
    }
    bones.push_str(rest);
    Skeleton { bones, strings }
}

// === impl Skeleton ===

impl Skeleton<'_> {
    /// The bones with a string for every number.
    pub(crate) fn values(&self) -> String {
        let number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let mut values = String::new();
        let mut rest = self.bones.as_str();
        while let Some(at) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
            values.push_str(&rest[..at]);
            values.push_str("\"\"");
            rest = rest[at..].trim_start_matches(number);
        }
        values + rest
    }
}

// === impl Json ===

impl Json {
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::Other(_) | Self::Text(_) => 0,
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or_default(),
            Self::Map(members) => {
                1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or_default()
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(members) = self else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Other(word) if word == "null")
    }

    /// Every text and key, but for what stands under these keys.
    pub(crate) fn texts<'j>(&'j self, but: &[&str], found: &mut Vec<&'j str>) {
        match self {
            Self::Other(_) => {}
            Self::Text(text) => found.push(text),
            Self::List(items) => items.iter().for_each(|item| item.texts(but, found)),
            Self::Map(members) => {
                for (key, value) in members {
                    found.push(key);
                    if !but.contains(&&**key) {
                        value.texts(but, found);
                    }
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

// === impl Reader ===

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON without duplicate keys")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other("null".to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Other(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Other(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        // so that 1.0 is not taken for the ordinal 1
        Ok(Json::Other(format!("{value:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            read.push(item);
        }
        Ok(Json::List(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let (mut read, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        while let Some((key, value)) = members.next_entry::<String, Json>()? {
            if !seen.insert(key.clone()) {
                return Err(A::Error::custom("a key stands twice"));
            }
            read.push((key, value));
        }
        Ok(Json::Map(read))
    }
}
