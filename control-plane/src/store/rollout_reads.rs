//! Rollouts as readers see them: counts, what each waits for, who refused and why.

use std::collections::HashMap;

use fleet_core::gateway::{FleetName, GatewayPath};
use fleet_core::ids::RolloutId;
use fleet_core::offer::{NackReason, Stage};
use fleet_core::rollout::{Counts, RolloutState, RolloutStrategy, step};
use fleet_core::standing::PINNED;
use fleet_core::version::ConfigVersion;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::encode::{count, counts_from_json, findings_from_json};
use super::error::Column;
use super::gateways::path;
use super::rollouts::{StepInput, rollout_load};
use super::{Page, Store, StoreError, page};

/// One rollout as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutView {
    pub id: RolloutId,
    pub fleet: FleetName,
    pub version: ConfigVersion,
    pub strategy: RolloutStrategy,
    pub state: RolloutState,
    /// Empty while it simply goes on.
    pub reason: String,
    pub waves: Vec<WaveView>,
    pub counts: Counts,
    /// The counts as they were when it breached.
    pub settled: Option<Counts>,
    /// For people: `2 gateways to activate (edge-1, edge-2)`.
    pub waiting_on: Vec<String>,
    /// At most [`MOST_REJECTIONS`].
    pub rejections: Vec<RejectionView>,
    pub created_at: OffsetDateTime,
    pub ended_at: Option<OffsetDateTime>,
    pub created_by: String,
    /// Grows with every step; together with `counts` it tells whether something changed.
    pub step_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveView {
    /// From 1.
    pub index: u32,
    /// planned | open | baking | passed | breached | aborted
    pub state: String,
    pub targets: u32,
    pub active: u32,
}

/// A gateway that refused, and why. One that is pinned is counted as offline, and no refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionView {
    pub gateway: GatewayPath,
    pub refusal: NackReason,
}

/// Where a page of rollouts goes on: below the rollout created then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutKey {
    pub created_at: OffsetDateTime,
    pub id: RolloutId,
}

/// How many refusals a rollout shows.
pub const MOST_REJECTIONS: u32 = 100;
/// How many gateways a line of `waiting_on` names.
const MOST_NAMED: usize = 3;

struct HeadRow {
    id: Uuid,
    reason: String,
    settled: Option<Value>,
    created_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    created_by: String,
    gateways: i64,
}

/// One rollout; `None`: there is none of this id.
pub async fn rollout_get(store: &Store, id: RolloutId) -> Result<Option<RolloutView>, StoreError> {
    Ok(views(store, &[id.0]).await?.pop())
}

/// Rollouts, newest first; of one fleet or of all.
pub async fn rollout_list(
    store: &Store,
    fleet: Option<&FleetName>,
    before: Option<RolloutKey>,
    limit: u32,
) -> Result<Page<RolloutView, RolloutKey>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select id from rollouts
         where ($1::text is null or fleet = $1)
             and ($2::timestamptz is null or (created_at, id) < ($2, $3))
         order by created_at desc, id desc limit $4",
        fleet.map(FleetName::as_str),
        before.map(|before| before.created_at),
        before.map_or(Uuid::nil(), |before| before.id.0),
        i64::from(limit) + 1
    )
    .fetch_all(&store.pool())
    .await?;
    let items = views(store, &ids).await?;
    Ok(page(items, limit, |rollout| RolloutKey { created_at: rollout.created_at, id: rollout.id }))
}

/// The newest rollout of a fleet.
pub async fn rollout_newest(store: &Store, fleet: &FleetName) -> Result<Option<RolloutId>, StoreError> {
    let id = sqlx::query_scalar!(
        "select id from rollouts where fleet = $1 order by created_at desc, id desc limit 1",
        fleet.as_str()
    )
    .fetch_optional(&store.pool())
    .await?;
    Ok(id.map(RolloutId))
}

/// Views, newest first; the number of statements grows only with the open rollouts among them.
async fn views(store: &Store, ids: &[Uuid]) -> Result<Vec<RolloutView>, StoreError> {
    // Before all that explains it: what is read later is at least as new, so a refusal that is counted is also
    // shown, and an end has its reason.
    let inputs = rollout_load(store, Some(ids)).await?;
    let heads = sqlx::query_as!(
        HeadRow,
        r#"select r.id, r.reason, r.settled, r.created_at, r.ended_at, r.created_by,
                  (select count(*) from gateways g where g.fleet = r.fleet and r.state = 'planned') as "gateways!"
           from rollouts r where r.id = any($1)"#,
        ids
    )
    .fetch_all(&store.pool())
    .await?;
    let mut heads: HashMap<Uuid, HeadRow> = heads.into_iter().map(|head| (head.id, head)).collect();
    let mut waves = waves(store, ids).await?;
    let mut rejections = rejections(store, ids).await?;
    let mut views = Vec::with_capacity(ids.len());
    for input in inputs {
        let id = input.id.0;
        let Some(head) = heads.remove(&id) else { continue };
        let waiting_on = waiting_on(store, &input).await?;
        let mut view = assemble(input, head);
        for wave in waves.remove(&id).unwrap_or_default() {
            view.waves.push(WaveView { active: view.counts.active, targets: view.counts.total(), ..wave });
        }
        view.rejections = rejections.remove(&id).unwrap_or_default();
        view.waiting_on = waiting_on;
        views.push(view);
    }
    views.sort_by_key(|view| std::cmp::Reverse((view.created_at, view.id)));
    Ok(views)
}

