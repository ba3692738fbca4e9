//! Answers and refusals, as they stand in `standing.json`.

use fleet_core::offer::{Acknowledgement, NackReason, Stage};
use fleet_core::version::Generation;
use policy_config::location::Location;
use policy_config::{Finding, Severity};
use proto::convert::reports::Timings;
use serde::{Deserialize, Serialize};

use super::{moment, read, written};
use crate::activation::record::PendingReport;

#[derive(Serialize, Deserialize)]
pub(super) struct ReportJson {
    session: String,
    offer: String,
    lineage: String,
    generation: u64,
    digest: String,
    warnings: Vec<FindingJson>,
    nack: Option<NackJson>,
    at: String,
    validate_us: u64,
    activate_us: u64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NackJson {
    stage: String,
    reason: String,
    findings: Vec<FindingJson>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FindingJson {
    code: String,
    error: bool,
    path: String,
    line: u32,
    column: u32,
    message: String,
    suggestion: String,
}

// === impl ReportJson ===

impl ReportJson {
    pub(super) fn of(report: &PendingReport) -> Self {
        let (warnings, nack) = match &report.acknowledgement {
            Acknowledgement::Ack { warnings } => (warnings.iter().map(FindingJson::of).collect(), None),
            Acknowledgement::Nack(reason) => (Vec::new(), Some(NackJson::of(reason))),
        };
        let micros = |span: std::time::Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Self {
            session: report.session.to_string(),
            offer: report.offer.to_string(),
            lineage: report.lineage.to_string(),
            generation: report.generation.0,
            digest: report.digest.to_string(),
            warnings,
            nack,
            at: written(report.at),
            validate_us: micros(report.timings.validate),
            activate_us: micros(report.timings.activate),
        }
    }

    pub(super) fn read(self) -> Result<PendingReport, String> {
        let acknowledgement = match self.nack {
            Some(nack) => Acknowledgement::Nack(nack.read()?),
            None => {
                Acknowledgement::Ack { warnings: self.warnings.into_iter().map(FindingJson::read).collect() }
            }
        };
        Ok(PendingReport {
            session: read(&self.session)?,
            offer: read(&self.offer)?,
            lineage: read(&self.lineage)?,
            generation: Generation(self.generation),
            digest: read(&self.digest)?,
            acknowledgement,
            at: moment(&self.at)?,
            timings: Timings {
                validate: std::time::Duration::from_micros(self.validate_us),
                activate: std::time::Duration::from_micros(self.activate_us),
            },
        })
    }
}

// === impl NackJson ===

impl NackJson {
    pub(super) fn of(reason: &NackReason) -> Self {
        Self {
            stage: reason.stage.to_string(),
            reason: reason.reason.clone(),
            findings: reason.findings.iter().map(FindingJson::of).collect(),
        }
    }

    pub(super) fn read(self) -> Result<NackReason, String> {
        Ok(NackReason {
            stage: read::<Stage>(&self.stage)?,
            reason: self.reason,
            findings: self.findings.into_iter().map(FindingJson::read).collect(),
        })
    }
}

// === impl FindingJson ===

impl FindingJson {
    pub(super) fn of(finding: &Finding) -> Self {
        Self {
            code: finding.code.clone(),
            error: finding.severity == Severity::Error,
            path: finding.path.clone(),
            line: finding.location.line,
            column: finding.location.column,
            message: finding.message.clone(),
            suggestion: finding.suggestion.clone(),
        }
    }

    pub(super) fn read(self) -> Finding {
        Finding {
            code: self.code,
            severity: if self.error { Severity::Error } else { Severity::Warning },
            path: self.path,
            location: Location { line: self.line, column: self.column },
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}
