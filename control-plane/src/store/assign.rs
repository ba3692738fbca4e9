//! Assignments: a higher generation for each gateway of a set, its activation, and the end of what it was told
//! before. A fixed number of statements, whatever the size of the set.

use fleet_core::gateway::FleetName;
use fleet_core::ids::{GatewayId, RolloutId};
use fleet_core::version::ConfigVersion;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::activations::{ActivationKey, activation_supersede};
use super::encode::number;
use super::fleets::Binding;

/// What an assignment did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub gateways: u32,
    /// What was open on those gateways before and is not any more.
    pub superseded: Vec<ActivationKey>,
}

/// Makes every gateway of a locked fleet a member of the rollout. One that runs the revision already keeps its
/// generation, and one that had proven it before has nothing to go back to; the others get the next. `fallback` is
/// what a gateway goes back to that ran nothing before.
pub(crate) async fn assign_fleet(
    conn: &mut PgConnection,
    rollout: RolloutId,
    fleet: &FleetName,
    version: &ConfigVersion,
    fallback: Option<&Binding>,
) -> Result<Assigned, StoreError> {
    let change = next_change(conn).await?;
    let config = version.config.as_str();
    let number_of_revision = number(version.revision.0);
    sqlx::query!(
        "update desired_versions d set rollout = $1
         from gateways g, activations a
         where g.fleet = $2 and d.gateway = g.id and d.config = $3 and d.revision = $4
             and a.gateway = d.gateway and a.generation = d.generation and a.state in ('active', 'proven')
             and g.observed_generation = d.generation and g.observed_digest = d.digest and not g.pinned",
        rollout.0,
        fleet.as_str(),
        config,
        number_of_revision
    )
    .execute(&mut *conn)
    .await?;
    let assigned = sqlx::query_scalar!(
        "insert into desired_versions (gateway, config, revision, digest, generation, rollout, assigned_at, change)
         select g.id, $3, $4, $5, g.seen_generation + 1, $1, clock_timestamp(), $6 from gateways g
         where g.fleet = $2
             and not exists (select from desired_versions d where d.gateway = g.id and d.rollout = $1)
         on conflict (gateway) do update
             set config = excluded.config, revision = excluded.revision, digest = excluded.digest,
                 generation = greatest(desired_versions.generation + 1, excluded.generation),
                 rollout = excluded.rollout,
                 assigned_at = excluded.assigned_at, change = excluded.change
         returning gateway",
        rollout.0,
        fleet.as_str(),
        config,
        number_of_revision,
        version.digest.as_bytes().as_slice(),
        change
    )
    .fetch_all(&mut *conn)
    .await?;
    activation_insert(conn, &assigned, "forward").await?;
    let members = sqlx::query!(
        "insert into rollout_members (rollout, gateway, generation, previous_config, previous_revision)
         select $1, d.gateway, d.generation,
                case when c.state <> 'proven' then coalesce(p.config, $5) end,
                case when c.state <> 'proven' then coalesce(p.revision, $6) end
         from gateways g
         join desired_versions d on d.gateway = g.id and d.rollout = $1
         join activations c on c.gateway = d.gateway and c.generation = d.generation
         left join lateral (
             select a.config, a.revision from activations a left join rollouts r on r.id = a.rollout
             where a.gateway = d.gateway and a.generation < d.generation and (a.config, a.revision) <> ($3, $4)
                 and (a.state in ('active', 'proven') or a.state in ('assigned', 'offered')
                     and (a.rollout is null or r.state = 'succeeded'))
             order by a.generation desc limit 1
         ) p on true
         where g.fleet = $2",
        rollout.0,
        fleet.as_str(),
        config,
        number_of_revision,
        fallback.map(|binding| binding.config.as_str()),
        fallback.map(|binding| number(binding.stable.0))
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update waves set targets = $2 where rollout = $1",
        rollout.0,
        i32::try_from(members.rows_affected()).unwrap_or(i32::MAX)
    )
    .execute(&mut *conn)
    .await?;
    let superseded = activation_supersede(conn, &assigned).await?;
    Ok(Assigned { gateways: u32::try_from(members.rows_affected()).unwrap_or(u32::MAX), superseded })
}

/// Sends every member back to what it had before; members that had nothing stay.
pub(crate) async fn assign_back(conn: &mut PgConnection, rollout: RolloutId) -> Result<Assigned, StoreError> {
    let change = next_change(conn).await?;
    let assigned = sqlx::query_scalar!(
        "update desired_versions d
         set config = m.previous_config, revision = m.previous_revision, digest = v.digest,
             generation = greatest(d.generation, g.seen_generation) + 1, assigned_at = clock_timestamp(),
             change = $2
         from rollout_members m
         join gateways g on g.id = m.gateway
         join config_revisions v on v.name = m.previous_config and v.revision = m.previous_revision
         where m.rollout = $1 and d.gateway = m.gateway and d.rollout = $1 and d.generation = m.generation
         returning d.gateway",
        rollout.0,
        change
    )
    .fetch_all(&mut *conn)
    .await?;
    activation_insert(conn, &assigned, "back").await?;
    sqlx::query!(
        "update rollout_members m set back_generation = d.generation
         from desired_versions d
         where m.rollout = $1 and d.gateway = m.gateway and m.gateway = any($2)",
        rollout.0,
        &assigned
    )
    .execute(&mut *conn)
    .await?;
    let superseded = activation_supersede(conn, &assigned).await?;
    Ok(Assigned { gateways: u32::try_from(assigned.len()).unwrap_or(u32::MAX), superseded })
}

