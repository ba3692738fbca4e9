//! The lane of those who attach: a herd that comes back waits here, and leaves connections to everybody else.

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::operations::{self, AttachFacts, AttachOutcome, Context, OperationError};
use crate::store::tokens::{TokenHash, agent_find};
use crate::store::{Store, StoreError};

/// At a time; well below the connections of the pool.
const LANE: usize = 8;

/// Who may ask the database next on behalf of a stream.
#[derive(Debug)]
pub(crate) struct Attaching {
    lane: Semaphore,
}

// === impl Attaching ===

impl Attaching {
    /// As [`operations::attach_gateway`], when it is this stream's turn.
    pub(crate) async fn attach(
        &self,
        context: &Context,
        gateway: GatewayId,
        facts: AttachFacts,
    ) -> Result<AttachOutcome, OperationError> {
        let _turn = self.turn(&context.store).await?;
        operations::attach_gateway(context, gateway, facts).await
    }

    /// Who holds this credential now.
    pub(crate) async fn find(
        &self,
        store: &Store,
        token: TokenHash,
    ) -> Result<Option<(GatewayId, GatewayPath)>, StoreError> {
        let _turn = self.turn(store).await?;
        store.while_there(agent_find(store, token)).await
    }

    async fn turn(&self, store: &Store) -> Result<SemaphorePermit<'_>, StoreError> {
        // Nobody closes it; to wait for ever would be the answer to that.
        let turn = async {
            match self.lane.acquire().await {
                Ok(turn) => turn,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            turn = turn => Ok(turn),
            _ = store.until_away() => Err(StoreError::away()),
        }
    }
}

impl Default for Attaching {
    fn default() -> Self {
        Self { lane: Semaphore::new(LANE) }
    }
}
