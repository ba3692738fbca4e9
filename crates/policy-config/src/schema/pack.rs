//! `pack`: who this file is.

use std::fmt;
use std::str::FromStr;

/// `pack`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    pub name: PackName,
    pub version: PackVersion,
    /// `false`: the gateway answers 503 `pack_disabled`; it never becomes an open proxy.
    pub enabled: bool,
    pub description: Option<String>,
    pub author: Option<String>,
}

/// `pack.name`, which is the config name: 1-200 of `[A-Za-z0-9._-]`, starting alphanumeric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackName(String);

/// `pack.version`: semver `MAJOR.MINOR.PATCH[-pre]`, without build metadata.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackVersion(semver::Version);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a config name is 1-200 of A-Z a-z 0-9 . _ - and starts with a letter or digit")]
pub struct InvalidPackName;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pack version is MAJOR.MINOR.PATCH with an optional -prerelease, as 0.1.0")]
pub struct InvalidPackVersion;

// === impl PackName ===

impl PackName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackName {
    type Err = InvalidPackName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        let all_allowed = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if starts_well && all_allowed && text.len() <= 200 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidPackName)
        }
    }
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl PackVersion ===

impl FromStr for PackVersion {
    type Err = InvalidPackVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let version = semver::Version::parse(text).map_err(|_| InvalidPackVersion)?;
        if version.build.is_empty() && text.len() <= 64 { Ok(Self(version)) } else { Err(InvalidPackVersion) }
    }
}

impl fmt::Display for PackVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
