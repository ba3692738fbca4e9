//! A rollout as it is loaded, decided on elsewhere, and stepped with a compare-and-set.

use fleet_core::activation::{ActivationEvent, ActivationState, transition};
use fleet_core::ids::GatewayId;
use fleet_core::liveness::ONLINE_FOR;
use fleet_core::rollout::{Counts, Decision, RolloutState, Snapshot};
use fleet_core::time::Timestamp;
use fleet_core::version::{Generation, Revision};

use super::{Database, DesiredRow, Direction, Member, RolloutRow, Stable};
use crate::bugs::Bug;

/// An open rollout with all that is decided on.
#[derive(Debug, Clone)]
pub(crate) struct StepInput {
    pub(crate) rollout: usize,
    pub(crate) snapshot: Snapshot,
    step_seq: u64,
    /// For a planted bug: what was desired when this was loaded.
    desired: Vec<(GatewayId, DesiredRow)>,
}

// === impl Database ===

impl Database {
    pub(crate) fn load_open(&self, now: Timestamp) -> Option<StepInput> {
        let rollout = self.open_rollout()?;
        let row = &self.rollouts[rollout];
        let mut first_failure_at: Option<Timestamp> = None;
        for member in &row.members {
            let activation = &self.activations[&(member.gateway, member.generation)];
            if matches!(activation.state, ActivationState::Rejected(_) | ActivationState::TimedOut) {
                let at = activation.state_at;
                first_failure_at = Some(first_failure_at.map_or(at, |first| first.min(at)));
            }
        }
        let snapshot = Snapshot {
            state: row.state,
            strategy: row.strategy,
            started_at: row.started_at,
            first_failure_at,
            bake_since: row.bake_since,
            reverting_since: row.reverting_since,
            counts: self.counts(row, |member| Some(member.generation), now),
            back: self.counts(row, |member| member.back, now),
            revertible: count(row.members.iter().filter(|member| member.previous.is_some())),
        };
        let desired = self.desired.iter().map(|(gateway, row)| (*gateway, *row)).collect();
        Some(StepInput { rollout, snapshot, step_seq: row.step_seq, desired })
    }

    /// Writes a decision if nobody took a step since `input` was loaded; false: somebody did.
    pub(crate) fn step(
        &mut self,
        input: &StepInput,
        decision: &Decision,
        now: Timestamp,
        bug: Option<Bug>,
    ) -> bool {
        let Some(row) = self.rollouts.get_mut(input.rollout) else { return false };
        if row.step_seq != input.step_seq {
            if bug == Some(Bug::StaleReplica) && matches!(decision, Decision::Start) {
                self.overwrite(input, now);
            }
            return false;
        }
        row.step_seq += 1;
        let revision = row.revision;
        match decision {
            Decision::Start => {
                row.state = RolloutState::Advancing;
                row.started_at = now;
                self.start(input.rollout, revision, now);
                if bug == Some(Bug::MovesMoreThanTheWave) {
                    self.rollouts[input.rollout].members.truncate(1);
                }
            }
            Decision::OpenBake => row.bake_since = Some(now),
            Decision::Succeed => {
                row.state = RolloutState::Succeeded;
                self.succeed(input.rollout, revision, now);
            }
            Decision::Revert { reason } => {
                row.state = RolloutState::Reverting;
                row.reason.clone_from(reason);
                row.reverting_since = Some(now);
                self.revert(input.rollout, now);
            }
            Decision::End { state, reason } => {
                row.state = *state;
                if !reason.is_empty() {
                    row.reason.clone_from(reason);
                }
            }
        }
        true
    }

