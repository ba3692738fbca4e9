//! Fleets and gateways as JSON.

use std::collections::BTreeMap;

use fleet_core::rollout::RolloutStrategy;
use proto::v1;
use serde::Serialize;

use super::findings::{FindingView, stage};
use super::{filled, time};
use crate::words::show_duration;

/// `{revision?, generation?, version, digest, at}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct VersionView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) at: Option<String>,
}

/// `{name, config, stable{}, gateways, defaults{}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FleetView {
    pub(crate) name: String,
    /// `null` until the first rollout binds it.
    pub(crate) config: Option<String>,
    /// `null` until there is one.
    pub(crate) stable: Option<VersionView>,
    pub(crate) stable_by: Option<String>,
    pub(crate) gateways: u32,
    pub(crate) defaults: DefaultsView,
    pub(crate) created_at: Option<String>,
}

/// How a rollout moves when nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct DefaultsView {
    pub(crate) strategy: &'static str,
    pub(crate) bake: String,
    pub(crate) deadline: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct GatewayView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) fleet: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) liveness: &'static str,
    pub(crate) desired: Option<VersionView>,
    pub(crate) observed: Option<VersionView>,
    pub(crate) in_sync: bool,
    pub(crate) pinned: bool,
    pub(crate) last_outcome: Option<OutcomeView>,
    pub(crate) agent_version: Option<String>,
    pub(crate) last_seen: Option<String>,
    pub(crate) enrolled_at: Option<String>,
    /// Newest first; only of `inspect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outcomes: Option<Vec<OutcomeView>>,
}

/// `{generation, state, reason}` and what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OutcomeView {
    pub(crate) generation: u64,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) revision: u64,
    pub(crate) version: Option<String>,
    pub(crate) digest: Option<String>,
    pub(crate) stage: Option<&'static str>,
    pub(crate) findings: Vec<FindingView>,
    pub(crate) at: Option<String>,
}

// === impl VersionView ===

impl VersionView {
    pub(crate) fn of(wire: &v1::Version) -> Self {
        Self {
            revision: wire.revision,
            generation: wire.generation,
            version: filled(&wire.version),
            digest: filled(&wire.digest),
            at: time(wire.at.as_ref()),
        }
    }
}

// === impl FleetView ===

impl FleetView {
    pub(crate) fn of(wire: &v1::Fleet) -> Self {
        let strategy = RolloutStrategy::DEFAULT;
        Self {
            name: wire.name.clone(),
            config: filled(&wire.config),
            stable: wire.stable.as_ref().map(VersionView::of),
            stable_by: filled(&wire.stable_by),
            gateways: wire.gateways,
            defaults: DefaultsView {
                strategy: "all",
                bake: show_duration(strategy.bake),
                deadline: show_duration(strategy.deadline),
            },
            created_at: time(wire.created_at.as_ref()),
        }
    }
}

// === impl GatewayView ===

impl GatewayView {
    /// As one of a list: without its outcomes.
    pub(crate) fn of(wire: &v1::Gateway) -> Self {
        Self {
            id: wire.id.clone(),
            name: wire.name.clone(),
            fleet: wire.fleet.clone(),
            labels: wire.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            liveness: liveness(wire.liveness()),
            desired: wire.desired.as_ref().map(VersionView::of),
            observed: wire.observed.as_ref().map(VersionView::of),
            in_sync: wire.in_sync,
            pinned: wire.pinned,
            last_outcome: wire.last_outcome.as_ref().map(OutcomeView::of),
            agent_version: filled(&wire.agent_version),
            last_seen: time(wire.last_seen.as_ref()),
            enrolled_at: time(wire.enrolled_at.as_ref()),
            outcomes: None,
        }
    }

    pub(crate) fn with_outcomes(wire: &v1::Gateway) -> Self {
        let outcomes = wire.outcomes.iter().map(OutcomeView::of).collect();
        Self { outcomes: Some(outcomes), ..Self::of(wire) }
    }
}

// === impl OutcomeView ===

impl OutcomeView {
    pub(crate) fn of(wire: &v1::Outcome) -> Self {
        let refusal = wire.refusal.as_ref();
        Self {
            generation: wire.generation,
            state: wire.state.clone(),
            reason: filled(&wire.reason),
            revision: wire.revision,
            version: filled(&wire.version),
            digest: filled(&wire.digest),
            stage: refusal.and_then(|refusal| stage(refusal.stage())),
            findings: refusal.map(|refusal| FindingView::of_wire(&refusal.findings)).unwrap_or_default(),
            at: time(wire.at.as_ref()),
        }
    }
}

const fn liveness(wire: v1::Liveness) -> &'static str {
    match wire {
        v1::Liveness::Online => "online",
        v1::Liveness::Stale => "stale",
        v1::Liveness::Offline => "offline",
        v1::Liveness::Unspecified => "unknown",
    }
}
