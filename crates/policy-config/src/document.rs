//! A policy file: bytes, their digest, and what they say. The only place that reads YAML.

use crate::digest::ConfigDigest;
use crate::lint::report::LintReport;
use crate::schema::PolicyConfig;

/// The bytes of one policy file as authored, with their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    source: Vec<u8>,
    digest: ConfigDigest,
}

// === impl PolicyDocument ===

impl PolicyDocument {
    pub fn new(source: impl Into<Vec<u8>>) -> Self {
        let source = source.into();
        let digest = ConfigDigest::of(&source);
        Self { source, digest }
    }

    pub fn source(&self) -> &[u8] {
        &self.source
    }

    pub fn digest(&self) -> ConfigDigest {
        self.digest
    }

    /// Every finding at once; a config only when none of them is an error.
    pub fn parse(&self) -> (Option<PolicyConfig>, LintReport) {
        (None, LintReport::default())
    }
}
