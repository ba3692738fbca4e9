//! Who is connected to this replica. The newest session of a gateway wins; the number of streams is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_core::ids::{GatewayId, SessionId};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::presence::Fence;
use crate::api::call_error::CallError;

/// The sessions of this replica.
#[derive(Debug)]
pub(crate) struct Sessions {
    live: Mutex<HashMap<GatewayId, Live>>,
    limit: usize,
}

#[derive(Debug)]
struct Live {
    session: SessionId,
    fence: Fence,
    /// Dropped when a newer session takes over.
    _displace: oneshot::Sender<()>,
}

/// A session's place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) session: SessionId,
    gateway: GatewayId,
    sessions: Arc<Sessions>,
    displaced: oneshot::Receiver<()>,
}

/// Each costs a socket and some tens of KiB.
const MAX_SESSIONS: usize = 20_000;

// === impl Sessions ===

impl Sessions {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_limit(MAX_SESSIONS)
    }

    fn with_limit(limit: usize) -> Arc<Self> {
        Arc::new(Self { live: Mutex::default(), limit })
    }

    /// A place for a new session of `gateway`; the session that had it is displaced, unless that one is newer: of two
    /// streams that opened at once, the older may be the last to come here.
    pub(crate) fn enter(self: &Arc<Self>, gateway: GatewayId, fence: Fence) -> Result<Seat, CallError> {
        let session = SessionId(Uuid::new_v4());
        let (displace, displaced) = oneshot::channel();
        let mut live = self.lock();
        if live.len() >= self.limit && !live.contains_key(&gateway) {
            return Err(CallError::TooManyStreams);
        }
        if live.get(&gateway).is_some_and(|held| held.fence.is_newer_than(fence)) {
            return Err(CallError::NewerSession);
        }
        live.insert(gateway, Live { session, fence, _displace: displace });
        metrics::gauge!(crate::metrics::SESSIONS).set(count(&live));
        drop(live);
        Ok(Seat { session, gateway, sessions: self.clone(), displaced })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Seat ===

impl Seat {
    /// Waits until a newer session of the same gateway took the place.
    pub(crate) async fn displaced(&mut self) {
        // Nothing is ever sent; the end of the sender is the message.
        let _ = (&mut self.displaced).await;
    }

    pub(crate) fn is_newest(&self) -> bool {
        self.sessions.lock().get(&self.gateway).is_some_and(|live| live.session == self.session)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut live = self.sessions.lock();
        if live.get(&self.gateway).is_some_and(|live| live.session == self.session) {
            live.remove(&self.gateway);
        }
        metrics::gauge!(crate::metrics::SESSIONS).set(count(&live));
    }
}

fn count(live: &HashMap<GatewayId, Live>) -> f64 {
    f64::from(u32::try_from(live.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use fleet_core::ids::BootId;

    use super::*;

    #[tokio::test]
    async fn the_newest_session_wins_and_the_older_gives_nothing_back() {
        let sessions = Sessions::with_limit(1);
        let gateway = GatewayId(Uuid::from_u128(1));
        let fence = |counter| Fence { boot: BootId(Uuid::from_u128(7)), counter };
        let mut older = sessions.enter(gateway, fence(1)).unwrap();
        let newer = sessions.enter(gateway, fence(2)).unwrap();
        assert_eq!(sessions.enter(gateway, fence(1)).unwrap_err(), CallError::NewerSession);
        older.displaced().await;
        assert!(newer.is_newest() && !older.is_newest());
        drop(older);
        assert!(newer.is_newest());
        let other = GatewayId(Uuid::from_u128(2));
        assert_eq!(sessions.enter(other, fence(1)).unwrap_err(), CallError::TooManyStreams);
        drop(newer);
        assert!(sessions.enter(other, fence(1)).is_ok());
    }
}
