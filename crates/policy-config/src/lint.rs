//! Every finding about a pack, at once.

pub mod change;
pub(crate) mod collector;
pub mod excerpt;
pub mod report;
pub mod rules;
pub(crate) mod secrets;

pub use change::{lint_change, lint_growth, lint_load};

use crate::document::PolicyDocument;
use report::LintReport;

/// Every finding about these bytes, in the order of the file.
pub fn lint(source: &[u8]) -> LintReport {
    PolicyDocument::new(source).parse().1
}
