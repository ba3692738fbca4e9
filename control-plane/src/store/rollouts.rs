//! Rollouts as they are decided on and written: one step at a time, each a compare-and-set.

use fleet_core::gateway::FleetName;
use fleet_core::ids::RolloutId;
use fleet_core::liveness::ONLINE_FOR;
use fleet_core::rollout::{Counts, RolloutState, RolloutStrategy, Snapshot};
use fleet_core::standing::PINNED;
use fleet_core::time::Timestamp;
use fleet_core::version::{ConfigVersion, Revision};
use policy_config::schema::PackName;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::encode::{
    count, counts_to_json, digest, from_millis, micros, millis, number, revision, timestamp,
};
use super::error::Column;
use super::fleets::{Binding, binding};
use super::{Store, StoreError};

/// The open rollout of a fleet, as an order for that fleet finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenRollout {
    pub id: RolloutId,
    pub config: PackName,
    pub revision: Revision,
    pub state: RolloutState,
    /// Every wave is active and only the last bake is open.
    pub baking: bool,
    /// What the fleet was bound to before this rollout, or one that it took over from, bound it anew.
    pub replaced: Option<Binding>,
}

/// A rollout to plan.
#[derive(Debug, Clone)]
pub(crate) struct NewRollout<'a> {
    pub id: RolloutId,
    pub fleet: &'a FleetName,
    pub version: &'a ConfigVersion,
    pub strategy: RolloutStrategy,
    pub created_by: &'a str,
    /// What the fleet was bound to, when this rollout binds it anew.
    pub replaced: Option<&'a Binding>,
}

/// An open rollout with all that is decided on.
#[derive(Debug, Clone)]
pub(crate) struct StepInput {
    pub id: RolloutId,
    pub fleet: FleetName,
    pub step_seq: i64,
    pub version: ConfigVersion,
    pub snapshot: Snapshot,
    pub replaced: Option<Binding>,
    pub now: Timestamp,
}

/// What a step changes in the rollout itself; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct StepChange<'a> {
    pub state: Option<RolloutState>,
    pub reason: Option<&'a str>,
    pub wave: Option<&'static str>,
    pub settled: Option<Counts>,
    pub bake: bool,
}

/// The row as the queries below select it.
struct Row {
    id: Uuid,
    fleet: String,
    config: String,
    revision: i64,
    version: String,
    digest: Vec<u8>,
    state: String,
    bake_ms: i64,
    deadline_ms: i64,
    step_seq: i64,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    bake_since: Option<OffsetDateTime>,
    reverting_since: Option<OffsetDateTime>,
    replaced_config: Option<String>,
    replaced_revision: Option<i64>,
    replaced_by: Option<String>,
    replaced_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
    first_failure_at: Option<OffsetDateTime>,
    revertible: i64,
    forward: Vec<i64>,
    back: Vec<i64>,
}

// === impl Row ===

impl Row {
    fn input(self) -> Result<StepInput, StoreError> {
        let replaced =
            binding(self.replaced_config, self.replaced_revision, self.replaced_by, self.replaced_at)?;
        Ok(StepInput {
            id: RolloutId(self.id),
            fleet: self.fleet.parse().column("rollouts.fleet")?,
            step_seq: self.step_seq,
            version: ConfigVersion {
                config: self.config.parse().column("rollouts.config")?,
                revision: revision(self.revision)?,
                version: self.version.parse().column("config_revisions.version")?,
                digest: digest(&self.digest)?,
            },
            snapshot: Snapshot {
                state: RolloutState::from_word(&self.state).column("rollouts.state")?,
                strategy: RolloutStrategy {
                    bake: from_millis(self.bake_ms),
                    deadline: from_millis(self.deadline_ms),
                },
                started_at: timestamp(self.started_at.unwrap_or(self.created_at)),
                first_failure_at: self.first_failure_at.map(timestamp),
                bake_since: self.bake_since.map(timestamp),
                reverting_since: self.reverting_since.map(timestamp),
                counts: counts(&self.forward)?,
                back: counts(&self.back)?,
                revertible: count(self.revertible),
            },
            replaced,
            now: timestamp(self.now),
        })
    }
}

