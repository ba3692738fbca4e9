//! Which revision a gateway that enrols or attaches should run: loads, lets `fleet_core::stable::place` decide, assigns.

use fleet_core::activation::ActivationState;
use fleet_core::ids::GatewayId;
use fleet_core::stable::{self, Assignment, Placement, Seen, place};
use fleet_core::version::{Generation, Revision};
use policy_config::schema::PackName;
use sqlx::PgConnection;

use crate::store::StoreError;
use crate::store::activations::ActivationKey;
use crate::store::assign::{assign_again, assign_one};
use crate::store::configs::revision_get;
use crate::store::fleets::{Binding, fleet_lock_shared};
use crate::store::placing::{PlacedGateway, gateway_load};
use crate::store::presence::gateway_see;

/// Whether the gateway can still have what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Kept,
    /// Another host took its place: what it was told is gone, so it is placed like a new one.
    Lost,
}

/// Where a gateway stands, after it was placed.
pub(crate) struct Placed {
    pub gateway: PlacedGateway,
    /// It got a new assignment.
    pub assigned: bool,
    /// What that one closed; to be told in the history at the end of the transaction.
    pub superseded: Vec<ActivationKey>,
}

// === impl Placed ===

impl Placed {
    fn where_it_was(gateway: PlacedGateway) -> Self {
        Self { gateway, assigned: false, superseded: Vec::new() }
    }
}

/// Places one gateway; `None`: there is none of this id. `seen`: what it says it has seen of this
/// lineage.
pub(crate) async fn place_gateway(
    conn: &mut PgConnection,
    id: GatewayId,
    disk: Disk,
    seen: &Seen,
) -> Result<Option<Placed>, StoreError> {
    let Some(gateway) = gateway_load(conn, id).await? else { return Ok(None) };
    if ahead(&gateway, seen).is_none() && decide(&gateway, disk, gateway.binding.as_ref()).is_none() {
        return Ok(Some(Placed::where_it_was(gateway)));
    }
    // Decided again under the lock that every rollout takes: what was read may have changed before it.
    let binding = fleet_lock_shared(conn, &gateway.path.fleet).await?.flatten();
    let Some(gateway) = gateway_load(conn, id).await? else { return Ok(None) };
    let ahead = ahead(&gateway, seen);
    if let Some(seen) = ahead {
        tracing::warn!(gateway = %gateway.path, %seen, "a gateway has seen a generation that this database \
            never assigned it: the database was restored; what it should run is assigned to it anew");
        gateway_see(conn, id, seen).await?;
    }
    let assigned = match decide(&gateway, disk, binding.as_ref()) {
        Some((config, revision)) => {
            let Some((version, _)) = revision_get(conn, config, revision).await? else {
                return Err(StoreError::corrupt("fleets.stable_revision"));
            };
            assign_one(conn, id, &version).await?
        }
        None if ahead.is_some() && gateway.assignment.is_some() => assign_again(conn, id).await?,
        None => return Ok(Some(Placed::where_it_was(gateway))),
    };
    let gateway = gateway_load(conn, id).await?;
    let superseded = assigned.superseded;
    Ok(gateway.map(|gateway| Placed { gateway, assigned: true, superseded }))
}

/// What the gateway has seen, where that is not what it was told here.
fn ahead(gateway: &PlacedGateway, seen: &Seen) -> Option<Generation> {
    let told = gateway.assignment.as_ref().map(|told| told.desired);
    let highest = told.map(|told| told.generation).max(gateway.seen);
    stable::ahead(highest, seen.highest).or_else(|| stable::contradicted(told, &seen.known))
}

fn decide<'a>(
    gateway: &PlacedGateway,
    disk: Disk,
    binding: Option<&'a Binding>,
) -> Option<(&'a PackName, Revision)> {
    let stable = binding.map(|binding| binding.stable);
    let assignment = gateway.assignment.as_ref().map(|told| {
        // Revisions of another config than the fleet's are no revisions here.
        let same_config = binding.is_none_or(|binding| binding.config == told.config);
        let open = told.rollout.is_some_and(|state| !state.is_end());
        Assignment {
            revision: if same_config { told.desired.revision } else { Revision(0) },
            rollout: told.rollout.filter(|_| same_config || open),
            state: if same_config { told.state } else { ActivationState::Superseded },
        }
    });
    let assignment = match disk {
        Disk::Kept => assignment,
        Disk::Lost => assignment.and_then(|told| told.on_another_disk(stable)),
    };
    match (place(assignment, stable), binding) {
        (Placement::Assign(revision), Some(binding)) => Some((&binding.config, revision)),
        (Placement::Assign(_) | Placement::Keep | Placement::Wait, _) => None,
    }
}
