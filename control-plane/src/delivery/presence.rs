//! Who was heard of when: gathered in memory, written in one statement an interval. Heartbeats are not writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_core::ids::{BootId, GatewayId};
use service_kit::drain::DrainWatcher;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::operations::{self, Context, PresenceRecord};

/// How often heartbeats are written; well below the 15 s for which one counts.
const INTERVAL: Duration = Duration::from_secs(2);
/// An ended stream is told sooner: its name may be waited for.
const AFTER_LEAVING: Duration = Duration::from_millis(50);

/// Which stream of which start of an agent: what is said of an older one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) boot: BootId,
    pub(crate) counter: u64,
}

/// What was noted since the last write.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    notes: Mutex<HashMap<GatewayId, Note>>,
    left: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    fence: Fence,
    at: Instant,
    attached: bool,
}

// === impl Fence ===

impl Fence {
    /// Of the same start; of two starts, neither knows which came first.
    pub(crate) fn is_newer_than(self, other: Self) -> bool {
        self.boot == other.boot && self.counter > other.counter
    }
}

// === impl Presence ===

impl Presence {
    /// The gateway was heard of now, on its living stream.
    pub(crate) fn seen(&self, gateway: GatewayId, fence: Fence) {
        self.lock().insert(gateway, Note { fence, at: Instant::now(), attached: true });
    }

    /// Its newest stream ended.
    pub(crate) fn left(&self, gateway: GatewayId, fence: Fence) {
        self.lock().insert(gateway, Note { fence, at: Instant::now(), attached: false });
        self.left.notify_one();
    }

    /// Writes what was noted; notes that could not be written are kept, unless newer ones came.
    async fn write(&self, context: &Context) -> bool {
        let notes = std::mem::take(&mut *self.lock());
        if notes.is_empty() {
            return true;
        }
        let records = notes.iter().map(|(gateway, note)| note.record(*gateway)).collect();
        match operations::record_presence(context, records).await {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, gateways = notes.len(), "presence cannot be written");
                let mut held = self.lock();
                for (gateway, note) in notes {
                    held.entry(gateway).or_insert(note);
                }
                false
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GatewayId, Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Note ===

impl Note {
    fn record(&self, gateway: GatewayId) -> PresenceRecord {
        PresenceRecord {
            gateway,
            boot: self.fence.boot,
            session_counter: self.fence.counter,
            seen_ago: self.at.elapsed(),
            attached: self.attached,
        }
    }
}

/// Writes until the drain begins, and once more then: every stream has ended by that time.
pub(crate) async fn run(presence: Arc<Presence>, context: Context, drain: DrainWatcher) {
    let mut away = false;
    loop {
        tokio::select! {
            () = drain.signaled() => break,
            () = tokio::time::sleep(INTERVAL) => {}
            () = presence.left.notified() => tokio::time::sleep(AFTER_LEAVING).await,
        }
        let written = presence.write(&context).await;
        if !written && !away {
            tracing::warn!("who is online cannot be written; it is kept until the database answers");
        }
        away = !written;
    }
    presence.write(&context).await;
}