/// Every open rollout with its counts, or those asked for, ended or not: one statement that never reads the fleet
/// into this program. A gateway that is pending and not online is counted as offline, and so is one that a change on
/// its host holds: it gets what it should run when it is unpinned, and an emergency there is no breach here.
pub(crate) async fn rollout_load(
    store: &Store,
    wanted: Option<&[Uuid]>,
) -> Result<Vec<StepInput>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select r.id, r.fleet, r.config, r.revision, v.version, v.digest, r.state, r.bake_ms, r.deadline_ms,
                  r.step_seq, r.created_at, r.started_at, r.bake_since, r.reverting_since, r.replaced_config,
                  r.replaced_revision, r.replaced_by, r.replaced_at, now() as "now!",
                  c.first_failure_at, c.revertible as "revertible!", c.forward as "forward!", c.back as "back!"
           from rollouts r
           join config_revisions v on v.name = r.config and v.revision = r.revision
           cross join lateral (
               select min(a.state_at) filter (where a.state in ('rejected', 'timed_out') and not p.held) as first_failure_at,
                      count(m.previous_revision) as revertible,
                      array[
                          count(*) filter (where a.state in ('assigned', 'offered') and p.online and not p.held),
                          count(*) filter (where a.state in ('active', 'proven')),
                          count(*) filter (where a.state = 'proven'),
                          count(*) filter (where a.state = 'rejected' and not p.held),
                          count(*) filter (where a.state = 'timed_out' and not p.held),
                          count(*) filter (where p.held or a.state in ('assigned', 'offered') and not p.online),
                          count(*) filter (where a.state in ('superseded', 'rolled_back'))
                      ] as forward,
                      array[
                          count(*) filter (where b.state in ('assigned', 'offered') and p.online and not p.held_back),
                          count(*) filter (where b.state in ('active', 'proven')),
                          count(*) filter (where b.state = 'proven'),
                          count(*) filter (where b.state = 'rejected' and not p.held_back),
                          count(*) filter (where b.state = 'timed_out' and not p.held_back),
                          count(*) filter (where p.held_back or b.state in ('assigned', 'offered') and not p.online),
                          count(*) filter (where b.state in ('superseded', 'rolled_back'))
                      ] as back
               from rollout_members m
               join activations a on a.gateway = m.gateway and a.generation = m.generation
               left join activations b on b.gateway = m.gateway and b.generation = m.back_generation
               join gateways g on g.id = m.gateway
               cross join lateral (
                   select coalesce(g.attached
                           and g.last_seen > now() - $1::bigint * interval '1 microsecond', false) as online,
                       coalesce(a.state = 'rejected' and a.stage = 'generation' and a.reason = $3
                           or g.pinned and a.state in ('assigned', 'offered', 'timed_out'), false) as held,
                       coalesce(b.state = 'rejected' and b.stage = 'generation' and b.reason = $3
                           or g.pinned and b.state in ('assigned', 'offered', 'timed_out'), false) as held_back
               ) p
               where m.rollout = r.id
           ) c
           where case when $2::uuid[] is null then r.state in ('planned', 'advancing', 'reverting')
               else r.id = any($2) end
           order by r.created_at"#,
        micros(ONLINE_FOR),
        wanted,
        PINNED
    )
    .fetch_all(&store.pool())
    .await?;
    rows.into_iter().map(Row::input).collect()
}

