//! The pack in force, as one pointer: the Activator swaps it, a request takes it once and keeps it.
//!
//! The only file that touches `ArcSwap`. It must not know where a policy comes from.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwapOption;
use fleet_core::version::Generation;
use http::HeaderValue;
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use policy_engine::Engine;

use crate::proxy::Stations;

/// A compiled pack and who it is.
pub struct ActivePolicy {
    pub engine: Engine,
    pub version: PackVersion,
    pub digest: ConfigDigest,
    /// Of each target whose key is not on this host: where it stands in the pack, and why.
    pub targets_down: Vec<(String, String)>,
    /// Version and digest as every response and event says them.
    pub names: PolicyNames,
    /// For which generation it runs; zero for none. The record is what counts, this is its copy for decision events:
    /// an adoption changes the generation and not the policy.
    generation: AtomicU64,
    in_flight: AtomicUsize,
    /// How its targets are called: made by the data plane at the first request.
    pub(crate) stations: OnceLock<Stations>,
}

/// Made once, for requests to copy.
pub struct PolicyNames {
    pub version: Arc<str>,
    pub digest: Arc<str>,
    /// `None` cannot be: both are plain ASCII.
    pub headers: Option<(HeaderValue, HeaderValue)>,
}

/// One request under one policy, counted until it is dropped.
pub struct UnderPolicy(Arc<ActivePolicy>);

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
    /// Of no generation yet.
    pub fn new(
        engine: Engine,
        version: PackVersion,
        digest: ConfigDigest,
        targets_down: Vec<(String, String)>,
    ) -> Self {
        let (text, shown) = (version.to_string(), digest.to_string());
        let headers = HeaderValue::from_str(&text).ok().zip(HeaderValue::from_str(&shown).ok());
        let names = PolicyNames { version: text.into(), digest: shown.into(), headers };
        Self {
            engine,
            version,
            digest,
            targets_down,
            names,
            generation: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            stations: OnceLock::new(),
        }
    }

    /// The generation that a control plane gave it, as of now.
    pub fn generation(&self) -> Option<Generation> {
        Some(self.generation.load(Ordering::Relaxed)).filter(|number| *number > 0).map(Generation)
    }

    pub(crate) fn runs_for(&self, generation: Option<Generation>) {
        self.generation.store(generation.map_or(0, |generation| generation.0), Ordering::Relaxed);
    }

    /// Counts one request until its last byte.
    pub fn serves(self: &Arc<Self>) -> UnderPolicy {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderPolicy(Arc::clone(self))
    }
}

impl Drop for UnderPolicy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
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

    /// Whether this one is in force.
    pub(crate) fn is(&self, policy: &ActivePolicy) -> bool {
        self.cell.active.load().as_ref().is_some_and(|active| std::ptr::eq(Arc::as_ptr(active), policy))
    }

    /// How many replaced policies are still held by a request.
    pub fn retired_draining(&self) -> usize {
        self.cell
            .retired
            .load()
            .as_ref()
            .map_or(0, |retired| retired.iter().filter(|policy| policy.strong_count() > 0).count())
    }

    /// Requests in flight under each digest: that of the policy in force, and of those that were replaced and are
    /// still held.
    pub fn in_flight(&self) -> BTreeMap<ConfigDigest, usize> {
        let mut counts = BTreeMap::new();
        let mut count = |policy: &ActivePolicy| {
            *counts.entry(policy.digest).or_default() += policy.in_flight.load(Ordering::Relaxed);
        };
        if let Some(active) = self.snapshot() {
            count(&active);
        }
        let retired = self.cell.retired.load();
        retired
            .iter()
            .flat_map(|retired| retired.iter())
            .filter_map(Weak::upgrade)
            .for_each(|old| count(&old));
        counts
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
