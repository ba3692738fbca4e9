//! The outcomes of a pack's tests as JSON.

use serde::Serialize;

/// What `kt policy test --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TestView {
    pub(crate) ok: bool,
    pub(crate) results: Vec<CaseView>,
}

/// `{name, verdict, reason_code, passed, details, file, suite}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CaseView {
    pub(crate) name: String,
    pub(crate) verdict: &'static str,
    pub(crate) reason_code: Option<&'static str>,
    pub(crate) passed: bool,
    /// What was expected if it is not that, and what each policy found.
    pub(crate) details: String,
    /// Where the case stands: the pack, or a golden file below its directory.
    pub(crate) file: String,
    /// The suite in the pack; `null` for a golden file.
    pub(crate) suite: Option<String>,
}

// === impl TestView ===

impl TestView {
    pub(crate) fn of(results: Vec<CaseView>) -> Self {
        Self { ok: results.iter().all(|result| result.passed), results }
    }

    pub(crate) fn failed(&self) -> usize {
        self.results.iter().filter(|result| !result.passed).count()
    }
}
