//! On a wake-up or a tick: load, decide, apply, until nothing is left to do; then wait.

use std::time::Duration;

use fleet_core::rollout::step;
use service_kit::drain::DrainWatcher;
use tokio::time::Instant;

use super::apply::apply;
use crate::operations::Context;
use crate::store::StoreError;
use crate::store::rollouts::rollout_load;

/// How often it looks unasked: other replicas hear of reports only this way.
const TICK: Duration = Duration::from_secs(1);
/// A wake-up is followed by others; looking this rarely merges them.
const REST: Duration = Duration::from_millis(10);

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Steps that were written.
    pub steps: usize,
    /// In how long something falls due, should nothing happen before.
    pub due_in: Option<Duration>,
}

/// Drives rollouts until the drain begins.
pub async fn run(context: Context, drain: DrainWatcher) {
    let mut wake = context.wake.listen();
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            () = context.store.until_there() => {}
        }
        let began = Instant::now();
        let due_in = match look(&context).await {
            Ok(look) if look.steps > 0 => Duration::ZERO,
            Ok(look) => look.due_in.unwrap_or(TICK),
            Err(error) => {
                tracing::warn!(%error, "the rollouts could not be looked at; trying again");
                TICK
            }
        };
        // Reports wake it all the time while a large fleet answers: it leaves the database half of its time.
        let rest = began.elapsed().clamp(REST, TICK);
        tokio::select! {
            () = drain.signaled() => return,
            () = wake.woken() => {}
            () = tokio::time::sleep(due_in.min(TICK)) => {}
        }
        tokio::time::sleep(rest).await;
    }
}

/// Looks once at every open rollout and takes at most one step of each. A rollout whose step fails does not hold up
/// the others.
///
/// # Errors
/// [`StoreError`] of the load, or of the last step that failed; losing a compare-and-set is none.
pub async fn look(context: &Context) -> Result<Look, StoreError> {
    let mut found = Look::default();
    let mut failed = None;
    for input in context.store.while_there(rollout_load(&context.store, None)).await? {
        let step = step(&input.snapshot, input.now);
        found.due_in = sooner(found.due_in, step.look_again.map(|at| at.since(input.now)));
        let Some(decision) = step.decision else { continue };
        tracing::info!(rollout = %input.id, fleet = %input.fleet, ?decision, "rollout step");
        match apply(context, &input, &decision).await {
            Ok(()) => found.steps += 1,
            Err(StoreError::Conflict { what: "rollout", .. }) => {
                tracing::debug!(rollout = %input.id, "another replica took this step");
            }
            Err(error) => {
                tracing::warn!(rollout = %input.id, %error, "a rollout step failed");
                failed = Some(error);
            }
        }
    }
    if found.steps > 0 {
        context.wake.tell();
    }
    failed.map_or(Ok(found), Err)
}

fn sooner(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
