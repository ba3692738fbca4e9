//! A gateway as its placement and its stream need it: one read.

use fleet_core::activation::ActivationState;
use fleet_core::delivery::StoredRefusal;
use fleet_core::gateway::GatewayPath;
use fleet_core::ids::{BootId, GatewayId};
use fleet_core::offer::Stage;
use fleet_core::rollout::RolloutState;
use fleet_core::standing::{Held, PINNED};
use fleet_core::version::{DesiredVersion, Generation};
use policy_config::ConfigDigest;
use policy_config::schema::PackName;
use sqlx::PgConnection;

use super::StoreError;
use super::encode::{digest, generation, revision};
use super::error::Column;
use super::fleets::{Binding, binding};
use super::gateways::path;

/// A gateway, what it was told last, and what its fleet is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlacedGateway {
    pub path: GatewayPath,
    pub assignment: Option<Told>,
    pub binding: Option<Binding>,
    /// What it said it runs, as far as it was heard.
    pub observed: Option<Held>,
    /// What it has seen of this lineage that this database does not know; see `gateway_see`.
    pub seen: Option<Generation>,
    pub lost: bool,
    pub pinned: bool,
    /// What it said it runs that was not assigned to it.
    pub local: Option<ConfigDigest>,
}

/// What a gateway was told last, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub config: PackName,
    pub desired: DesiredVersion,
    pub state: ActivationState,
    /// Of the rollout it was part of.
    pub rollout: Option<RolloutState>,
    pub refusal: Option<StoredRefusal>,
    /// The refusal was for a pin, and ends with it.
    pub refused_for_a_pin: bool,
}

// === impl Told ===

impl Told {
    /// It was put on a stream, and nothing came back yet.
    pub(crate) fn is_on_its_way(&self) -> bool {
        self.state == ActivationState::Offered
    }
}

/// The gateway of this id.
pub(crate) async fn gateway_load(
    conn: &mut PgConnection,
    id: GatewayId,
) -> Result<Option<PlacedGateway>, StoreError> {
    let row = sqlx::query!(
        r#"select g.fleet, g.name, g.lost_at, g.pinned, g.local_digest, g.seen_generation, g.observed_generation, g.observed_digest, f.config as bound, f.stable_revision, f.stable_by, f.stable_at,
                  d.config as "config?", d.revision as "revision?", d.generation as "generation?",
                  d.digest as "digest?", a.state as "state?", a.stage, a.reason as "reason?", a.boot_id, a.agent_version,
                  r.state as "rollout_state?"
           from gateways g
           join fleets f on f.name = g.fleet
           left join desired_versions d on d.gateway = g.id
           left join activations a on a.gateway = d.gateway and a.generation = d.generation
           left join rollouts r on r.id = d.rollout
           where g.id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let binding = binding(row.bound, row.stable_revision, row.stable_by, row.stable_at)?;
    let assignment = match (row.config, row.revision, row.generation, row.digest, row.state) {
        (Some(config), Some(number), Some(ordinal), Some(bytes), Some(state)) => {
            let stage =
                row.stage.map(|stage| stage.parse::<Stage>()).transpose().column("activations.stage")?;
            let desired = DesiredVersion {
                revision: revision(number)?,
                generation: generation(ordinal)?,
                digest: digest(&bytes)?,
            };
            let refusal = match (stage, row.boot_id, row.agent_version) {
                (Some(stage), Some(boot), Some(agent_version)) => Some(StoredRefusal {
                    generation: desired.generation,
                    stage,
                    boot: BootId(boot),
                    agent_version,
                }),
                _ => None,
            };
            let rollout =
                row.rollout_state.map(|state| RolloutState::from_word(&state).column("rollouts.state"));
            Some(Told {
                config: config.parse().column("desired_versions.config")?,
                desired,
                state: ActivationState::from_parts(&state, stage).column("activations.state")?,
                rollout: rollout.transpose()?,
                refused_for_a_pin: refusal.is_some() && row.reason.as_deref() == Some(PINNED),
                refusal,
            })
        }
        _ => None,
    };
    let observed = match (row.observed_generation, row.observed_digest) {
        (Some(ordinal), Some(bytes)) => {
            Some(Held { generation: generation(ordinal)?, digest: digest(&bytes)? })
        }
        _ => None,
    };
    Ok(Some(PlacedGateway {
        path: path(&row.fleet, &row.name)?,
        assignment,
        binding,
        observed,
        seen: Some(row.seen_generation).filter(|seen| *seen > 0).map(generation).transpose()?,
        lost: row.lost_at.is_some(),
        pinned: row.pinned,
        local: row.local_digest.as_deref().map(digest).transpose()?,
    }))
}
