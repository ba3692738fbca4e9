//! The numbers of a fleet: what was stored, in which order it was assigned, what runs.

use std::fmt;

use policy_config::ConfigDigest;
use policy_config::schema::{PackName, PackVersion};

use crate::time::Timestamp;

/// Ordinal of a stored version of one config, from 1, gapless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Ordinal of an assignment to one gateway, from 1; only grows within a lineage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// An immutable stored version of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigVersion {
    pub config: PackName,
    pub revision: Revision,
    pub version: PackVersion,
    pub digest: ConfigDigest,
}

/// What a gateway should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DesiredVersion {
    pub revision: Revision,
    pub generation: Generation,
    pub digest: ConfigDigest,
}

/// What a gateway said it runs, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObservedVersion {
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub since: Timestamp,
}

// === impl Revision ===

impl Revision {
    pub const FIRST: Self = Self(1);

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

// === impl Generation ===

impl Generation {
    pub const FIRST: Self = Self(1);

    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
