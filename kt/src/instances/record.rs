//! What `kt` and its supervisor write into a gateway's history.

use std::time::Duration;

use instance::place::user_name;
use instance::{Action, History, HistoryRecord, Outcome, Place};
use nix::unistd::Uid;
use service_kit::clock::Clock;
use uuid::Uuid;

/// Who may be named as the actor when nobody asked.
pub(crate) const SUPERVISOR: &str = "supervisor";

/// The user of this process.
pub(crate) fn me() -> String {
    user_name(Uid::effective().as_raw())
}

/// One record: `outcome` came to be just now. The rest is filled in with `..`.
pub(crate) fn record(
    action: Action,
    outcome: Outcome,
    actor: impl Into<String>,
    took: Duration,
) -> HistoryRecord {
    HistoryRecord {
        id: Uuid::new_v4().to_string(),
        action,
        at: Clock::system().now(),
        actor: actor.into(),
        outcome,
        from: None,
        to: None,
        observed: None,
        duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        reason: None,
        stage: None,
        findings: Vec::new(),
    }
}

/// Adds it. What was done is done: a history that the disk does not take is a warning.
///
/// # Errors
/// The warning.
pub(crate) fn keep(place: &Place, record: &HistoryRecord) -> Result<(), String> {
    History::of(place).append(record).map_err(|error| {
        format!("the history `{}` does not take what was done: {error}", place.history().display())
    })
}
