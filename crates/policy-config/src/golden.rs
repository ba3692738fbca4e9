//! Golden files: the cases of `testing.suites` in JSON files beside the pack.

use crate::lint::collector::Collector;
use crate::lint::report::LintReport;
use crate::schema::TestCase;
use crate::schema::read::testing::read_golden;
use crate::tree::Node;

/// The cases of one golden file, already read as JSON; `Some` only when no finding is an error.
pub fn cases(root: &Node) -> (Option<Vec<TestCase>>, LintReport) {
    let mut findings = Collector::default();
    let cases = read_golden(root, &mut findings);
    let cases = if findings.has_errors() { None } else { cases };
    (cases, findings.finish())
}