fn assemble(input: StepInput, head: HeadRow) -> RolloutView {
    let mut counts = input.snapshot.counts;
    if input.snapshot.state == RolloutState::Planned {
        // Nobody is a member yet; everybody will be.
        counts.pending = count(head.gateways);
    }
    RolloutView {
        id: input.id,
        fleet: input.fleet,
        version: input.version,
        strategy: input.snapshot.strategy,
        state: input.snapshot.state,
        reason: head.reason,
        waves: Vec::new(),
        counts,
        settled: head.settled.as_ref().map(counts_from_json),
        waiting_on: Vec::new(),
        rejections: Vec::new(),
        created_at: head.created_at,
        ended_at: head.ended_at,
        created_by: head.created_by,
        step_seq: input.step_seq.unsigned_abs(),
    }
}

/// Asks the decision why the rollout stands where it stands, and adds names.
async fn waiting_on(store: &Store, input: &StepInput) -> Result<Vec<String>, StoreError> {
    let report = step(&input.snapshot, input.now).report;
    if report.waiting_on.is_empty() {
        return Ok(Vec::new());
    }
    let names = sqlx::query_scalar!(
        "select g.name from rollout_members m
         join activations a on a.gateway = m.gateway
             and a.generation = case when $3 then m.back_generation else m.generation end
         join gateways g on g.id = m.gateway
         where m.rollout = $1 and a.state in ('assigned', 'offered') and not g.pinned order by g.name limit $2",
        input.id.0,
        i64::try_from(MOST_NAMED + 1).unwrap_or(i64::MAX),
        input.snapshot.state == RolloutState::Reverting
    )
    .fetch_all(&store.pool())
    .await?;
    let shown: Vec<&str> = names.iter().take(MOST_NAMED).map(String::as_str).collect();
    let names = match (shown.is_empty(), names.len() > shown.len()) {
        (true, _) => String::new(),
        (false, true) => format!(" ({}, …)", shown.join(", ")),
        (false, false) => format!(" ({})", shown.join(", ")),
    };
    Ok(report.waiting_on.iter().map(|waiting| format!("{waiting}{names}")).collect())
}

async fn waves(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<WaveView>>, StoreError> {
    let rows = sqlx::query!(
        "select rollout, index, state, targets from waves where rollout = any($1) order by rollout, index",
        ids
    )
    .fetch_all(&store.pool())
    .await?;
    let mut waves: HashMap<Uuid, Vec<WaveView>> = HashMap::new();
    for row in rows {
        waves.entry(row.rollout).or_default().push(WaveView {
            index: row.index.unsigned_abs(),
            state: row.state,
            targets: row.targets.unsigned_abs(),
            active: 0,
        });
    }
    Ok(waves)
}

async fn rejections(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<RejectionView>>, StoreError> {
    let rows = sqlx::query!(
        r#"select wanted.id as "rollout!", n.fleet, n.name, n.stage as "stage!", n.reason, n.findings
           from unnest($1::uuid[]) as wanted (id)
           cross join lateral (
               select g.fleet, g.name, a.stage, a.reason, a.findings
               from rollout_members m
               join activations a on a.gateway = m.gateway and a.generation = m.generation
               join gateways g on g.id = m.gateway
               where m.rollout = wanted.id and a.state = 'rejected'
                   and not (a.stage = 'generation' and a.reason = $3)
               order by g.name limit $2
           ) n"#,
        ids,
        i64::from(MOST_REJECTIONS),
        PINNED
    )
    .fetch_all(&store.pool())
    .await?;
    let mut rejections: HashMap<Uuid, Vec<RejectionView>> = HashMap::new();
    for row in rows {
        let refusal = NackReason {
            stage: row.stage.parse::<Stage>().column("activations.stage")?,
            reason: row.reason,
            findings: findings_from_json(&row.findings)?,
        };
        let rejection = RejectionView { gateway: path(&row.fleet, &row.name)?, refusal };
        rejections.entry(row.rollout).or_default().push(rejection);
    }
    Ok(rejections)
}
