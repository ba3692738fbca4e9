//! An offer, and the answer to exactly one offer.

use std::fmt;
use std::str::FromStr;

use policy_config::{ConfigDigest, Finding};

use crate::ids::{Lineage, OfferId};
use crate::version::Generation;

/// A desired version on its way to one gateway; the bytes travel beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub id: OfferId,
    pub digest: ConfigDigest,
    pub intent: Intent,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// All stages up to the keep, then an answer; moves nothing and so carries no generation.
    Validate,
    Activate {
        lineage: Lineage,
        generation: Generation,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledgement {
    /// It is active and durable.
    Ack { warnings: Vec<Finding> },
    /// Nothing changed.
    Nack(NackReason),
}

/// Why a gateway refused: data, so that it renders like a local lint wherever it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NackReason {
    pub stage: Stage,
    /// One sentence; never holds a secret.
    pub reason: String,
    pub findings: Vec<Finding>,
}

/// The step of an activation that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Verify,
    Lint,
    Secrets,
    Compile,
    SelfTest,
    Storage,
    Generation,
}

/// Text that names no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a stage is one of verify, lint, secrets, compile, self_test, storage, generation")]
pub struct InvalidStage;

// === impl Stage ===

impl Stage {
    pub const ALL: &[Self] = &[
        Self::Verify,
        Self::Lint,
        Self::Secrets,
        Self::Compile,
        Self::SelfTest,
        Self::Storage,
        Self::Generation,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Lint => "lint",
            Self::Secrets => "secrets",
            Self::Compile => "compile",
            Self::SelfTest => "self_test",
            Self::Storage => "storage",
            Self::Generation => "generation",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stage {
    type Err = InvalidStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|stage| stage.as_str() == text).ok_or(InvalidStage)
    }
}
