//! A lane for callers that come in herds: so many of them at a time, and connections are left for everybody else.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Store, StoreError};

/// Connections of the pool; each costs the server some megabytes. Whoever calls shares them: each kind of caller has so
/// many at a time and no more, so that none waits for another kind; two at least are left to those who write for all
/// (board, reports, presence, rollouts).
pub(crate) const POOL: u32 = 16;
/// For operators' calls that are answered once.
pub(crate) const OPERATORS: usize = 6;
/// For all streams that follow something: a wake-up wakes them all at once.
pub(crate) const FOLLOWERS: usize = 2;
/// For credentials that are looked up; [`UNKNOWN`] of these for credentials that were not good here before.
pub(crate) const LOOK_UPS: usize = 3;
pub(crate) const UNKNOWN: usize = 2;
/// For agents' streams that open.
pub(crate) const ATTACHING: usize = 3;

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Lane {
    turns: Semaphore,
}

// === impl Lane ===

impl Lane {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_together_leave_connections_to_the_writers() {
        let callers = OPERATORS + FOLLOWERS + LOOK_UPS + ATTACHING;
        assert!(callers + 2 <= usize::try_from(POOL).unwrap(), "{callers} of {POOL}");
        const { assert!(UNKNOWN < LOOK_UPS, "one is left to agents that are known") };
    }
}
