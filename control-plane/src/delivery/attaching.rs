//! What streams ask of the database when they open or when it is back: in a lane of their own, for they come in herds.

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;

use crate::operations::{self, AttachFacts, AttachOutcome, Context, OperationError};
use crate::store::lane::Lane;
use crate::store::tokens::{TokenHash, agent_find};
use crate::store::{Store, StoreError};

/// With the lane of those who are looked up, still below the connections of the pool.
const AT_A_TIME: usize = 8;

/// The way of streams to the database.
#[derive(Debug)]
pub(crate) struct Attaching {
    lane: Lane,
}

// === impl Attaching ===

impl Attaching {
    /// As [`operations::attach_gateway()`], when it is this stream's turn.
    pub(crate) async fn attach(
        &self,
        context: &Context,
        gateway: GatewayId,
        facts: AttachFacts,
    ) -> Result<AttachOutcome, OperationError> {
        let _turn = self.lane.turn(&context.store).await?;
        operations::attach_gateway(context, gateway, facts).await
    }

    /// Who holds this credential now.
    pub(crate) async fn find(
        &self,
        store: &Store,
        token: TokenHash,
    ) -> Result<Option<(GatewayId, GatewayPath)>, StoreError> {
        let _turn = self.lane.turn(store).await?;
        store.while_there(agent_find(store, token)).await
    }
}

impl Default for Attaching {
    fn default() -> Self {
        Self { lane: Lane::new(AT_A_TIME) }
    }
}