/// The open rollout of a locked fleet.
pub(crate) async fn rollout_open(
    conn: &mut PgConnection,
    fleet: &FleetName,
) -> Result<Option<OpenRollout>, StoreError> {
    let row = sqlx::query!(
        "select id, config, revision, state, bake_since, replaced_config, replaced_revision, replaced_by, replaced_at
         from rollouts where fleet = $1 and state in ('planned', 'advancing', 'reverting')",
        fleet.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state = RolloutState::from_word(&row.state).column("rollouts.state")?;
    Ok(Some(OpenRollout {
        id: RolloutId(row.id),
        config: row.config.parse().column("rollouts.config")?,
        revision: revision(row.revision)?,
        state,
        baking: state == RolloutState::Advancing && row.bake_since.is_some(),
        replaced: binding(row.replaced_config, row.replaced_revision, row.replaced_by, row.replaced_at)?,
    }))
}

/// Plans a rollout of one wave. Who is in it is fixed when the wave starts, so that the answer to an order takes as
/// long for ten thousand gateways as for one.
pub(crate) async fn rollout_insert(conn: &mut PgConnection, new: NewRollout<'_>) -> Result<(), StoreError> {
    let replaced = new.replaced;
    sqlx::query!(
        "with planned as (
             insert into rollouts (id, kind, fleet, config, revision, state, bake_ms, deadline_ms, created_by,
                 created_at, replaced_config, replaced_revision, replaced_by, replaced_at)
             values ($1, 'deploy', $2, $3, $4, 'planned', $5, $6, $7, clock_timestamp(), $8, $9, $10, $11)
             returning id
         )
         insert into waves (rollout, index, state) select id, 1, 'planned' from planned",
        new.id.0,
        new.fleet.as_str(),
        new.version.config.as_str(),
        number(new.version.revision.0),
        millis(new.strategy.bake),
        millis(new.strategy.deadline),
        new.created_by,
        replaced.map(|binding| binding.config.as_str()),
        replaced.map(|binding| number(binding.stable.0)),
        replaced.map(|binding| binding.by.as_str()),
        replaced.map(|binding| binding.at)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes a rollout if nobody did since it was loaded; a conflict otherwise.
pub(crate) async fn rollout_step(
    conn: &mut PgConnection,
    id: RolloutId,
    step_seq: i64,
    change: StepChange<'_>,
) -> Result<(), StoreError> {
    let stepped = sqlx::query!(
        "update rollouts
         set step_seq = step_seq + 1, state = coalesce($3, state), reason = coalesce($4, reason),
             settled = coalesce($5, settled),
             started_at = case when $3 = 'advancing' then clock_timestamp() else started_at end,
             reverting_since = case when $3 = 'reverting' then clock_timestamp() else reverting_since end,
             bake_since = case when $6 then clock_timestamp() else bake_since end,
             ended_at = case when $3 in ('succeeded', 'halted', 'reverted', 'aborted') then clock_timestamp()
                 else ended_at end
         where id = $1 and step_seq = $2",
        id.0,
        step_seq,
        change.state.map(RolloutState::as_str),
        change.reason,
        change.settled.as_ref().map(counts_to_json),
        change.bake
    )
    .execute(&mut *conn)
    .await?;
    if stepped.rows_affected() != 1 {
        return Err(StoreError::conflict("rollout", format!("step {step_seq}"), "a later one"));
    }
    if let Some(wave) = change.wave {
        sqlx::query!("update waves set state = $2 where rollout = $1", id.0, wave).execute(conn).await?;
    }
    Ok(())
}

/// Ends an open rollout of a locked fleet because another one takes its place.
pub(crate) async fn rollout_abort(
    conn: &mut PgConnection,
    id: RolloutId,
    reason: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "with ended as (
             update rollouts
             set state = 'aborted', reason = $2, ended_at = clock_timestamp(), step_seq = step_seq + 1
             where id = $1 returning id
         )
         update waves w set state = 'aborted' from ended where w.rollout = ended.id and w.state <> 'passed'",
        id.0,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The classes in the order of the statement above.
fn counts(classes: &[i64]) -> Result<Counts, StoreError> {
    let &[pending, active, proven, rejected, timed_out, offline, superseded] = classes else {
        return Err(StoreError::corrupt("counts"));
    };
    Ok(Counts {
        pending: count(pending),
        active: count(active),
        proven: count(proven),
        rejected: count(rejected),
        timed_out: count(timed_out),
        offline: count(offline),
        superseded: count(superseded),
        incompatible: 0,
    })
}
