//! The life of each generation on each gateway: sent, silent, proven, superseded, told.

use std::time::Duration;

use fleet_core::activation::ActivationState;
use fleet_core::ids::{BootId, GatewayId, RolloutId};
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::encode::{micros, number};
use super::history::reserve;

/// One generation on one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ActivationKey {
    pub gateway: GatewayId,
    pub generation: i64,
}

/// A locked activation, as an answer finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadedActivation {
    pub key: ActivationKey,
    pub state: ActivationState,
    pub digest: ConfigDigest,
    /// The process that answered last.
    pub boot: Option<BootId>,
    /// It is a way back: the activation that is left when this one becomes active.
    pub leaves: Option<ActivationKey>,
}

// === impl ActivationKey ===

impl ActivationKey {
    pub(crate) fn new(gateway: GatewayId, generation: Generation) -> Self {
        Self { gateway, generation: number(generation.0) }
    }
}

/// Marks activations as on their way. One that is on its way already gets the new deadline: it was sent again.
pub(crate) async fn activation_send(
    conn: &mut PgConnection,
    sent: &[(ActivationKey, Duration)],
) -> Result<(), StoreError> {
    let (gateways, generations) = columns(sent.iter().map(|(key, _)| *key));
    let deadlines: Vec<i64> = sent.iter().map(|(_, deadline)| micros(*deadline)).collect();
    sqlx::query!(
        "update activations a
         set state = 'offered', stage = null, reason = '', findings = '[]', offered_at = clock_timestamp(),
             state_at = case when a.state = 'offered' then a.state_at else clock_timestamp() end,
             expires_at = clock_timestamp() + sent.deadline * interval '1 microsecond'
         from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as sent (gateway, generation, deadline)
         where a.gateway = sent.gateway and a.generation = sent.generation
             and a.state in ('assigned', 'offered', 'timed_out', 'rejected')",
        &gateways,
        &generations,
        &deadlines
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The stream that carried an offer is gone: silence counts again from when the next one carries it.
pub(crate) async fn activation_hold(
    conn: &mut PgConnection,
    gateway: GatewayId,
    generation: Generation,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update activations set expires_at = null where gateway = $1 and generation = $2 and state = 'offered'",
        gateway.0,
        number(generation.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Turns silence into an answer, where a stream lives to have carried one; a gateway that is away is offline, not
/// silent. `heard_within`: how old the last sign of life may be.
pub(crate) async fn activation_expire(
    conn: &mut PgConnection,
    heard_within: Duration,
) -> Result<Vec<ActivationKey>, StoreError> {
    let rows = sqlx::query!(
        "update activations a
         set state = 'timed_out', state_at = clock_timestamp(), reason = 'no answer in time'
         from gateways g
         where a.state = 'offered' and a.expires_at <= clock_timestamp() and g.id = a.gateway and g.attached
             and g.last_seen > clock_timestamp() - $1::bigint * interval '1 microsecond'
         returning a.gateway, a.generation",
        micros(heard_within)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| key(row.gateway, row.generation)).collect())
}

/// The bake passed: what is active is proven.
pub(crate) async fn activation_prove(
    conn: &mut PgConnection,
    rollout: RolloutId,
) -> Result<Vec<ActivationKey>, StoreError> {
    let rows = sqlx::query!(
        "update activations a set state = 'proven', state_at = clock_timestamp()
         from rollout_members m
         where m.rollout = $1 and a.gateway = m.gateway and a.generation = m.generation and a.state = 'active'
         returning a.gateway, a.generation",
        rollout.0
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| key(row.gateway, row.generation)).collect())
}

/// Closes what these gateways were told before their present generation and did not settle.
pub(crate) async fn activation_supersede(
    conn: &mut PgConnection,
    gateways: &[Uuid],
) -> Result<Vec<ActivationKey>, StoreError> {
    let rows = sqlx::query!(
        "update activations a
         set state = 'superseded', state_at = clock_timestamp(), reason = 'by generation ' || d.generation
         from desired_versions d
         where d.gateway = any($1) and a.gateway = d.gateway and a.generation < d.generation
             and a.state in ('assigned', 'offered', 'timed_out')
         returning a.gateway, a.generation",
        gateways
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| key(row.gateway, row.generation)).collect())
}

/// Appends one `activation` event for each of these, which got their present state in this transaction. What an
/// agent reported is told as its deed, the rest as ours.
pub(crate) async fn activation_tell(
    conn: &mut PgConnection,
    changed: &[ActivationKey],
) -> Result<(), StoreError> {
    let Ok(events) = i64::try_from(changed.len()) else { return Ok(()) };
    if events == 0 {
        return Ok(());
    }
    let (gateways, generations) = columns(changed.iter().copied());
    let first = reserve(conn, events).await?;
    sqlx::query!(
        "insert into history (seq, at, kind, actor, fleet, gateway_id, gateway, config, revision, generation, version,
             digest, outcome, reason, detail)
         select $1 + changed.place - 1, a.state_at, 'activation',
             case when a.state in ('active', 'rejected', 'rolled_back') then 'agent:' || g.fleet || '/' || g.name
                 else 'control-plane' end,
             g.fleet, g.id, g.name, a.config, a.revision, a.generation, r.version, a.digest, a.state, a.reason,
             jsonb_strip_nulls(jsonb_build_object(
                 'rollout', a.rollout, 'direction', a.direction, 'stage', a.stage,
                 'findings', nullif(a.findings, '[]'), 'warnings', nullif(a.warnings, '[]'),
                 'validate_ms', a.validate_micros / 1000.0, 'activate_ms', a.activate_micros / 1000.0))
         from unnest($2::uuid[], $3::bigint[]) with ordinality as changed (gateway, generation, place)
         join activations a on a.gateway = changed.gateway and a.generation = changed.generation
         join gateways g on g.id = a.gateway
         join config_revisions r on r.name = a.config and r.revision = a.revision",
        first,
        &gateways,
        &generations
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) fn key(gateway: Uuid, generation: i64) -> ActivationKey {
    ActivationKey { gateway: GatewayId(gateway), generation }
}

pub(super) fn columns(keys: impl Iterator<Item = ActivationKey>) -> (Vec<Uuid>, Vec<i64>) {
    keys.map(|key| (key.gateway.0, key.generation)).unzip()
}
