//! A new fleet: a name that gateways can join. It is bound to a config by its first rollout.

use fleet_core::gateway::FleetName;

use super::record_refusal::{Subject, refused};
use super::{Context, OperationError, Principal};
use crate::store::StoreError;
use crate::store::fleets::{FleetView, fleet_get, fleet_insert};

/// Makes the fleet.
///
/// # Errors
/// [`OperationError::AlreadyExists`] when the name is taken.
pub async fn create_fleet(
    context: &Context,
    principal: &Principal,
    name: FleetName,
) -> Result<FleetView, OperationError> {
    let fleet = &name;
    let created = context
        .store
        .in_tx("create_fleet", async |mut tx| {
            fleet_insert(&mut tx, fleet).await.map_err(|error| match error {
                StoreError::Conflict { what: "fleet", .. } => {
                    OperationError::AlreadyExists { what: "fleet", name: fleet.to_string() }
                }
                other => other.into(),
            })?;
            Ok((tx, ()))
        })
        .await;
    if let Err(error) = created {
        return Err(refused(context, principal, "create_fleet", Subject::fleet(fleet), error).await);
    }
    fleet_get(&context.store, fleet).await?.ok_or(StoreError::NotFound { what: "fleet" }.into())
}
