//! One decision becomes one transaction. It has no choices: what it finds changed since the look is a conflict.

use fleet_core::history::EventKind;
use fleet_core::rollout::{Decision, RolloutState};
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::operations::{Context, SELF};
use crate::store::StoreError;
use crate::store::activations::{ActivationKey, activation_prove, activation_tell};
use crate::store::assign::{assign_back, assign_fleet, assign_rest};
use crate::store::encode::counts_to_json;
use crate::store::fleets::{Binding, StableBy, fleet_bind, fleet_lock};
use crate::store::history::{NewEvent, event_append};
use crate::store::rollouts::{StepChange, StepInput, rollout_step};
use crate::store::wakeup::notify;

/// What a step leaves for the history, in this order.
#[derive(Default)]
struct Told {
    activations: Vec<ActivationKey>,
    kind: Option<EventKind>,
    outcome: &'static str,
    reason: String,
    detail: Value,
}

/// Writes the decision if nobody took a step since `input` was loaded.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody did.
pub(crate) async fn apply(
    context: &Context,
    input: &StepInput,
    decision: &Decision,
) -> Result<(), StoreError> {
    context
        .store
        .in_tx("rollout_step", async |mut tx| {
            // Whoever orders or places takes this lock first, too.
            let binding = fleet_lock(&mut tx, &input.fleet).await?.flatten();
            let told = write(&mut tx, input, decision, binding.as_ref()).await?;
            if moves_gateways(decision) {
                notify(&mut tx).await?;
            }
            tell(&mut tx, input, &told).await?;
            Ok::<_, StoreError>((tx, ()))
        })
        .await
}

async fn write(
    conn: &mut PgConnection,
    input: &StepInput,
    decision: &Decision,
    binding: Option<&Binding>,
) -> Result<Told, StoreError> {
    match decision {
        Decision::Start => start(conn, input, binding).await,
        Decision::OpenBake => {
            let change = StepChange { bake: true, wave: Some("baking"), ..StepChange::default() };
            rollout_step(conn, input.id, input.step_seq, change).await?;
            Ok(Told::default())
        }
        Decision::Succeed => succeed(conn, input).await,
        Decision::Revert { reason } => revert(conn, input, reason).await,
        Decision::End { state, reason } => end(conn, input, *state, reason).await,
    }
}

async fn start(
    conn: &mut PgConnection,
    input: &StepInput,
    binding: Option<&Binding>,
) -> Result<Told, StoreError> {
    let change =
        StepChange { state: Some(RolloutState::Advancing), wave: Some("open"), ..StepChange::default() };
    rollout_step(conn, input.id, input.step_seq, change).await?;
    // What a gateway goes back to that ran nothing itself: what was stable before this rollout.
    let stable = input.replaced.as_ref().or(binding);
    let fallback = stable.filter(|stable| {
        stable.by == StableBy::Succeeded
            && (&stable.config, stable.stable) != (&input.version.config, input.version.revision)
    });
    let assigned = assign_fleet(conn, input.id, &input.fleet, &input.version, fallback).await?;
    Ok(Told {
        activations: assigned.superseded,
        kind: Some(EventKind::WaveStarted),
        detail: json!({ "wave": 1, "targets": assigned.gateways }),
        ..Told::default()
    })
}

async fn succeed(conn: &mut PgConnection, input: &StepInput) -> Result<Told, StoreError> {
    let change =
        StepChange { state: Some(RolloutState::Succeeded), wave: Some("passed"), ..StepChange::default() };
    rollout_step(conn, input.id, input.step_seq, change).await?;
    let version = &input.version;
    fleet_bind(conn, &input.fleet, &version.config, version.revision, StableBy::Succeeded).await?;
    let rest = assign_rest(conn, &input.fleet, version).await?;
    let mut activations = activation_prove(conn, input.id).await?;
    activations.extend(rest.superseded);
    Ok(Told { activations, ..ended(RolloutState::Succeeded, "", input) })
}

async fn revert(conn: &mut PgConnection, input: &StepInput, reason: &str) -> Result<Told, StoreError> {
    let change = StepChange {
        state: Some(RolloutState::Reverting),
        reason: Some(reason),
        wave: Some("breached"),
        settled: Some(input.snapshot.counts),
        bake: false,
    };
    rollout_step(conn, input.id, input.step_seq, change).await?;
    unbind(conn, input).await?;
    let assigned = assign_back(conn, input.id).await?;
    Ok(Told { activations: assigned.superseded, ..Told::default() })
}

async fn end(
    conn: &mut PgConnection,
    input: &StepInput,
    state: RolloutState,
    reason: &str,
) -> Result<Told, StoreError> {
    let breached = input.snapshot.state == RolloutState::Advancing;
    let change = StepChange {
        state: Some(state),
        reason: Some(reason).filter(|reason| !reason.is_empty()),
        wave: breached.then_some("breached"),
        settled: breached.then_some(input.snapshot.counts),
        bake: false,
    };
    rollout_step(conn, input.id, input.step_seq, change).await?;
    if state == RolloutState::Reverted && breached {
        unbind(conn, input).await?;
    }
    Ok(ended(state, reason, input))
}

/// A rollout that bound the fleet to another config and breached gives the fleet back to the one before.
async fn unbind(conn: &mut PgConnection, input: &StepInput) -> Result<(), StoreError> {
    if let Some(before) = &input.replaced {
        fleet_bind(conn, &input.fleet, &before.config, before.stable, before.by).await?;
    }
    Ok(())
}

async fn tell(conn: &mut PgConnection, input: &StepInput, told: &Told) -> Result<(), StoreError> {
    activation_tell(conn, &told.activations).await?;
    let Some(kind) = told.kind else { return Ok(()) };
    let mut detail = json!({ "rollout": input.id.to_string() });
    if let (Some(detail), Some(more)) = (detail.as_object_mut(), told.detail.as_object()) {
        detail.extend(more.clone());
    }
    let event = NewEvent {
        fleet: Some(&input.fleet),
        config: Some(&input.version.config),
        revision: Some(input.version.revision),
        version: input.version.version.to_string(),
        digest: Some(input.version.digest),
        outcome: told.outcome,
        reason: &told.reason,
        detail,
        ..NewEvent::new(kind, SELF)
    };
    event_append(conn, &[event]).await
}

fn ended(state: RolloutState, reason: &str, input: &StepInput) -> Told {
    Told {
        activations: Vec::new(),
        kind: Some(EventKind::RolloutEnded),
        outcome: state.as_str(),
        reason: reason.to_owned(),
        detail: json!({ "counts": counts_to_json(&input.snapshot.counts) }),
    }
}

/// Other replicas have sessions of the gateways that were assigned something.
fn moves_gateways(decision: &Decision) -> bool {
    match decision {
        Decision::Start | Decision::Succeed | Decision::Revert { .. } => true,
        Decision::OpenBake | Decision::End { .. } => false,
    }
}
