//! A lane for callers that come in herds: so many of them at a time, and connections are left for everybody else.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Store, StoreError};

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Lane {
    turns: Semaphore,
}

// === impl Lane ===

impl Lane {
    /// `at_a_time` is well below the connections of the pool.
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self { turns: Semaphore::new(at_a_time) }
    }

    /// Waits for a turn, which is over when it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database goes away meanwhile: then there are no turns.
    pub(crate) async fn turn(&self, store: &Store) -> Result<SemaphorePermit<'_>, StoreError> {
        tokio::select! {
            biased;
            // Nobody closes the lane.
            turn = self.turns.acquire() => turn.map_err(|_| StoreError::away()),
            _ = store.until_away() => Err(StoreError::away()),
        }
    }
}
