//! The records of a start and an end, of a gateway that nobody supervises; else they are the supervisor's.

use instance::documents::Version;
use instance::{Action, History, HistoryRecord, Outcome, Place};
use policy_config::ConfigDigest;
use service_kit::clock::Clock;
use service_kit::drain::Signal;
use tokio::time::Instant;
use uuid::Uuid;

use super::AppError;
use super::first_pack;
use crate::activation::record::Record;
use crate::activation::status::running;
use crate::{history, holding};

/// Writes them.
pub(super) struct Records {
    history: History,
    clock: Clock,
    /// Of what is told next.
    began: Instant,
}

// === impl Records ===

impl Records {
    pub(super) fn of(place: &Place, clock: &Clock) -> Self {
        Self { history: History::of(place), clock: clock.clone(), began: Instant::now() }
    }

    /// It serves, with what it said of the pack that it should have begun with.
    pub(super) async fn started(&self, record: &Record, first: first_pack::Outcome) {
        let first_pack::Outcome { reason, stage, findings, wanted, observed } = first;
        let observed = observed.or_else(|| running(record));
        let to = wanted.map(|digest| self.unread(digest)).or_else(|| observed.clone());
        let told = self.record(Action::Start, holding::user(), Outcome::Succeeded);
        self.append(HistoryRecord { to, observed, reason, stage, findings, ..told }).await;
    }

    /// The directory was held, and the gateway did not start.
    pub(super) async fn not_started(&self, error: &AppError) {
        let first_pack::Outcome { reason, stage, findings, .. } = first_pack::Outcome::of(error);
        let told = self.record(Action::Start, holding::user(), Outcome::Failed);
        self.append(HistoryRecord { reason, stage, findings, ..told }).await;
    }

    pub(super) fn ends(&mut self) {
        self.began = Instant::now();
    }

    /// `signal`: who asked for it; an end that nobody asked for has its reason.
    pub(super) async fn stopped(&self, record: &Record, signal: Option<Signal>, problem: Option<String>) {
        let from = running(record);
        let actor = signal.map_or_else(holding::user, |signal| signal.to_string());
        let told = self.record(Action::Stop, actor, Outcome::Succeeded);
        self.append(HistoryRecord { from, reason: problem, ..told }).await;
    }

    pub(super) async fn fell(&self, record: &Record, error: &AppError) {
        let from = running(record);
        let told = self.record(Action::Stop, holding::user(), Outcome::Failed);
        self.append(HistoryRecord { from, reason: Some(error.to_string()), ..told }).await;
    }

    fn record(&self, action: Action, actor: String, outcome: Outcome) -> HistoryRecord {
        HistoryRecord {
            id: Uuid::new_v4().to_string(),
            action,
            at: self.clock.now(),
            actor,
            outcome,
            from: None,
            to: None,
            observed: None,
            duration_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: None,
            stage: None,
            findings: Vec::new(),
        }
    }

    /// Bytes that did not come into force.
    fn unread(&self, digest: ConfigDigest) -> Version {
        Version { generation: None, version: None, digest, at: self.clock.now() }
    }

    /// A disk that takes no record, or another program that keeps it, stops no gateway. The log says so.
    async fn append(&self, record: HistoryRecord) {
        let _ = history::tell(&self.history, vec![record]).await;
    }
}
