//! What agents answered and say they run, written in batches: one statement each, whatever the size of the batch.

use std::time::Duration;

use fleet_core::activation::ActivationState;
use fleet_core::ids::{BootId, GatewayId};
use fleet_core::offer::Stage;
use fleet_core::version::Generation;
use policy_config::{ConfigDigest, Finding};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use super::activations::{ActivationKey, LoadedActivation, columns, key};
use super::encode::{ago, digest, findings_to_json, micros, number};
use super::error::Column;

/// The new state of one activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnswerRow {
    pub key: ActivationKey,
    pub state: ActivationState,
    /// How long ago it got there.
    pub ago: Duration,
    pub reason: String,
    pub findings: Vec<Finding>,
    pub warnings: Vec<Finding>,
    pub boot: Option<BootId>,
    pub agent_version: Option<String>,
    pub validate: Option<Duration>,
    pub activate: Option<Duration>,
}

/// What one gateway said it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObservedRow {
    pub gateway: GatewayId,
    pub boot: BootId,
    pub session_counter: u64,
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub version: String,
    pub ago: Duration,
    /// It may be lower than what an earlier process of the gateway ran.
    pub from_hello: bool,
}

// === impl AnswerRow ===

impl AnswerRow {
    pub(crate) fn new(key: ActivationKey, state: ActivationState) -> Self {
        Self {
            key,
            state,
            ago: Duration::ZERO,
            reason: String::new(),
            findings: Vec::new(),
            warnings: Vec::new(),
            boot: None,
            agent_version: None,
            validate: None,
            activate: None,
        }
    }

    /// It was left for another generation.
    pub(crate) fn left(key: ActivationKey, state: ActivationState, to: Generation) -> Self {
        Self { reason: format!("back to generation {to}"), ..Self::new(key, state) }
    }

    fn stage(&self) -> Option<Stage> {
        if let ActivationState::Rejected(stage) = self.state { Some(stage) } else { None }
    }
}

/// Loads and locks these activations, always in the same order, and those that they leave when they become active.
pub(crate) async fn activation_load(
    conn: &mut PgConnection,
    keys: &[ActivationKey],
) -> Result<Vec<LoadedActivation>, StoreError> {
    let (gateways, generations) = columns(keys.iter().copied());
    let rows = sqlx::query!(
        r#"with named as (
               select distinct a.gateway, a.generation, m.generation as leaves
               from unnest($1::uuid[], $2::bigint[]) as said (gateway, generation)
               join activations a on a.gateway = said.gateway and a.generation = said.generation
               left join rollout_members m on a.direction = 'back' and m.rollout = a.rollout
                   and m.gateway = a.gateway and m.back_generation = a.generation
           ), wanted as (
               select gateway, generation, leaves from named
               union all
               select gateway, leaves, null from named
               where leaves is not null and (gateway, leaves) not in (select gateway, generation from named)
           )
           select a.gateway, a.generation, a.state, a.stage, a.digest, a.boot_id, w.leaves as "leaves?"
           from wanted w join activations a on a.gateway = w.gateway and a.generation = w.generation
           order by a.gateway, a.generation for update of a"#,
        &gateways,
        &generations
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stage =
                row.stage.map(|stage| stage.parse::<Stage>()).transpose().column("activations.stage")?;
            Ok(LoadedActivation {
                key: key(row.gateway, row.generation),
                state: ActivationState::from_parts(&row.state, stage).column("activations.state")?,
                digest: digest(&row.digest)?,
                boot: row.boot_id.map(BootId),
                leaves: row.leaves.map(|leaves| key(row.gateway, leaves)),
            })
        })
        .collect()
}

