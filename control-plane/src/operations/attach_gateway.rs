//! A gateway opened a stream: which gateway it is, what it should run, and what is not to be offered again.

use fleet_core::delivery::StoredRefusal;
use fleet_core::gateway::{GatewayPath, Labels};
use fleet_core::history::EventKind;
use fleet_core::ids::{BootId, GatewayId};
use fleet_core::stable::Seen;
use fleet_core::standing::Held;
use fleet_core::version::DesiredVersion;

use super::error::Conflict;
use super::place_gateway::{Disk, place_gateway};
use super::{Context, OperationError, SELF};
use crate::store::activations::{activation_hold, activation_tell};
use crate::store::presence::{
    LocalPack, OnHost, gateway_attach, gateway_find_again, gateway_tell, without_waiting_for_disk,
};

/// What the hello says about the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachFacts {
    pub boot: BootId,
    /// Grows with every stream of one boot; fences the older ones.
    pub session_counter: u64,
    pub labels: Labels,
    pub agent_version: String,
    pub pinned: bool,
    /// What it runs, where no control plane assigned it.
    pub local: Option<LocalPack>,
    /// Of this database's lineage.
    pub seen: Seen,
}

/// What the stream starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachOutcome {
    pub path: GatewayPath,
    /// `None`: the fleet has no revision yet.
    pub desired: Option<DesiredVersion>,
    /// The refusal of `desired`, if that is how it ended.
    pub refusal: Option<StoredRefusal>,
    /// What it said before that it runs; `None`: nothing that was recorded.
    pub observed: Option<Held>,
}

/// Makes the stream the gateway's newest and places the gateway: a new or wiped one gets the fleet's stable
/// revision, a returning one keeps what it was told if that still counts.
///
/// # Errors
/// [`OperationError::NotFound`]; [`OperationError::Conflict`] when a newer stream of the same boot is known.
pub async fn attach_gateway(
    context: &Context,
    gateway: GatewayId,
    facts: AttachFacts,
) -> Result<AttachOutcome, OperationError> {
    let facts = &facts;
    let (outcome, assigned) = context
        .store
        .in_tx("attach_gateway", async |mut tx| {
            let Some(placed) = place_gateway(&mut tx, gateway, Disk::Kept, &facts.seen).await? else {
                let (name, known) = (gateway.to_string(), Vec::new());
                return Err(OperationError::NotFound { what: "gateway", name, known });
            };
            if let Some(told) = placed.gateway.assignment.as_ref().filter(|told| told.is_on_its_way()) {
                activation_hold(&mut tx, gateway, told.desired.generation).await?;
            }
            let attached = gateway_attach(
                &mut tx,
                gateway,
                facts.boot,
                facts.session_counter,
                &facts.labels,
                &facts.agent_version,
                OnHost { pinned: facts.pinned, local: facts.local.as_ref() },
            );
            if !attached.await? {
                return Err(OperationError::Conflict(Box::new(Conflict {
                    code: "session_superseded",
                    message: format!("a newer stream of gateway `{}` is open", placed.gateway.path),
                    hint: "one agent per gateway; this stream is of no use any more".to_owned(),
                })));
            }
            // Last of all: whoever holds the head of the history keeps every other writer waiting.
            activation_tell(&mut tx, &placed.superseded).await?;
            let local = facts.local.as_ref().map(|pack| pack.digest);
            let repinned = placed.gateway.pinned != facts.pinned
                || facts.pinned && local.is_some() && placed.gateway.local != local;
            if repinned {
                let kind = if facts.pinned { EventKind::Pinned } else { EventKind::Unpinned };
                gateway_tell(&mut tx, kind, SELF, &[gateway]).await?;
            }
            if placed.gateway.lost {
                let found = gateway_find_again(&mut tx, &[gateway]).await?;
                gateway_tell(&mut tx, EventKind::GatewayReturned, SELF, &found).await?;
            } else if !placed.assigned && !repinned {
                // Nothing but presence was written; a herd must not queue for the disk.
                without_waiting_for_disk(&mut tx).await?;
            }
            let assignment = placed.gateway.assignment.map(|mut told| {
                // Nothing else of what it refused for has changed, and that has.
                told.refusal.take_if(|_| told.refused_for_a_pin && !facts.pinned);
                told
            });
            let outcome = AttachOutcome {
                path: placed.gateway.path,
                observed: placed.gateway.observed,
                desired: assignment.as_ref().map(|told| told.desired),
                refusal: assignment.and_then(|told| told.refusal),
            };
            Ok((tx, (outcome, placed.assigned)))
        })
        .await?;
    if assigned {
        context.wake.tell();
    }
    Ok(outcome)
}
