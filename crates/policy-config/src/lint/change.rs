//! Changes between two versions of a pack that deserve a second look.

use super::report::LintReport;
use crate::schema::PolicyConfig;

/// Dangerous changes from `old` to `new`.
pub fn lint_change(_old: &PolicyConfig, _new: &PolicyConfig) -> LintReport {
    LintReport::default()
}

/// A pack whose source at least doubled.
pub fn lint_growth(_old_bytes: usize, _new_bytes: usize) -> LintReport {
    LintReport::default()
}
