//! The history of what the Activator did: each order, each offer that is no repeat and each crash fallback ends as
//! exactly one record.
//!
//! It is written after the swap and before the answer. A disk that does not take it undoes nothing: the log says so,
//! and so does the answer.

use std::time::Duration;

use fleet_core::offer::NackReason;
use fleet_core::version::Generation;
use instance::documents::{Finding, Version};
use instance::{Action, HistoryRecord, Outcome};
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use tokio::time::Instant;
use uuid::Uuid;

use super::Activator;
use super::handle::{Asked, OrderError};
use super::status::running;

/// Something that was begun and will be told.
pub(super) struct Story {
    asked: Asked,
    from: Option<Version>,
    began: Instant,
}

/// Another program may hold the history's lock, and be stopped. The record is then written when it lets go.
const HISTORY_PATIENCE: Duration = Duration::from_secs(2);
/// The code of the warning that an answer carries which the history does not.
const NOT_WRITTEN: &str = "H001";

// === impl Activator ===

impl Activator {
    pub(super) fn begin(&self, asked: Asked, began: Instant) -> Story {
        Story { asked, from: running(&self.record), began }
    }

    pub(super) async fn succeeded(&self, story: Story, findings: &[policy_config::Finding]) -> HistoryRecord {
        let to = running(&self.record);
        let mut record = self.ended(story, Outcome::Succeeded, to);
        record.findings = findings.iter().map(Finding::from).collect();
        self.write_down(record).await
    }

    pub(super) async fn changed_nothing(&self, story: Story) -> HistoryRecord {
        let to = running(&self.record);
        self.write_down(self.ended(story, Outcome::NoChange, to)).await
    }

    /// What was desired is given up, for what runs.
    pub(super) async fn gave_up(&self, story: Story, given_up: &str) -> HistoryRecord {
        let to = running(&self.record);
        let mut record = self.ended(story, Outcome::Withdrawn, to);
        let why = format!("{given_up} did not come to run and is withdrawn");
        record.reason = Some(with_reason(why, record.reason.as_deref()));
        self.write_down(record).await
    }

    pub(super) async fn refused_at(
        &self,
        story: Story,
        to: Option<Version>,
        reason: &NackReason,
    ) -> HistoryRecord {
        let mut record = self.ended(story, Outcome::Failed, to);
        record.reason = Some(with_reason(reason.reason.clone(), record.reason.as_deref()));
        record.stage = Some(reason.stage.to_string());
        record.findings = reason.findings.iter().map(Finding::from).collect();
        self.write_down(record).await
    }

    /// It did not get as far as a stage.
    pub(super) async fn not_tried(
        &self,
        story: Story,
        to: Option<Version>,
        error: &OrderError,
    ) -> HistoryRecord {
        let mut record = self.ended(story, Outcome::Failed, to);
        record.reason = Some(with_reason(error.to_string(), record.reason.as_deref()));
        self.write_down(record).await
    }

    /// A start withdrew what ran before; `fallen` is that.
    pub(super) async fn fell_back(&self, fallen: Version, reason: &NackReason, began: Instant) {
        let asked = Asked {
            action: Action::CrashFallback,
            actor: "gateway".to_owned(),
            reason: Some(reason.reason.clone()),
            break_glass: false,
        };
        let to = running(&self.record);
        let helped = to.as_ref().is_some_and(|to| to.digest != fallen.digest);
        let story = Story { asked, from: Some(fallen), began };
        let outcome = if helped { Outcome::Succeeded } else { Outcome::Failed };
        self.write_down(self.ended(story, outcome, to)).await;
    }

    /// A version that was wanted, since now.
    pub(super) fn wanted(
        &self,
        digest: ConfigDigest,
        version: Option<&PackVersion>,
        generation: Option<Generation>,
    ) -> Version {
        Version {
            generation: generation.map(|generation| generation.0),
            version: version.map(ToString::to_string),
            digest,
            at: self.parts.clock.now(),
        }
    }

    fn ended(&self, story: Story, outcome: Outcome, to: Option<Version>) -> HistoryRecord {
        let Story { asked, from, began } = story;
        HistoryRecord {
            id: Uuid::new_v4().to_string(),
            action: asked.action,
            at: self.parts.clock.now(),
            actor: asked.actor,
            outcome,
            from,
            to,
            observed: running(&self.record),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: asked.reason,
            stage: None,
            findings: Vec::new(),
        }
    }

    /// Appends it, away from the threads that serve. The record of a start tells what was loaded at it.
    async fn write_down(&self, mut record: HistoryRecord) -> HistoryRecord {
        if matches!(record.action, Action::Install | Action::Start | Action::Restart) {
            return record;
        }
        let (history, line) = (self.parts.history.clone(), record.clone());
        let appended = tokio::task::spawn_blocking(move || history.append(&line));
        let problem = match tokio::time::timeout(HISTORY_PATIENCE, appended).await {
            Ok(Ok(Ok(()))) => return record,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "the gateway is stopping".to_owned(),
            Err(_) => "another program holds its lock; it is written when that lets go".to_owned(),
        };
        tracing::warn!(action = ?record.action, outcome = ?record.outcome, "not in history.jsonl: {problem}");
        record.findings.push(Finding {
            code: NOT_WRITTEN.to_owned(),
            severity: policy_config::Severity::Warning.as_str().to_owned(),
            path: String::new(),
            line: 0,
            column: 0,
            message: format!("this is not in history.jsonl: {problem}"),
            suggestion: "what is said here came to pass all the same; see to the disk".to_owned(),
        });
        record
    }
}

/// Why it ended so, and then what somebody said it was for.
fn with_reason(why: String, said: Option<&str>) -> String {
    match said {
        Some(said) => format!("{why} (asked for: {said})"),
        None => why,
    }
}