    fn start(&mut self, rollout: usize, revision: Revision, now: Timestamp) {
        let fallback = self.stable.filter(|stable| stable.succeeded && stable.revision != revision);
        let gateways: Vec<GatewayId> = self.gateways.keys().copied().collect();
        for gateway in gateways {
            let observed = self.gateways[&gateway].observed;
            let runs = self.desired.get(&gateway).is_some_and(|row| {
                let state = self.activations[&(gateway, row.version.generation)].state;
                row.version.revision == revision
                    && matches!(state, ActivationState::Active | ActivationState::Proven)
                    && observed.is_some_and(|held| {
                        (held.generation, held.digest) == (row.version.generation, row.version.digest)
                    })
            });
            let generation = if runs {
                let row = self.desired.get_mut(&gateway).unwrap();
                row.rollout = Some(rollout);
                row.version.generation
            } else {
                self.assign(gateway, revision, Some(rollout), Direction::Forward, now)
            };
            let proven = self.activations[&(gateway, generation)].state == ActivationState::Proven;
            let before = self.ran_before(gateway, generation, revision).or(fallback.map(|to| to.revision));
            let previous = before.filter(|_| !proven);
            let member = Member { gateway, generation, previous, back: None };
            self.rollouts[rollout].members.push(member);
        }
    }

    fn ran_before(&self, gateway: GatewayId, generation: Generation, revision: Revision) -> Option<Revision> {
        let mut earlier = self.activations.range((gateway, Generation(0))..(gateway, generation)).rev();
        let found = earlier.find(|(_, row)| {
            let won = row.rollout.is_none_or(|of| self.rollouts[of].state == RolloutState::Succeeded);
            row.version.revision != revision
                && match row.state {
                    ActivationState::Active | ActivationState::Proven => true,
                    ActivationState::Assigned | ActivationState::Offered => won,
                    _ => false,
                }
        });
        found.map(|(_, row)| row.version.revision)
    }

    fn succeed(&mut self, rollout: usize, revision: Revision, now: Timestamp) {
        self.stable = Some(Stable { revision, succeeded: true });
        for member in self.rollouts[rollout].members.clone() {
            let row = self.activations.get_mut(&(member.gateway, member.generation)).unwrap();
            if let Some(state) = transition(row.state, ActivationEvent::BakePassed) {
                row.state = state;
                row.state_at = now;
            }
        }
        let rest = self.gateways.keys().copied();
        let told = |gateway: &GatewayId| self.desired.get(gateway).map(|row| row.version.revision);
        let rest: Vec<GatewayId> = rest.filter(|gateway| told(gateway) != Some(revision)).collect();
        for gateway in rest {
            self.assign(gateway, revision, None, Direction::Placement, now);
        }
    }

    fn revert(&mut self, rollout: usize, now: Timestamp) {
        for index in 0..self.rollouts[rollout].members.len() {
            let member = self.rollouts[rollout].members[index];
            let row = self.desired[&member.gateway];
            let Some(previous) = member.previous else { continue };
            if row.rollout == Some(rollout) && row.version.generation == member.generation {
                let back = self.assign(member.gateway, previous, Some(rollout), Direction::Back, now);
                self.rollouts[rollout].members[index].back = Some(back);
            }
        }
    }

    /// The planted bug: writes what it once read, plus one.
    fn overwrite(&mut self, input: &StepInput, now: Timestamp) {
        let revision = self.rollouts[input.rollout].revision;
        for (gateway, row) in &input.desired {
            let generation = row.version.generation.next();
            self.assign_as(*gateway, generation, revision, Some(input.rollout), Direction::Forward, now);
        }
    }

    fn counts(
        &self,
        rollout: &RolloutRow,
        which: impl Fn(&Member) -> Option<Generation>,
        now: Timestamp,
    ) -> Counts {
        let mut counts = Counts::default();
        for member in &rollout.members {
            let Some(generation) = which(member) else { continue };
            let gateway = &self.gateways[&member.gateway];
            let online =
                gateway.attached && gateway.last_seen.is_some_and(|seen| now.since(seen) < ONLINE_FOR);
            match self.activations[&(member.gateway, generation)].state {
                ActivationState::Assigned | ActivationState::Offered if online => counts.pending += 1,
                ActivationState::Assigned | ActivationState::Offered => counts.offline += 1,
                ActivationState::Active => counts.active += 1,
                ActivationState::Proven => {
                    counts.active += 1;
                    counts.proven += 1;
                }
                ActivationState::Rejected(_) => counts.rejected += 1,
                ActivationState::TimedOut => counts.timed_out += 1,
                ActivationState::RolledBack | ActivationState::Superseded => counts.superseded += 1,
            }
        }
        counts
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap()
}
