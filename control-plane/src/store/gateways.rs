//! Gateways as readers see them: desired, observed, liveness, what became of each assignment.

use fleet_core::activation::ActivationState;
use fleet_core::gateway::{FleetName, GatewayPath, Labels};
use fleet_core::ids::GatewayId;
use fleet_core::liveness::{Liveness, liveness};
use fleet_core::offer::{NackReason, Stage};
use fleet_core::version::{Generation, Revision};
use policy_config::ConfigDigest;
use serde_json::Value;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::encode::{
    digest, findings_from_json, generation, labels_from_json, labels_to_json, revision, timestamp,
};
use super::error::Column;
use super::{Page, Store, StoreError, page};

/// One gateway as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayView {
    pub id: GatewayId,
    pub path: GatewayPath,
    pub labels: Labels,
    pub liveness: Liveness,
    pub desired: Option<VersionView>,
    pub observed: Option<VersionView>,
    /// It runs the bytes it should run, for the assignment it should run them for.
    pub in_sync: bool,
    pub pinned: bool,
    pub last_outcome: Option<OutcomeView>,
    pub agent_version: String,
    pub last_seen: Option<OffsetDateTime>,
    pub enrolled_at: OffsetDateTime,
}

/// A version that a gateway should run or said it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// `None`: it runs bytes that were never assigned to it.
    pub revision: Option<Revision>,
    /// `None`: no control plane assigned it; somebody changed the gateway on its host.
    pub generation: Option<Generation>,
    /// `pack.version`.
    pub version: String,
    pub digest: ConfigDigest,
    /// Since when it is so.
    pub at: OffsetDateTime,
}

/// What became of one generation on one gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeView {
    pub generation: Generation,
    pub revision: Revision,
    pub version: String,
    pub digest: ConfigDigest,
    pub state: ActivationState,
    pub reason: String,
    pub refusal: Option<NackReason>,
    /// When it got this state.
    pub at: OffsetDateTime,
}

struct Row {
    id: Uuid,
    fleet: String,
    name: String,
    labels: Value,
    attached: bool,
    last_seen: Option<OffsetDateTime>,
    db_now: OffsetDateTime,
    pinned: bool,
    agent_version: String,
    enrolled_at: OffsetDateTime,
    observed_generation: Option<i64>,
    observed_digest: Option<Vec<u8>>,
    observed_version: Option<String>,
    observed_since: Option<OffsetDateTime>,
    observed_revision: Option<i64>,
    local_digest: Option<Vec<u8>>,
    local_version: Option<String>,
    local_since: Option<OffsetDateTime>,
    desired_generation: Option<i64>,
    desired_revision: Option<i64>,
    desired_digest: Option<Vec<u8>>,
    desired_version: Option<String>,
    assigned_at: Option<OffsetDateTime>,
}

struct OutcomeRow {
    gateway: Uuid,
    generation: i64,
    revision: i64,
    version: String,
    digest: Vec<u8>,
    state: String,
    stage: Option<String>,
    reason: String,
    findings: Value,
    state_at: OffsetDateTime,
}

// === impl Row ===

