//! A rollout: check that it fits the fleet, end the one it replaces, bind the fleet, plan it, record it.

use fleet_core::gateway::FleetName;
use fleet_core::history::EventKind;
use fleet_core::ids::RolloutId;
use fleet_core::rollout::RolloutStrategy;
use fleet_core::version::{ConfigVersion, Revision};
use policy_config::schema::PackName;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::admit_pack::admit_pack;
use super::idempotency::{KeptAnswer, RequestKey};
use super::record_refusal::{Subject, refused};
use super::{Context, OperationError, Precondition, Principal};
use crate::admission::{AdmittedConfig, risks};
use crate::store::configs::{config_get, config_names, revision_get};
use crate::store::fleets::{Binding, StableBy, fleet_bind, fleet_lock, fleet_names_in};
use crate::store::history::{NewEvent, event_append};
use crate::store::rollout_reads::{RolloutView, rollout_get};
use crate::store::rollouts::{NewRollout, OpenRollout, rollout_abort, rollout_insert, rollout_open};
use crate::store::tx::Tx;
use crate::store::wakeup::notify;
use crate::store::{Store, StoreError};

/// Where and how to roll out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutOrder {
    pub fleet: FleetName,
    pub strategy: RolloutStrategy,
    pub replace_config: bool,
    pub supersede: bool,
}

/// A rollout of a stored revision.
#[derive(Debug, Clone)]
pub struct StartRollout {
    pub config: PackName,
    pub revision: Revision,
    pub order: RolloutOrder,
    pub accept_risk: bool,
    pub idempotency_key: Option<String>,
}

/// Who orders, and the id that a new rollout would get.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub actor: String,
    id: RolloutId,
}

/// A rollout that was planned, or found open for the same revision.
#[derive(Debug, Clone)]
pub(crate) struct PlannedRollout {
    pub id: RolloutId,
    new: bool,
    ended: Option<(OpenRollout, String)>,
}

// === impl Plan ===

impl Plan {
    pub(crate) fn new(context: &Context, principal: &Principal) -> Self {
        let now = context.clock.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        let at = uuid::Timestamp::from_unix(uuid::NoContext, seconds, now.nanosecond());
        Self { actor: principal.actor(), id: RolloutId(Uuid::new_v7(at)) }
    }
}

// === impl PlannedRollout ===

impl PlannedRollout {
    /// What the history tells of it.
    pub(crate) fn events<'a>(
        &'a self,
        plan: &'a Plan,
        fleet: Option<&'a FleetName>,
        version: &'a ConfigVersion,
    ) -> Vec<NewEvent<'a>> {
        let mut events = Vec::new();
        if let Some((ended, reason)) = &self.ended {
            events.push(NewEvent {
                fleet,
                config: Some(&ended.config),
                revision: Some(ended.revision),
                outcome: "aborted",
                reason,
                detail: json!({ "rollout": ended.id.to_string() }),
                ..NewEvent::new(EventKind::RolloutEnded, &plan.actor)
            });
        }
        if self.new {
            events.push(NewEvent {
                fleet,
                config: Some(&version.config),
                revision: Some(version.revision),
                version: version.version.to_string(),
                digest: Some(version.digest),
                detail: json!({ "rollout": self.id.to_string() }),
                ..NewEvent::new(EventKind::RolloutStarted, &plan.actor)
            });
        }
        events
    }
}

/// Rolls a stored revision out to a fleet.
///
/// # Errors
/// [`OperationError::NotFound`] for the revision or the fleet; [`OperationError::Precondition`] when it does not fit
/// how the fleet stands.
pub async fn start_rollout(
    context: &Context,
    principal: &Principal,
    start: StartRollout,
) -> Result<RolloutView, OperationError> {
    match try_start(context, principal, &start).await {
        Ok(view) => Ok(view),
        Err(error) => {
            let subject =
                Subject { fleet: Some(&start.order.fleet), config: Some(&start.config), gateway: None };
            Err(refused(context, principal, "start_rollout", subject, error).await)
        }
    }
}

async fn try_start(
    context: &Context,
    principal: &Principal,
    start: &StartRollout,
) -> Result<RolloutView, OperationError> {
    let parts = [format!("{:?} {} {:?} {}", start.config, start.revision, start.order, start.accept_risk)];
    let key = RequestKey::new(
        principal,
        start.idempotency_key.as_deref(),
        &[b"start_rollout", parts.concat().as_bytes()],
    )?;
    let Some((record, source)) = config_get(&context.store, &start.config, Some(start.revision)).await?
    else {
        return Err(OperationError::NotFound {
            what: "revision",
            name: format!("{}@{}", start.config, start.revision),
            known: config_names(&context.store, 20).await?,
        });
    };
    // A revision that an older program admitted may not be what this one's gateways can run.
    let admitted = admit_pack(source).await?;
    let kept = context
        .store
        .in_tx("start_rollout", |tx| {
            save(tx, Plan::new(context, principal), key.as_ref(), start, &record.version, &admitted)
        })
        .await?;
    context.wake.tell();
    let id = kept.rollout.ok_or(StoreError::corrupt("idempotency_keys.response"))?;
    rollout_view(&context.store, id).await
}

