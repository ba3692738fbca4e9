//! Who a gateway is: (fleet, name), and the labels it carries.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A fleet's name: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetName(String);

/// A gateway's name within its fleet, and of its directory on the host: `[a-z0-9][a-z0-9-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayName(String);

/// (fleet, name), shown as `FLEET/NAME`; one gateway.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayPath {
    pub fleet: FleetName,
    pub name: GatewayName,
}

/// At most 32 labels; keys `[a-z0-9][a-z0-9._/-]{0,62}`, values up to 128 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(BTreeMap<String, String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("a fleet name is 1-63 of a-z 0-9 - and starts with a letter or digit")]
    Fleet,
    #[error("a gateway name is 1-63 of a-z 0-9 - and starts with a letter or digit")]
    Gateway,
    #[error("a gateway is named FLEET/NAME")]
    Path,
    #[error(
        "a label is KEY=VALUE: the key 1-63 of a-z 0-9 . _ / -, the value up to 128 printable characters"
    )]
    Label,
    #[error("a gateway has at most {MAX_LABELS} labels")]
    TooManyLabels,
}

pub const MAX_LABELS: usize = 32;

// === impl FleetName ===

impl FleetName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FleetName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Fleet) }
    }
}

impl fmt::Display for FleetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl GatewayName ===

impl GatewayName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for GatewayName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName::Gateway) }
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl GatewayPath ===

impl FromStr for GatewayPath {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (fleet, name) = text.split_once('/').ok_or(InvalidName::Path)?;
        Ok(Self { fleet: fleet.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for GatewayPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.fleet, self.name)
    }
}

// === impl Labels ===

impl Labels {
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidName> {
        let labels: BTreeMap<String, String> = pairs.into_iter().collect();
        if labels.len() > MAX_LABELS {
            return Err(InvalidName::TooManyLabels);
        }
        if labels.iter().all(|(key, value)| is_label_key(key) && is_label_value(value)) {
            Ok(Self(labels))
        } else {
            Err(InvalidName::Label)
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_label_key(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'/' | b'-'))
}

fn is_label_value(text: &str) -> bool {
    text.chars().count() <= 128 && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_grammar() {
        for good in ["a", "edge-1", "0", &"a".repeat(63)] {
            assert!(good.parse::<GatewayName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "ä", "..", &"a".repeat(64)] {
            assert_eq!(bad.parse::<GatewayName>(), Err(InvalidName::Gateway), "{bad}");
        }
        assert_eq!(
            "prod/edge-1".parse::<GatewayPath>().map(|path| path.to_string()),
            Ok("prod/edge-1".into())
        );
        assert_eq!("prod".parse::<GatewayPath>(), Err(InvalidName::Path));
    }

    #[test]
    fn labels_are_bounded() {
        let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert!(Labels::new(pair("region", "eu")).is_ok());
        assert_eq!(Labels::new(pair("Region", "eu")), Err(InvalidName::Label));
        assert_eq!(Labels::new(pair("region", "a\u{1b}[31m")), Err(InvalidName::Label));
        let many = (0..33).map(|n| (format!("k{n}"), String::new()));
        assert_eq!(Labels::new(many), Err(InvalidName::TooManyLabels));
    }
}
