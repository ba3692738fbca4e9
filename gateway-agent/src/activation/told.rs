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

use super::handle::{Asked, OrderError};
use super::record::Record;
use super::status::running;
use super::{Activator, MOST_FINDINGS};
use crate::history;

/// Something that was begun and will be told.
pub(super) struct Story {
    id: String,
    asked: Asked,
    from: Option<Version>,
    began: Instant,
}

// === impl Activator ===

impl Activator {
    pub(super) fn begin(&self, asked: Asked, began: Instant) -> Story {
        Story { id: Uuid::new_v4().to_string(), asked, from: running(&self.record), began }
    }

    /// As it will have been once `next` is what is remembered.
    pub(super) fn success(
        &self,
        next: &Record,
        story: &Story,
        findings: &[policy_config::Finding],
    ) -> HistoryRecord {
        let record = self.ended(next, story, Outcome::Succeeded, running(next));
        HistoryRecord { findings: findings.iter().map(Finding::from).collect(), ..record }
    }

    pub(super) async fn succeeded(
        &mut self,
        story: Story,
        findings: &[policy_config::Finding],
    ) -> HistoryRecord {
        self.answered(self.success(&self.record, &story, findings)).await
    }

    pub(super) async fn changed_nothing(&mut self, story: Story) -> HistoryRecord {
        let to = running(&self.record);
        self.answered(self.ended(&self.record, &story, Outcome::NoChange, to)).await
    }

    /// What was desired is given up, for what runs.
    pub(super) fn withdrawal(&self, next: &Record, story: &Story, given_up: &str) -> HistoryRecord {
        let mut record = self.ended(next, story, Outcome::Withdrawn, running(next));
        let why = format!("{given_up} did not come to run and is withdrawn");
        record.reason = Some(with_reason(why, record.reason.as_deref()));
        record
    }

    pub(super) async fn gave_up(&mut self, story: Story, given_up: &str) -> HistoryRecord {
        self.answered(self.withdrawal(&self.record, &story, given_up)).await
    }

    pub(super) async fn refused_at(
        &mut self,
        story: Story,
        to: Option<Version>,
        reason: &NackReason,
    ) -> Result<(), Finding> {
        let mut record = self.ended(&self.record, &story, Outcome::Failed, to);
        record.reason = Some(with_reason(reason.reason.clone(), record.reason.as_deref()));
        record.stage = Some(reason.stage.to_string());
        record.findings = reason.findings.iter().map(Finding::from).collect();
        self.write_down(record).await
    }

    /// It did not get as far as a stage.
    pub(super) async fn not_tried(
        &mut self,
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
    pub(super) async fn fell_back(&mut self, fallen: Version, reason: &NackReason, began: Instant) {
        let asked = Asked {
            action: Action::CrashFallback,
            actor: "gateway".to_owned(),
            reason: Some(reason.reason.clone()),
            break_glass: false,
        };
        let to = running(&self.record);
        let helped = to.as_ref().is_some_and(|to| to.digest != fallen.digest);
        let story = Story { from: Some(fallen), ..self.begin(asked, began) };
        let outcome = if helped { Outcome::Succeeded } else { Outcome::Failed };
        // The log has it where the history does not.
        let _ = self.write_down(self.ended(&self.record, &story, outcome, to)).await;
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
        let mut record = self.ended(&self.record, &story, Outcome::Failed, to);
        record.reason = Some(with_reason(error.to_string(), record.reason.as_deref()));
        record
    }

    fn ended(&self, record: &Record, story: &Story, outcome: Outcome, to: Option<Version>) -> HistoryRecord {
        let Story { id, asked, from, began } = story;
        HistoryRecord {
            id: id.clone(),
            action: asked.action,
            at: self.parts.clock.now(),
            actor: asked.actor.clone(),
            outcome,
            from: from.clone(),
            to,
            observed: running(record),
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: asked.reason.clone(),
            stage: None,
            findings: Vec::new(),
        }
    }

    /// The record as it is answered.
    async fn answered(&mut self, mut record: HistoryRecord) -> HistoryRecord {
        record.findings.extend(self.write_down(record.clone()).await.err());
        record
    }

    async fn write_down(&mut self, record: HistoryRecord) -> Result<(), Finding> {
        // Whoever looks while the history keeps us waiting sees what is so already.
        self.tell();
        if !is_told(&record) {
            return Ok(());
        }
        let id = record.id.clone();
        history::tell(&self.parts.history, vec![record]).await?;
        self.has_told(&id);
        Ok(())
    }

    /// What an earlier process changed and did not live to tell, or could not.
    pub(super) async fn tell_untold(&mut self) {
        let Some(record) = self.record.untold.clone() else { return };
        let id = record.id.clone();
        if history::tell_once(&self.parts.history, record).await.is_ok() {
            self.has_told(&id);
        }
    }

    /// The disk may forget it with the next write: a start compares the ids.
    fn has_told(&mut self, id: &str) {
        self.record.untold.take_if(|untold| untold.id == id);
    }
}

/// What is kept of a change until the history has it.
pub(super) fn until_told(mut record: HistoryRecord) -> Option<HistoryRecord> {
    record.findings.truncate(MOST_FINDINGS);
    is_told(&record).then_some(record)
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
