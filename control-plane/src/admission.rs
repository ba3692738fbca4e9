//! May these bytes become a revision? Parsed, linted and compiled again here, whatever the caller did: the server
//! trusts nobody. Pure.

use policy_config::lint::{lint_change, lint_growth};
use policy_config::{Finding, LintReport, PolicyConfig, PolicyDocument};
use policy_engine::{Engine, Secrets};

/// No risk, and a rule of its own: the store knows every version, not only the one before.
const VERSION_NOT_BUMPED: &str = "R005";

/// Bytes that may be stored.
#[derive(Debug, Clone)]
pub struct AdmittedConfig {
    pub document: PolicyDocument,
    pub config: PolicyConfig,
    pub warnings: Vec<Finding>,
}

/// Admits a pack, or answers every finding about it. Secrets are the gateways' matter: it compiles without any.
///
/// # Errors
/// The report with at least one error.
pub fn admit(source: &[u8]) -> Result<AdmittedConfig, LintReport> {
    let document = PolicyDocument::new(source);
    let (config, report) = document.parse();
    let Some(config) = config.filter(|_| report.admissible()) else { return Err(report) };
    if let Err(error) = Engine::compile(&config, Secrets::new()) {
        let findings = report.findings.into_iter().chain(error.findings).collect();
        return Err(LintReport { findings });
    }
    Ok(AdmittedConfig { document, config, warnings: report.findings })
}

/// Changes from what a fleet runs that need a second look; empty when there are none. Bytes that this program
/// cannot read any more are no base to compare with.
pub fn risks(old_source: &[u8], new: &AdmittedConfig) -> Vec<Finding> {
    let old = PolicyDocument::new(old_source);
    let mut findings = lint_growth(old_source.len(), new.document.source().len()).findings;
    if let (Some(old), _) = old.parse() {
        let changes = lint_change(&old, &new.config).findings;
        findings.extend(changes.into_iter().filter(|finding| finding.code != VERSION_NOT_BUMPED));
    }
    new.document.locate(&mut findings);
    findings
}
