//! Enrolment: (fleet, name) becomes a gateway with a credential of its own.

use fleet_core::gateway::{GatewayPath, Labels};
use fleet_core::history::EventKind;
use fleet_core::ids::GatewayId;
use fleet_core::liveness::Liveness;
use fleet_core::stable::Seen;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::place_gateway::{Disk, place_gateway};
use super::record_refusal::{Subject, refused};
use super::{Context, OperationError, Principal};
use crate::credential::Credential;
use crate::store::activations::activation_tell;
use crate::store::fleets::{fleet_lock_shared, fleet_names};
use crate::store::gateways::{gateway_insert, gateway_lock_by_path, gateway_take_over};
use crate::store::history::{NewEvent, event_append};
use crate::store::tokens::{TokenHash, agent_replace};

/// Who wants to be a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollGateway {
    pub path: GatewayPath,
    pub labels: Labels,
    pub agent_version: String,
}

/// The gateway, and its credential, which is told this once.
#[derive(Debug, Clone)]
pub struct EnrolledGateway {
    pub id: GatewayId,
    pub path: GatewayPath,
    pub credential: Credential,
}

/// Enrols a gateway. An enrolled name is taken over, with a new credential, unless it holds a live stream.
///
/// # Errors
/// [`OperationError::NotFound`] for the fleet; [`OperationError::Precondition`] for a name with a live stream.
pub async fn enroll_gateway(
    context: &Context,
    principal: &Principal,
    enroll: EnrollGateway,
) -> Result<EnrolledGateway, OperationError> {
    let credential = Credential::fresh().map_err(OperationError::NoRandomness)?;
    let token = TokenHash(*credential.hash().as_bytes());
    let (actor, asked) = (principal.actor(), &enroll);
    let actor = &actor;
    let enrolled = context
        .store
        .in_tx("enroll_gateway", async |mut tx| {
            let id = save(&mut tx, asked, token, actor).await?;
            Ok((tx, id))
        })
        .await;
    match enrolled {
        Ok(id) => {
            context.wake.tell();
            Ok(EnrolledGateway { id, path: enroll.path, credential })
        }
        Err(OperationError::NotFound { what, name, .. }) => {
            let known = fleet_names(&context.store, 20).await?;
            Err(OperationError::NotFound { what, name, known })
        }
        Err(error) => {
            let subject =
                Subject { fleet: Some(&enroll.path.fleet), gateway: Some(&enroll.path), config: None };
            Err(refused(context, principal, "enroll_gateway", subject, error).await)
        }
    }
}

async fn save(
    conn: &mut PgConnection,
    enroll: &EnrollGateway,
    token: TokenHash,
    actor: &str,
) -> Result<GatewayId, OperationError> {
    let path = &enroll.path;
    if fleet_lock_shared(conn, &path.fleet).await?.is_none() {
        let (name, known) = (path.fleet.to_string(), Vec::new());
        return Err(OperationError::NotFound { what: "fleet", name, known });
    }
    let (id, taken_over) = match gateway_lock_by_path(conn, path).await? {
        Some((_, Liveness::Online)) => {
            let message = format!("gateway `{path}` holds a live stream");
            let hint = "stop that gateway first, or enrol under another name";
            return Err(OperationError::precondition("gateway_online", message, hint));
        }
        Some((id, Liveness::Stale | Liveness::Offline)) => {
            gateway_take_over(conn, id, &enroll.labels, &enroll.agent_version).await?;
            (id, true)
        }
        None => {
            let id = GatewayId(Uuid::new_v4());
            gateway_insert(conn, id, path, &enroll.labels, &enroll.agent_version).await?;
            (id, false)
        }
    };
    agent_replace(conn, id, token).await?;
    let disk = if taken_over { Disk::Lost } else { Disk::Kept };
    let placed = place_gateway(conn, id, disk, &Seen::default()).await?;
    activation_tell(conn, &placed.map(|placed| placed.superseded).unwrap_or_default()).await?;
    let event = NewEvent {
        gateway: Some((id, path)),
        detail: json!({ "agent_version": enroll.agent_version, "taken_over": taken_over }),
        ..NewEvent::new(EventKind::GatewayEnrolled, actor)
    };
    event_append(conn, &[event]).await?;
    Ok(id)
}
