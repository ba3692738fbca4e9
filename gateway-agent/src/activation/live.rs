//! The pack in force, as one pointer: the Activator swaps it, a request takes it once and keeps it.
//!
//! The only file that touches `ArcSwap`. It must not know where a policy comes from.

use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use policy_engine::Engine;

use crate::proxy::Stations;

/// A compiled pack and who it is. For which generation it runs is the record's: an adoption changes that alone.
pub struct ActivePolicy {
    pub engine: Engine,
    pub version: PackVersion,
    pub digest: ConfigDigest,
    /// Of each target whose key is not on this host: where it stands in the pack, and why.
    pub targets_down: Vec<(String, String)>,
    /// How its targets are called: made by the data plane at the first request.
    pub(crate) stations: OnceLock<Stations>,
}

/// What is in force now; clones share it.
#[derive(Clone, Default)]
pub struct LivePolicy {
    cell: Arc<Cell>,
}

#[derive(Default)]
struct Cell {
    active: ArcSwapOption<ActivePolicy>,
    /// Policies that were replaced, for as long as a request holds them. An `ArcSwap` too, because
    /// the swap must not wait for a reader of the count.
    retired: ArcSwapOption<Vec<Weak<ActivePolicy>>>,
}

// === impl ActivePolicy ===

impl ActivePolicy {
    pub fn new(
        engine: Engine,
        version: PackVersion,
        digest: ConfigDigest,
        targets_down: Vec<(String, String)>,
    ) -> Self {
        Self { engine, version, digest, targets_down, stations: OnceLock::new() }
    }
}

// === impl LivePolicy ===

impl LivePolicy {
    /// No policy is in force: every request is answered 503 `no_policy_loaded`.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The policy to use from here to the end of one request.
    pub fn snapshot(&self) -> Option<Arc<ActivePolicy>> {
        self.cell.active.load_full()
    }

    /// How many replaced policies are still held by a request.
    pub fn retired_draining(&self) -> usize {
        self.cell
            .retired
            .load()
            .as_ref()
            .map_or(0, |retired| retired.iter().filter(|policy| policy.strong_count() > 0).count())
    }

    /// Puts `next` in force. Cannot fail; called by the Activator alone.
    pub(crate) fn swap(&self, next: Arc<ActivePolicy>) {
        let Some(previous) = self.cell.active.swap(Some(next)) else { return };
        let mut retired: Vec<Weak<ActivePolicy>> =
            self.cell.retired.load().as_deref().cloned().unwrap_or_default();
        retired.retain(|policy| policy.strong_count() > 0);
        retired.push(Arc::downgrade(&previous));
        self.cell.retired.store(Some(Arc::new(retired)));
    }
}