/// Writes the new states of locked activations.
pub(crate) async fn activation_answer(
    conn: &mut PgConnection,
    answers: &[AnswerRow],
) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    let (gateways, generations) = columns(answers.iter().map(|answer| answer.key));
    let states: Vec<String> = answers.iter().map(|answer| answer.state.as_str().to_owned()).collect();
    let stages: Vec<Option<String>> =
        answers.iter().map(|answer| answer.stage().map(|stage| stage.as_str().to_owned())).collect();
    let agos: Vec<i64> = answers.iter().map(|answer| ago(answer.ago)).collect();
    let reasons: Vec<String> = answers.iter().map(|answer| answer.reason.clone()).collect();
    let findings: Vec<Value> = answers.iter().map(|answer| findings_to_json(&answer.findings)).collect();
    let warnings: Vec<Value> = answers.iter().map(|answer| findings_to_json(&answer.warnings)).collect();
    let boots: Vec<Option<Uuid>> = answers.iter().map(|answer| answer.boot.map(|boot| boot.0)).collect();
    let agents: Vec<Option<String>> = answers.iter().map(|answer| answer.agent_version.clone()).collect();
    let validates: Vec<Option<i64>> = answers.iter().map(|answer| answer.validate.map(micros)).collect();
    let activates: Vec<Option<i64>> = answers.iter().map(|answer| answer.activate.map(micros)).collect();
    sqlx::query!(
        "update activations a
         set state = said.state, stage = said.stage, reason = said.reason, findings = said.findings,
             warnings = said.warnings, boot_id = coalesce(said.boot, a.boot_id),
             agent_version = coalesce(said.agent, a.agent_version),
             validate_micros = coalesce(said.validate, a.validate_micros),
             activate_micros = coalesce(said.activate, a.activate_micros),
             state_at = clock_timestamp() - said.ago * interval '1 microsecond',
             active_at = case when said.state = 'active' then clock_timestamp() - said.ago * interval '1 microsecond'
                 else a.active_at end
         from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::jsonb[],
             $8::jsonb[], $9::uuid[], $10::text[], $11::bigint[], $12::bigint[])
             as said (gateway, generation, state, stage, ago, reason, findings, warnings, boot, agent, validate,
                 activate)
         where a.gateway = said.gateway and a.generation = said.generation",
        &gateways,
        &generations,
        &states,
        &stages as &[Option<String>],
        &agos,
        &reasons,
        &findings,
        &warnings,
        &boots as &[Option<Uuid>],
        &agents as &[Option<String>],
        &validates as &[Option<i64>],
        &activates as &[Option<i64>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what gateways say they run. Never back to a lower generation, and not from a stream that a newer one of
/// the same start has replaced. Rows are locked in the order of their ids.
pub(crate) async fn gateway_observe(
    conn: &mut PgConnection,
    observed: &[ObservedRow],
) -> Result<(), StoreError> {
    if observed.is_empty() {
        return Ok(());
    }
    let gateways: Vec<Uuid> = observed.iter().map(|row| row.gateway.0).collect();
    let boots: Vec<Uuid> = observed.iter().map(|row| row.boot.0).collect();
    let counters: Vec<i64> = observed.iter().map(|row| number(row.session_counter)).collect();
    let generations: Vec<i64> = observed.iter().map(|row| number(row.generation.0)).collect();
    let digests: Vec<Vec<u8>> = observed.iter().map(|row| row.digest.as_bytes().to_vec()).collect();
    let versions: Vec<String> = observed.iter().map(|row| row.version.clone()).collect();
    let agos: Vec<i64> = observed.iter().map(|row| ago(row.ago)).collect();
    let hellos: Vec<bool> = observed.iter().map(|row| row.from_hello).collect();
    sqlx::query!(
        "with locked as materialized (
             select id from gateways where id = any($1) order by id for no key update
         )
         update gateways g
         set observed_generation = said.generation, observed_digest = said.digest, observed_version = said.version,
             observed_since = clock_timestamp() - said.ago * interval '1 microsecond',
             local_digest = null, local_version = null, local_since = null
         from locked join
             unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[], $7::bigint[],
                    $8::bool[])
             as said (gateway, boot, counter, generation, digest, version, ago, hello) on said.gateway = locked.id
         where g.id = locked.id
             and (coalesce(g.observed_generation, 0) <= said.generation
                 or said.hello and g.boot_id = said.boot and g.session_counter = said.counter)
             and ((g.observed_generation, g.observed_digest) is distinct from (said.generation, said.digest)
                 or g.local_digest is not null)
             and not coalesce(g.boot_id = said.boot and g.session_counter > said.counter, false)",
        &gateways,
        &boots,
        &counters,
        &generations,
        &digests,
        &versions,
        &agos,
        &hellos
    )
    .execute(conn)
    .await?;
    Ok(())
}
