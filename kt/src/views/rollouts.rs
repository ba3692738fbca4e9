//! Rollouts and their counts as JSON.

use proto::convert::scalars;
use proto::v1;
use serde::Serialize;

use super::findings::RejectionView;
use super::{filled, time};
use crate::words::show_duration;

/// The classes are disjoint but for `proven`, which is part of `active`; they sum to `total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct CountsView {
    pub(crate) pending: u32,
    pub(crate) active: u32,
    pub(crate) proven: u32,
    pub(crate) rejected: u32,
    pub(crate) timed_out: u32,
    pub(crate) offline: u32,
    pub(crate) superseded: u32,
    pub(crate) incompatible: u32,
    pub(crate) total: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RolloutView {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    pub(crate) fleet: String,
    pub(crate) config: String,
    pub(crate) revision: u64,
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    pub(crate) waves: Vec<WaveView>,
    /// As they were when it breached, when it did: the way back does not blur them.
    pub(crate) counts: CountsView,
    pub(crate) waiting_on: Vec<String>,
    pub(crate) rejections: Vec<RejectionView>,
    pub(crate) strategy: Option<StrategyView>,
    pub(crate) created_by: String,
    pub(crate) created_at: Option<String>,
    pub(crate) ended_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WaveView {
    pub(crate) index: u32,
    pub(crate) state: String,
    pub(crate) targets: u32,
    pub(crate) active: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StrategyView {
    pub(crate) bake: Option<String>,
    pub(crate) deadline: Option<String>,
}

/// The counts to tell and to judge by.
pub(crate) fn counts(wire: &v1::Rollout) -> v1::Counts {
    wire.settled.or(wire.counts).unwrap_or_default()
}

/// The state's word.
pub(crate) const fn state(wire: v1::RolloutState) -> &'static str {
    match wire {
        v1::RolloutState::Planned => "planned",
        v1::RolloutState::Advancing => "advancing",
        v1::RolloutState::Reverting => "reverting",
        v1::RolloutState::Succeeded => "succeeded",
        v1::RolloutState::Halted => "halted",
        v1::RolloutState::Reverted => "reverted",
        v1::RolloutState::Aborted => "aborted",
        v1::RolloutState::Unspecified => "unknown",
    }
}

// === impl CountsView ===

impl CountsView {
    pub(crate) fn of(wire: &v1::Counts) -> Self {
        Self {
            pending: wire.pending,
            active: wire.active,
            proven: wire.proven,
            rejected: wire.rejected,
            timed_out: wire.timed_out,
            offline: wire.offline,
            superseded: wire.superseded,
            incompatible: wire.incompatible,
            total: wire.total,
        }
    }

    /// Every class with its number, but for `total`.
    pub(crate) fn classes(&self) -> [(&'static str, u32); 8] {
        [
            ("active", self.active),
            ("proven", self.proven),
            ("pending", self.pending),
            ("rejected", self.rejected),
            ("timed out", self.timed_out),
            ("offline", self.offline),
            ("superseded", self.superseded),
            ("incompatible", self.incompatible),
        ]
    }
}

// === impl RolloutView ===

impl RolloutView {
    pub(crate) fn of(wire: &v1::Rollout) -> Self {
        Self {
            id: wire.id.clone(),
            kind: match wire.kind() {
                v1::RolloutKind::Deploy => "deploy",
                v1::RolloutKind::Unspecified => "unknown",
            },
            fleet: wire.fleet.clone(),
            config: wire.config.clone(),
            revision: wire.revision,
            version: wire.version.clone(),
            digest: wire.digest.clone(),
            state: state(wire.state()),
            reason: filled(&wire.reason),
            waves: wire
                .waves
                .iter()
                .map(|wave| WaveView {
                    index: wave.index,
                    state: wave.state.clone(),
                    targets: wave.targets,
                    active: wave.active,
                })
                .collect(),
            counts: CountsView::of(&counts(wire)),
            waiting_on: wire.waiting_on.clone(),
            rejections: wire.rejections.iter().map(RejectionView::of).collect(),
            strategy: wire.strategy.as_ref().map(|strategy| StrategyView {
                bake: strategy.bake.as_ref().and_then(duration),
                deadline: strategy.deadline.as_ref().and_then(duration),
            }),
            created_by: wire.created_by.clone(),
            created_at: time(wire.created_at.as_ref()),
            ended_at: time(wire.ended_at.as_ref()),
        }
    }
}

fn duration(wire: &prost_types::Duration) -> Option<String> {
    scalars::duration("strategy", *wire).ok().map(show_duration)
}
