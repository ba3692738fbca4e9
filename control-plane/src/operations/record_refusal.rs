//! A refused order leaves a trace when it names something that exists: who wanted what, and why not.

use fleet_core::gateway::{FleetName, GatewayPath};
use fleet_core::history::EventKind;
use policy_config::schema::PackName;
use serde_json::json;

use super::{Context, OperationError, Principal};
use crate::store::configs::config_get;
use crate::store::fleets::fleet_get;
use crate::store::history::{NewEvent, event_append};
use crate::store::{StoreError, gateways};

/// What an order names; parts that do not exist are left out of the event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub fleet: Option<&'a FleetName>,
    pub gateway: Option<&'a GatewayPath>,
    pub config: Option<&'a PackName>,
}

// === impl Subject ===

impl<'a> Subject<'a> {
    pub(crate) fn fleet(fleet: &'a FleetName) -> Self {
        Self { fleet: Some(fleet), ..Self::default() }
    }
}

/// Records the refusal and gives the error back. An outage is no refusal, and a record that fails is only logged:
/// the caller must hear the first error.
pub(crate) async fn refused(
    context: &Context,
    principal: &Principal,
    order: &'static str,
    subject: Subject<'_>,
    error: OperationError,
) -> OperationError {
    if matches!(error, OperationError::Store(_)) {
        return error;
    }
    if let Err(failure) = record(context, principal, order, subject, &error).await {
        tracing::warn!(%failure, order, "a refusal could not be recorded");
    }
    error
}

async fn record(
    context: &Context,
    principal: &Principal,
    order: &'static str,
    subject: Subject<'_>,
    error: &OperationError,
) -> Result<(), StoreError> {
    let store = &context.store;
    let fleet = match subject.fleet {
        Some(fleet) => fleet_get(store, fleet).await?.map(|_| fleet),
        None => None,
    };
    let config = match subject.config {
        Some(config) => config_get(store, config, None).await?.map(|_| config),
        None => None,
    };
    let gateway = match subject.gateway {
        Some(path) => gateways::gateway_get(store, path, 1).await?.map(|(view, _)| (view.id, path)),
        None => None,
    };
    if fleet.is_none() && config.is_none() && gateway.is_none() {
        return Ok(());
    }
    let (actor, reason) = (principal.actor(), error.to_string());
    let event = NewEvent {
        fleet,
        gateway,
        config,
        reason: &reason,
        detail: json!({ "order": order, "code": error.code() }),
        ..NewEvent::new(EventKind::Refused, &actor)
    };
    let event = &event;
    store
        .in_tx("record_refusal", async |mut tx| {
            event_append(&mut tx, std::slice::from_ref(event)).await?;
            Ok::<_, StoreError>((tx, ()))
        })
        .await
}
