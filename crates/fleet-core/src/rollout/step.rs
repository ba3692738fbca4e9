//! The next step of a rollout, from a snapshot and the time; run again until it has nothing to do.

use std::time::Duration;

use super::report::{RolloutReport, WaitingOn};
use super::{Counts, RolloutState, RolloutStrategy};
use crate::time::Timestamp;

/// How long a breach waits for the rest of the wave to answer, so that one look shows every refusal.
pub const SETTLE: Duration = Duration::from_secs(1);

/// All that is decided on; counts, never the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    pub state: RolloutState,
    pub strategy: RolloutStrategy,
    pub started_at: Timestamp,
    /// When the first gateway refused or fell silent.
    pub first_failure_at: Option<Timestamp>,
    /// When the bake began: every reachable gateway was active.
    pub bake_since: Option<Timestamp>,
    pub reverting_since: Option<Timestamp>,
    /// The way forward.
    pub counts: Counts,
    /// The way back; all zero until the rollout reverts.
    pub back: Counts,
    /// Gateways of this rollout that have an earlier revision to go back to.
    pub revertible: u32,
}

/// What to write. One of these a step, each a compare-and-set on the rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Assign the revision to every gateway of the wave.
    Start,
    /// Every reachable gateway is active: the bake begins.
    OpenBake,
    /// Mark the active ones proven, make the revision stable, bring the rest of the fleet to it.
    Succeed,
    /// Assign what they ran before to every gateway of the wave.
    Revert {
        reason: String,
    },
    End {
        state: RolloutState,
        reason: String,
    },
}

/// What to do now, why it stands where it stands, and when to look again without being woken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RolloutStep {
    pub decision: Option<Decision>,
    pub report: RolloutReport,
    pub look_again: Option<Timestamp>,
}

/// Decides the next step.
pub fn step(snapshot: &Snapshot, now: Timestamp) -> RolloutStep {
    match snapshot.state {
        RolloutState::Planned => RolloutStep::decide(Decision::Start),
        RolloutState::Advancing => advance(snapshot, now),
        RolloutState::Reverting => revert(snapshot, now),
        RolloutState::Succeeded | RolloutState::Halted | RolloutState::Reverted | RolloutState::Aborted => {
            RolloutStep::wait(RolloutReport::default(), None)
        }
    }
}

// === impl RolloutStep ===

impl RolloutStep {
    fn decide(decision: Decision) -> Self {
        Self { decision: Some(decision), report: RolloutReport::default(), look_again: None }
    }

    fn wait(report: RolloutReport, look_again: Option<Timestamp>) -> Self {
        Self { decision: None, report, look_again }
    }
}

fn advance(snapshot: &Snapshot, now: Timestamp) -> RolloutStep {
    let counts = snapshot.counts;
    let deadline = snapshot.started_at.plus(snapshot.strategy.deadline);
    if counts.failed() > 0 {
        let settled = snapshot.first_failure_at.unwrap_or(now).plus(SETTLE);
        if counts.pending == 0 || now >= settled {
            return breach(snapshot, failure_reason(&counts));
        }
        return RolloutStep::wait(RolloutReport::of(WaitingOn::Answers(counts.pending)), Some(settled));
    }
    if counts.total() == 0 {
        return RolloutStep::decide(Decision::Succeed);
    }
    if counts.pending > 0 {
        if now < deadline {
            let waiting = RolloutReport::of(WaitingOn::Activation(counts.pending));
            return RolloutStep::wait(waiting, Some(deadline));
        }
        // Who comes online during the bake is late for its own reasons: caught up, but no breach.
        if snapshot.bake_since.is_none() {
            let reason = format!("{} not active before the deadline", gateways(counts.pending));
            return breach(snapshot, reason);
        }
    }
    if counts.active == 0 {
        if now >= deadline {
            let reason = "no gateway came online before the deadline".to_owned();
            return RolloutStep::decide(Decision::End { state: RolloutState::Halted, reason });
        }
        return RolloutStep::wait(RolloutReport::of(WaitingOn::AnyGateway(counts.offline)), Some(deadline));
    }
    let Some(bake_since) = snapshot.bake_since else { return RolloutStep::decide(Decision::OpenBake) };
    let baked = bake_since.plus(snapshot.strategy.bake);
    if now >= baked {
        RolloutStep::decide(Decision::Succeed)
    } else {
        RolloutStep::wait(RolloutReport::of(WaitingOn::Bake { until: baked }), Some(baked))
    }
}

fn breach(snapshot: &Snapshot, reason: String) -> RolloutStep {
    if snapshot.revertible > 0 {
        RolloutStep::decide(Decision::Revert { reason })
    } else {
        RolloutStep::decide(end_of_breach(snapshot, reason))
    }
}

fn revert(snapshot: &Snapshot, now: Timestamp) -> RolloutStep {
    let give_up = snapshot.reverting_since.unwrap_or(now).plus(snapshot.strategy.deadline);
    if snapshot.back.pending > 0 && now < give_up {
        return RolloutStep::wait(RolloutReport::of(WaitingOn::Return(snapshot.back.pending)), Some(give_up));
    }
    RolloutStep::decide(end_of_breach(snapshot, String::new()))
}

/// `reason` empty: the one written when it breached stands.
fn end_of_breach(snapshot: &Snapshot, reason: String) -> Decision {
    let state = if snapshot.counts.active == 0 { RolloutState::Reverted } else { RolloutState::Halted };
    Decision::End { state, reason }
}

fn failure_reason(counts: &Counts) -> String {
    let mut parts = Vec::new();
    for (number, what) in [
        (counts.rejected, "refused it"),
        (counts.timed_out, "did not answer"),
        (counts.incompatible, "cannot run it"),
    ] {
        if number > 0 {
            parts.push(format!("{} of {} {what}", number, gateways(counts.total())));
        }
    }
    parts.join(", ")
}

fn gateways(number: u32) -> String {
    if number == 1 { "1 gateway".to_owned() } else { format!("{number} gateways") }
}

#[cfg(test)]
mod tests;