async fn save(
    mut tx: Tx,
    plan: Plan,
    key: Option<&RequestKey>,
    start: &StartRollout,
    version: &ConfigVersion,
    admitted: &AdmittedConfig,
) -> Result<(Tx, KeptAnswer), OperationError> {
    if let Some(key) = key
        && let Some(kept) = key.claim(&mut tx).await?
    {
        return Ok((tx, kept));
    }
    let planned =
        plan_rollout(&mut tx, &plan, &start.order, version, None, admitted, start.accept_risk).await?;
    let kept = KeptAnswer { revision: version.revision, created: false, rollout: Some(planned.id) };
    if let Some(key) = key {
        key.keep(&mut tx, kept).await?;
    }
    notify(&mut tx).await?;
    event_append(&mut tx, &planned.events(&plan, Some(&start.order.fleet), version)).await?;
    Ok((tx, kept))
}

/// Plans a rollout of a revision, or finds it open already. `previous` is the newest revision before this push.
pub(crate) async fn plan_rollout(
    conn: &mut PgConnection,
    plan: &Plan,
    order: &RolloutOrder,
    version: &ConfigVersion,
    previous: Option<Revision>,
    admitted: &AdmittedConfig,
    accept_risk: bool,
) -> Result<PlannedRollout, OperationError> {
    let fleet = &order.fleet;
    let Some(binding) = fleet_lock(conn, fleet).await? else {
        let known = fleet_names_in(conn, 20).await?;
        return Err(OperationError::NotFound { what: "fleet", name: fleet.to_string(), known });
    };
    let rebinds = binding.as_ref().filter(|binding| binding.config != version.config);
    if let Some(bound) = rebinds
        && !order.replace_config
    {
        return Err(OperationError::Precondition(Box::new(Precondition {
            code: "fleet_bound",
            message: format!("fleet `{fleet}` runs config `{}`, not `{}`", bound.config, version.config),
            hint: "push to another fleet, or pass --replace-config".to_owned(),
            expected: Some(bound.config.to_string()),
            found: Some(version.config.to_string()),
            findings: Vec::new(),
        })));
    }
    let open = rollout_open(conn, fleet).await?;
    if let Some(open) = &open {
        if open.config == version.config && open.revision == version.revision {
            return Ok(PlannedRollout { id: open.id, new: false, ended: None });
        }
        if !open.baking && !order.supersede {
            return Err(open_rollout(fleet, open));
        }
    }
    if !accept_risk {
        check_risk_of_fleet(conn, binding.as_ref(), version, previous, admitted).await?;
    }
    let ended = match open {
        Some(open) => {
            let reason = format!("superseded by {}", plan.id);
            rollout_abort(conn, open.id, &reason).await?;
            Some((open, reason))
        }
        None => None,
    };
    // What a rollout that ended here had bound the fleet to never counted: the base is what was before it.
    let unproven = ended.as_ref().and_then(|(open, _)| open.replaced.as_ref());
    let before = unproven.or(binding.as_ref());
    let replaced = before.filter(|before| before.config != version.config);
    let new = NewRollout {
        id: plan.id,
        fleet,
        version,
        strategy: order.strategy,
        created_by: &plan.actor,
        replaced,
    };
    rollout_insert(conn, new).await?;
    match before {
        Some(before) if replaced.is_none() => {
            if unproven.is_some() {
                fleet_bind(conn, fleet, &before.config, before.stable, before.by).await?;
            }
        }
        Some(_) | None => {
            fleet_bind(conn, fleet, &version.config, version.revision, StableBy::Declared).await?;
        }
    }
    Ok(PlannedRollout { id: plan.id, new: true, ended })
}

/// What the fleet is meant to run is the base; before there is any, the newest revision before this one.
async fn check_risk_of_fleet(
    conn: &mut PgConnection,
    binding: Option<&Binding>,
    version: &ConfigVersion,
    previous: Option<Revision>,
    admitted: &AdmittedConfig,
) -> Result<(), OperationError> {
    let (config, base) = match (binding, previous) {
        (Some(binding), _) => (&binding.config, binding.stable),
        (None, Some(previous)) => (&version.config, previous),
        (None, None) => return Ok(()),
    };
    if (config, base) == (&version.config, version.revision) {
        return Ok(());
    }
    match revision_get(conn, config, base).await? {
        Some((_, source)) => check_risk(&format!("{config}@{base}"), &source, admitted),
        None => Ok(()),
    }
}

/// Refuses a dangerous change.
pub(crate) fn check_risk(base: &str, source: &[u8], admitted: &AdmittedConfig) -> Result<(), OperationError> {
    let findings = risks(source, admitted);
    if findings.is_empty() {
        return Ok(());
    }
    Err(OperationError::Precondition(Box::new(Precondition {
        code: "risky_change",
        message: format!("a dangerous change from {base}"),
        hint: "pass --accept-risk if it is meant".to_owned(),
        expected: None,
        found: None,
        findings,
    })))
}

pub(crate) async fn rollout_view(store: &Store, id: RolloutId) -> Result<RolloutView, OperationError> {
    rollout_get(store, id).await?.ok_or(StoreError::NotFound { what: "rollout" }.into())
}

fn open_rollout(fleet: &FleetName, open: &OpenRollout) -> OperationError {
    let message = format!(
        "fleet `{fleet}` has an open rollout of {}@{} ({}, {})",
        open.config, open.revision, open.id, open.state
    );
    OperationError::precondition("rollout_open", message, "wait for it, or pass --supersede")
}
