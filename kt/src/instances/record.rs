//! What `kt` and its supervisor write into a gateway's history.

use std::time::Duration;

use instance::{Action, History, HistoryRecord, Outcome, Place};
use nix::unistd::{Uid, User};
use service_kit::clock::Clock;
use uuid::Uuid;

/// Who may be named as the actor when nobody asked.
pub(crate) const SUPERVISOR: &str = "supervisor";

/// A user of this host, as the history names actors.
pub(crate) fn user(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        Ok(None) | Err(_) => format!("uid {uid}"),
    }
}

/// The user of this process.
pub(crate) fn me() -> String {
    user(Uid::effective().as_raw())
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