impl Row {
    fn view(self, last_outcome: Option<OutcomeView>) -> Result<GatewayView, StoreError> {
        let desired = match (self.desired_generation, self.desired_digest, self.assigned_at) {
            (Some(number), Some(bytes), Some(at)) => Some(VersionView {
                revision: self.desired_revision.map(revision).transpose()?,
                generation: Some(generation(number)?),
                version: self.desired_version.unwrap_or_default(),
                digest: digest(&bytes)?,
                at,
            }),
            _ => None,
        };
        let is_told = !self.pinned || self.local_digest.is_some();
        let local = match (self.local_digest, self.local_since) {
            (Some(bytes), Some(at)) => Some(VersionView {
                revision: None,
                generation: None,
                version: self.local_version.unwrap_or_default(),
                digest: digest(&bytes)?,
                at,
            }),
            _ => None,
        };
        let observed = match (self.observed_generation, self.observed_digest, self.observed_since) {
            _ if local.is_some() => local,
            (Some(number), Some(bytes), Some(at)) => Some(VersionView {
                revision: self.observed_revision.map(revision).transpose()?,
                generation: Some(generation(number)?),
                version: self.observed_version.unwrap_or_default(),
                digest: digest(&bytes)?,
                at,
            }),
            _ => None,
        };
        let in_sync = match (&desired, &observed) {
            // What an older agent does not tell of its pin is not what it should run.
            (Some(desired), Some(observed)) => is_told && desired.digest == observed.digest,
            (None, None) => true,
            _ => false,
        };
        Ok(GatewayView {
            id: GatewayId(self.id),
            path: path(&self.fleet, &self.name)?,
            labels: labels_from_json(&self.labels)?,
            liveness: liveness(self.last_seen.map(timestamp), self.attached, timestamp(self.db_now)),
            desired,
            observed,
            in_sync,
            pinned: self.pinned,
            last_outcome,
            agent_version: self.agent_version,
            last_seen: self.last_seen,
            enrolled_at: self.enrolled_at,
        })
    }
}

// === impl OutcomeRow ===

impl OutcomeRow {
    fn view(self) -> Result<OutcomeView, StoreError> {
        let stage = self.stage.map(|stage| stage.parse::<Stage>()).transpose().column("activations.stage")?;
        let refusal = match stage {
            Some(stage) => Some(NackReason {
                stage,
                reason: self.reason.clone(),
                findings: findings_from_json(&self.findings)?,
            }),
            None => None,
        };
        Ok(OutcomeView {
            generation: generation(self.generation)?,
            revision: revision(self.revision)?,
            version: self.version,
            digest: digest(&self.digest)?,
            state: ActivationState::from_parts(&self.state, stage).column("activations.state")?,
            reason: self.reason,
            refusal,
            at: self.state_at,
        })
    }
}

/// One gateway, with its newest outcomes (newest first, at most `outcomes`).
pub async fn gateway_get(
    store: &Store,
    wanted: &GatewayPath,
    outcomes: u32,
) -> Result<Option<(GatewayView, Vec<OutcomeView>)>, StoreError> {
    let rows = select(store, Some(&wanted.fleet), None, Some(wanted.name.as_str()), 1).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let outcomes = sqlx::query_as!(
        OutcomeRow,
        "select a.gateway, a.generation, a.revision, r.version, a.digest, a.state, a.stage, a.reason, a.findings,
                a.state_at
         from activations a join config_revisions r on r.name = a.config and r.revision = a.revision
         where a.gateway = $1 order by a.generation desc limit $2",
        row.id,
        i64::from(outcomes.max(1))
    )
    .fetch_all(&store.pool())
    .await?;
    let outcomes = outcomes.into_iter().map(OutcomeRow::view).collect::<Result<Vec<_>, _>>()?;
    let last = outcomes.first().cloned();
    Ok(Some((row.view(last)?, outcomes)))
}

/// Gateways by fleet, then name; of one fleet or of all.
pub async fn gateway_list(
    store: &Store,
    fleet: Option<&FleetName>,
    after: Option<&GatewayPath>,
    limit: u32,
) -> Result<Page<GatewayView, GatewayPath>, StoreError> {
    let rows = select(store, fleet, after, None, i64::from(limit) + 1).await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let newest = sqlx::query_as!(
        OutcomeRow,
        r#"select a.gateway as "gateway!", a.generation as "generation!", a.revision as "revision!",
                  r.version as "version!", a.digest as "digest!", a.state as "state!", a.stage, a.reason as "reason!",
                  a.findings as "findings!", a.state_at as "state_at!"
           from unnest($1::uuid[]) as wanted(id)
           cross join lateral (
               select * from activations where gateway = wanted.id order by generation desc limit 1
           ) a
           join config_revisions r on r.name = a.config and r.revision = a.revision"#,
        &ids
    )
    .fetch_all(&store.pool())
    .await?;
    let mut newest: std::collections::HashMap<Uuid, OutcomeRow> =
        newest.into_iter().map(|row| (row.gateway, row)).collect();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let outcome = newest.remove(&row.id).map(OutcomeRow::view).transpose()?;
        items.push(row.view(outcome)?);
    }
    Ok(page(items, limit, |gateway| gateway.path.clone()))
}