/// Brings the gateways of a locked fleet that were told something else to the revision that was made stable: those
/// that enrolled meanwhile, and members that were placed anew.
pub(crate) async fn assign_rest(
    conn: &mut PgConnection,
    fleet: &FleetName,
    version: &ConfigVersion,
) -> Result<Assigned, StoreError> {
    let rest = sqlx::query_scalar!(
        "select g.id from gateways g left join desired_versions d on d.gateway = g.id
         where g.fleet = $1 and (d.config, d.revision) is distinct from ($2, $3)",
        fleet.as_str(),
        version.config.as_str(),
        number(version.revision.0)
    )
    .fetch_all(&mut *conn)
    .await?;
    assign_stable(conn, &rest, version).await
}

/// Places gateways on the fleet's stable revision.
pub(crate) async fn assign_stable(
    conn: &mut PgConnection,
    gateways: &[Uuid],
    version: &ConfigVersion,
) -> Result<Assigned, StoreError> {
    if gateways.is_empty() {
        return Ok(Assigned::default());
    }
    let change = next_change(conn).await?;
    sqlx::query!(
        "insert into desired_versions (gateway, config, revision, digest, generation, rollout, assigned_at, change)
         select g.id, $2, $3, $4, g.seen_generation + 1, null, clock_timestamp(), $5
         from unnest($1::uuid[]) as placed (id) join gateways g on g.id = placed.id
         on conflict (gateway) do update
             set config = excluded.config, revision = excluded.revision, digest = excluded.digest,
                 generation = greatest(desired_versions.generation + 1, excluded.generation), rollout = null,
                 assigned_at = excluded.assigned_at, change = excluded.change",
        gateways,
        version.config.as_str(),
        number(version.revision.0),
        version.digest.as_bytes().as_slice(),
        change
    )
    .execute(&mut *conn)
    .await?;
    activation_insert(conn, gateways, "placement").await?;
    let superseded = activation_supersede(conn, gateways).await?;
    Ok(Assigned { gateways: u32::try_from(gateways.len()).unwrap_or(u32::MAX), superseded })
}

/// Places one gateway.
pub(crate) async fn assign_one(
    conn: &mut PgConnection,
    gateway: GatewayId,
    version: &ConfigVersion,
) -> Result<Assigned, StoreError> {
    assign_stable(conn, &[gateway.0], version).await
}

/// Tells a gateway what it was told already under its next generation, which is above all that it has seen. Where it
/// was a member of a rollout it stays one, with this generation in the place of the last.
pub(crate) async fn assign_again(
    conn: &mut PgConnection,
    gateway: GatewayId,
) -> Result<Assigned, StoreError> {
    let change = next_change(conn).await?;
    let last = sqlx::query!(
        "select a.generation, a.direction from desired_versions d
         join activations a on a.gateway = d.gateway and a.generation = d.generation
         where d.gateway = $1 for update of d",
        gateway.0
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "update desired_versions d
         set generation = greatest(d.generation, g.seen_generation) + 1, assigned_at = clock_timestamp(),
             change = $2
         from gateways g where d.gateway = $1 and g.id = d.gateway",
        gateway.0,
        change
    )
    .execute(&mut *conn)
    .await?;
    activation_insert(conn, &[gateway.0], &last.direction).await?;
    sqlx::query!(
        "update rollout_members m
         set generation = case when m.generation = $2 then d.generation else m.generation end,
             back_generation = case when m.back_generation = $2 then d.generation else m.back_generation end
         from desired_versions d
         where d.gateway = $1 and m.gateway = d.gateway and m.rollout = d.rollout",
        gateway.0,
        last.generation
    )
    .execute(&mut *conn)
    .await?;
    let superseded = activation_supersede(conn, &[gateway.0]).await?;
    Ok(Assigned { gateways: 1, superseded })
}

/// The number of this transaction's changes; others that assign wait from here to its end, so that a lower number
/// is never committed after a higher one.
async fn next_change(conn: &mut PgConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar!("update desired_head set change = change + 1 returning change")
        .fetch_one(conn)
        .await?)
}

/// Opens the activation of each gateway's present generation.
async fn activation_insert(
    conn: &mut PgConnection,
    gateways: &[Uuid],
    direction: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into activations (gateway, generation, rollout, direction, config, revision, digest, state,
             assigned_at, state_at)
         select gateway, generation, rollout, $2, config, revision, digest, 'assigned', assigned_at, assigned_at
         from desired_versions where gateway = any($1)",
        gateways,
        direction
    )
    .execute(conn)
    .await?;
    Ok(())
}
