//! The history of what the Activator did: each order, each offer that is no repeat and each crash fallback ends as
//! exactly one record.
//!
//! It is written after the swap and before the answer. A disk that does not take it undoes nothing: the log says so,
//! and so does the answer.

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
use crate::history;

/// Something that was begun and will be told.
pub(super) struct Story {
    asked: Asked,
    from: Option<Version>,
    began: Instant,
}

// === impl Activator ===

impl Activator {
    pub(super) fn begin(&self, asked: Asked, began: Instant) -> Story {
        Story { asked, from: running(&self.record), began }
    }

    pub(super) async fn succeeded(&self, story: Story, findings: &[policy_config::Finding]) -> HistoryRecord {
        let to = running(&self.record);
        let mut record = self.ended(story, Outcome::Succeeded, to);
        record.findings = findings.iter().map(Finding::from).collect();
        self.answered(record).await
    }

    pub(super) async fn changed_nothing(&self, story: Story) -> HistoryRecord {
        let to = running(&self.record);
        self.answered(self.ended(story, Outcome::NoChange, to)).await
    }

    /// What was desired is given up, for what runs.
    pub(super) async fn gave_up(&self, story: Story, given_up: &str) -> HistoryRecord {
        let to = running(&self.record);
        let mut record = self.ended(story, Outcome::Withdrawn, to);
        let why = format!("{given_up} did not come to run and is withdrawn");
        record.reason = Some(with_reason(why, record.reason.as_deref()));
        self.answered(record).await
    }

    pub(super) async fn refused_at(
        &self,
        story: Story,
        to: Option<Version>,
        reason: &NackReason,
    ) -> Result<(), Finding> {
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
    ) -> Result<(), Finding> {
        self.write_down(self.untried(story, to, error)).await
    }

    /// None of these was begun: they wait for the history together, and once.
    pub(super) async fn none_tried(&self, stories: Vec<Story>, error: &OrderError) -> Result<(), Finding> {
        let records = stories.into_iter().map(|story| self.untried(story, None, error));
        history::tell(&self.parts.history, records.filter(is_told).collect()).await
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
        // The log has it where the history does not.
        let _ = self.write_down(self.ended(story, outcome, to)).await;
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

    fn untried(&self, story: Story, to: Option<Version>, error: &OrderError) -> HistoryRecord {
        let mut record = self.ended(story, Outcome::Failed, to);
        record.reason = Some(with_reason(error.to_string(), record.reason.as_deref()));
        record
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

    /// The record as it is answered.
    async fn answered(&self, mut record: HistoryRecord) -> HistoryRecord {
        record.findings.extend(self.write_down(record.clone()).await.err());
        record
    }

    async fn write_down(&self, record: HistoryRecord) -> Result<(), Finding> {
        // Whoever looks while the history keeps us waiting sees what is so already.
        self.tell();
        if is_told(&record) { history::tell(&self.parts.history, vec![record]).await } else { Ok(()) }
    }
}

/// The record of a start tells what was loaded at it.
fn is_told(record: &HistoryRecord) -> bool {
    !matches!(record.action, Action::Install | Action::Start | Action::Restart)
}

/// Why it ended so, and then what somebody said it was for.
fn with_reason(why: String, said: Option<&str>) -> String {
    match said {
        Some(said) => format!("{why} (asked for: {said})"),
        None => why,
    }
}