/// Names of a fleet's gateways, at most `limit`, to name in an error.
pub async fn gateway_names(store: &Store, fleet: &FleetName, limit: u32) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        "select name from gateways where fleet = $1 order by name limit $2",
        fleet.as_str(),
        i64::from(limit)
    )
    .fetch_all(&store.pool())
    .await?)
}

/// The gateway of a name, locked, and whether it holds a live stream.
pub(crate) async fn gateway_lock_by_path(
    conn: &mut PgConnection,
    wanted: &GatewayPath,
) -> Result<Option<(GatewayId, Liveness)>, StoreError> {
    let row = sqlx::query!(
        r#"select id, attached, last_seen, clock_timestamp() as "db_now!" from gateways
           where fleet = $1 and name = $2 for update"#,
        wanted.fleet.as_str(),
        wanted.name.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let liveness = liveness(row.last_seen.map(timestamp), row.attached, timestamp(row.db_now));
        (GatewayId(row.id), liveness)
    }))
}

/// A new gateway; a taken name is a conflict.
pub(crate) async fn gateway_insert(
    conn: &mut PgConnection,
    id: GatewayId,
    path: &GatewayPath,
    labels: &Labels,
    agent_version: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into gateways (id, fleet, name, labels, agent_version) values ($1, $2, $3, $4, $5)",
        id.0,
        path.fleet.as_str(),
        path.name.as_str(),
        labels_to_json(labels),
        agent_version
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Its place was taken over by another host: nothing that the old one said holds any more.
pub(crate) async fn gateway_take_over(
    conn: &mut PgConnection,
    id: GatewayId,
    labels: &Labels,
    agent_version: &str,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update gateways set labels = $2, agent_version = $3, boot_id = null, session_counter = 0, attached = false,
             observed_generation = null, observed_digest = null, observed_version = null, observed_since = null,
             pinned = false, local_digest = null, local_version = null, local_since = null
         where id = $1",
        id.0,
        labels_to_json(labels),
        agent_version
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) fn path(fleet: &str, name: &str) -> Result<GatewayPath, StoreError> {
    Ok(GatewayPath {
        fleet: fleet.parse().column("gateways.fleet")?,
        name: name.parse().column("gateways.name")?,
    })
}

async fn select(
    store: &Store,
    fleet: Option<&FleetName>,
    after: Option<&GatewayPath>,
    name: Option<&str>,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    Ok(sqlx::query_as!(
        Row,
        r#"select g.id, g.fleet, g.name, g.labels, g.attached, g.last_seen, now() as "db_now!", g.pinned,
                  g.agent_version, g.enrolled_at,
                  g.observed_generation, g.observed_digest, g.observed_version, g.observed_since,
                  g.local_digest, g.local_version, g.local_since,
                  o.revision as "observed_revision?",
                  d.generation as "desired_generation?", d.revision as "desired_revision?",
                  d.digest as "desired_digest?", r.version as "desired_version?", d.assigned_at as "assigned_at?"
           from gateways g
           left join desired_versions d on d.gateway = g.id
           left join config_revisions r on r.name = d.config and r.revision = d.revision
           left join activations o on o.gateway = g.id and o.generation = g.observed_generation
               and o.digest = g.observed_digest
           where ($1::text is null or g.fleet = $1) and ($2::text is null or g.name = $2)
               and ($3::text is null or (g.fleet, g.name) > ($3, $4))
           order by g.fleet, g.name limit $5"#,
        fleet.map(FleetName::as_str),
        name,
        after.map(|after| after.fleet.as_str()),
        after.map(|after| after.name.as_str()),
        limit
    )
    .fetch_all(&store.pool())
    .await?)
}
