//! Between column types and the vocabulary: numbers, times, findings, labels, counts.

use std::time::Duration;

use fleet_core::gateway::Labels;
use fleet_core::rollout::Counts;
use fleet_core::time::Timestamp;
use fleet_core::version::{Generation, Revision};
use policy_config::location::Location;
use policy_config::{ConfigDigest, Finding, Severity};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::StoreError;
use super::error::Column;

pub(crate) fn revision(number: i64) -> Result<Revision, StoreError> {
    u64::try_from(number).map(Revision).column("revision")
}

pub(crate) fn generation(number: i64) -> Result<Generation, StoreError> {
    u64::try_from(number).map(Generation).column("generation")
}

/// Numbers of our own making fit; a stranger's does not exist in the database.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(if number < 0 { 0 } else { u32::MAX })
}

pub(crate) fn digest(bytes: &[u8]) -> Result<ConfigDigest, StoreError> {
    <[u8; 32]>::try_from(bytes).map(ConfigDigest::from_bytes).column("digest")
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// How long ago something happened, as a stranger's clock has it: never so long that no date is left.
pub(crate) fn ago(duration: Duration) -> i64 {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    micros(duration.min(LONGEST))
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn from_millis(number: i64) -> Duration {
    Duration::from_millis(u64::try_from(number).unwrap_or(0))
}

/// A time of the database as the decisions read it.
pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    let micros = at.unix_timestamp_nanos() / 1_000;
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

pub(crate) fn findings_to_json(findings: &[Finding]) -> Value {
    findings.iter().map(finding_to_json).collect()
}

pub(crate) fn findings_from_json(value: &Value) -> Result<Vec<Finding>, StoreError> {
    let items = value.as_array().column("findings")?;
    items.iter().map(|item| finding_from_json(item).column("findings")).collect()
}

pub(crate) fn labels_to_json(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(key, value)| (key.to_owned(), json!(value))).collect())
}

pub(crate) fn labels_from_json(value: &Value) -> Result<Labels, StoreError> {
    let object = value.as_object().column("gateways.labels")?;
    let pairs =
        object.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()));
    Labels::new(pairs).column("gateways.labels")
}

pub(crate) fn counts_to_json(counts: &Counts) -> Value {
    json!({
        "pending": counts.pending, "active": counts.active, "proven": counts.proven,
        "rejected": counts.rejected, "timed_out": counts.timed_out, "offline": counts.offline,
        "superseded": counts.superseded, "incompatible": counts.incompatible,
    })
}

pub(crate) fn counts_from_json(value: &Value) -> Counts {
    let class = |name: &str| value.get(name).and_then(Value::as_i64).map_or(0, count);
    Counts {
        pending: class("pending"),
        active: class("active"),
        proven: class("proven"),
        rejected: class("rejected"),
        timed_out: class("timed_out"),
        offline: class("offline"),
        superseded: class("superseded"),
        incompatible: class("incompatible"),
    }
}

fn finding_to_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code, "severity": finding.severity.as_str(), "path": finding.path,
        "line": finding.location.line, "column": finding.location.column,
        "message": finding.message, "suggestion": finding.suggestion,
    })
}

fn finding_from_json(value: &Value) -> Option<Finding> {
    let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
    let place = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
    let severity = match value.get("severity")?.as_str()? {
        "error" => Severity::Error,
        "warning" => Severity::Warning,
        _ => return None,
    };
    Some(Finding {
        code: text("code")?,
        severity,
        path: text("path")?,
        location: Location { line: place("line")?, column: place("column")? },
        message: text("message")?,
        suggestion: text("suggestion")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_read_back() {
        let finding = Finding {
            code: "E001".to_owned(),
            severity: Severity::Error,
            path: "policies.chain[0]".to_owned(),
            location: Location { line: 12, column: 5 },
            message: "unknown kind `pii`".to_owned(),
            suggestion: "did you mean `pii-detector`?".to_owned(),
        };
        let stored = findings_to_json(std::slice::from_ref(&finding));
        assert_eq!(findings_from_json(&stored).expect("reads"), vec![finding]);
        assert!(findings_from_json(&json!([{"code": "E001"}])).is_err());
    }

    #[test]
    fn counts_and_labels_read_back() {
        let counts = Counts { pending: 1, active: 3, proven: 2, rejected: 4, ..Counts::default() };
        assert_eq!(counts_from_json(&counts_to_json(&counts)), counts);
        let labels = Labels::new([("region".to_owned(), "eu".to_owned())]).expect("labels");
        assert_eq!(labels_from_json(&labels_to_json(&labels)).expect("reads"), labels);
    }
}
