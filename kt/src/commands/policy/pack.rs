//! A policy file that a command works with: read and linted, or refused with every finding.

use std::path::Path;

use policy_config::schema::TestSuite;
use policy_config::{Finding, PolicyConfig, PolicyDocument};

use crate::diagnostics::{Exhibit, Style, first_place, report, summary};
use crate::failure::{Exit, Failure};
use crate::input::NamedSource;
use crate::printer::Printer;

/// A valid pack with its file.
pub(crate) struct Pack {
    pub(crate) source: NamedSource,
    pub(crate) document: PolicyDocument,
    pub(crate) config: PolicyConfig,
    pub(crate) suites: Vec<TestSuite>,
}

// === impl Pack ===

impl Pack {
    /// Reads the policy file that `field` names.
    ///
    /// # Errors
    /// There is none, or lint has errors.
    pub(crate) fn read(path: &Path, field: &str, printer: &Printer) -> Result<Self, Failure> {
        let source = NamedSource::read(path, field)?;
        let document = source.document();
        match document.parse_with_suites() {
            (Some((config, suites)), _) => Ok(Self { source, document, config, suites }),
            (None, found) => Err(refused(&source, field, found.findings, printer)),
        }
    }
}

/// The pack is not valid: with the findings as data, and drawn for people.
pub(crate) fn refused(
    source: &NamedSource,
    field: &str,
    findings: Vec<Finding>,
    printer: &Printer,
) -> Failure {
    let message =
        format!("{}: the pack is not valid: {}", first_place(&source.name, &findings), summary(&findings));
    let drawn = drawn(&source.name, &source.bytes, &findings, printer);
    Failure::new(Exit::Usage, "invalid_pack", message)
        .with_field(field)
        .with_findings(findings)
        .with_report(drawn)
}

/// Findings about a file as people see them on stderr.
pub(super) fn drawn(name: &str, source: &[u8], findings: &[Finding], printer: &Printer) -> String {
    report(Exhibit { name, source }, findings, Style { colour: printer.stderr_has_colour() })
}
