//! The database as rows in memory. Each method is one transaction, and they come one after the other: what the
//! store's locks and compare-and-sets achieve. A clone is a backup.

mod reports;
mod rollouts;

use std::collections::BTreeMap;

use fleet_core::activation::{ActivationEvent, ActivationState, transition};
use fleet_core::delivery::StoredRefusal;
use fleet_core::history::{ActivatedEvent, Cursor};
use fleet_core::ids::{BootId, GatewayId, Lineage};
use fleet_core::liveness::{Liveness, liveness};
use fleet_core::rollout::{RolloutState, RolloutStrategy};
use fleet_core::stable::{Assignment, Placement, Seen, ahead, contradicted, place};
use fleet_core::standing::Held;
use fleet_core::time::Timestamp;
use fleet_core::version::{DesiredVersion, Generation, Revision};
use policy_config::ConfigDigest;

pub(crate) use reports::{Answered, OFFER_DEADLINE, Presence, Record, Sent};
pub(crate) use rollouts::StepInput;

#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) lineage: Lineage,
    /// The digest of each revision, from revision 1 on.
    revisions: Vec<ConfigDigest>,
    pub(crate) stable: Option<Stable>,
    pub(crate) gateways: BTreeMap<GatewayId, GatewayRow>,
    pub(crate) desired: BTreeMap<GatewayId, DesiredRow>,
    pub(crate) activations: BTreeMap<ActivationKey, ActivationRow>,
    pub(crate) rollouts: Vec<RolloutRow>,
    pub(crate) history: Vec<Fact>,
    change: u64,
}

pub(crate) type ActivationKey = (GatewayId, Generation);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stable {
    pub(crate) revision: Revision,
    /// A rollout of it succeeded; otherwise it was only declared, by the first rollout.
    pub(crate) succeeded: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct GatewayRow {
    boot: Option<BootId>,
    counter: u64,
    attached: bool,
    last_seen: Option<Timestamp>,
    pub(crate) observed: Option<Held>,
    /// Above all that it was told here: this database was restored.
    seen: Option<Generation>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DesiredRow {
    pub(crate) version: DesiredVersion,
    /// A number of the rollouts below.
    pub(crate) rollout: Option<usize>,
    change: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
    Placement,
}

#[derive(Debug, Clone)]
pub(crate) struct ActivationRow {
    pub(crate) state: ActivationState,
    pub(crate) rollout: Option<usize>,
    pub(crate) direction: Direction,
    pub(crate) version: DesiredVersion,
    pub(crate) reason: String,
    state_at: Timestamp,
    expires_at: Option<Timestamp>,
    answered_by: Option<BootId>,
}

#[derive(Debug, Clone)]
pub(crate) struct RolloutRow {
    pub(crate) revision: Revision,
    pub(crate) state: RolloutState,
    pub(crate) reason: String,
    pub(crate) members: Vec<Member>,
    strategy: RolloutStrategy,
    started_at: Timestamp,
    bake_since: Option<Timestamp>,
    reverting_since: Option<Timestamp>,
    step_seq: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) gateway: GatewayId,
    pub(crate) generation: Generation,
    previous: Option<Revision>,
    pub(crate) back: Option<Generation>,
}

/// One line of the history; its cursor is its place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact {
    Assigned { gateway: GatewayId, version: DesiredVersion },
    Activated(ActivatedEvent),
    Other,
}

/// What an opened stream starts with.
#[derive(Debug, Clone)]
pub(crate) struct Attached {
    pub(crate) desired: Option<DesiredVersion>,
    pub(crate) refusal: Option<StoredRefusal>,
    pub(crate) observed: Option<Held>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disk {
    Kept,
    Lost,
}

pub(crate) const AGENT_VERSION: &str = "0.1.0";

// === impl Database ===

impl Database {
    pub(crate) fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            revisions: Vec::new(),
            stable: None,
            gateways: BTreeMap::new(),
            desired: BTreeMap::new(),
            activations: BTreeMap::new(),
            rollouts: Vec::new(),
            history: Vec::new(),
            change: 0,
        }
    }

    pub(crate) fn revisions(&self) -> u64 {
        self.revisions.len() as u64
    }

    pub(crate) fn digest(&self, revision: Revision) -> ConfigDigest {
        self.revisions[usize::try_from(revision.0 - 1).unwrap()]
    }

    /// Stores the bytes, unless they are the newest revision already.
    pub(crate) fn store(&mut self, digest: ConfigDigest) -> Revision {
        if self.revisions.last() != Some(&digest) {
            self.revisions.push(digest);
            self.history.push(Fact::Other);
        }
        Revision(self.revisions())
    }

    /// Plans a rollout; an open one of another revision is superseded.
    pub(crate) fn plan(&mut self, revision: Revision, strategy: RolloutStrategy, now: Timestamp) {
        if let Some(open) = self.open_rollout() {
            let open = &mut self.rollouts[open];
            if open.revision == revision {
                return;
            }
            open.state = RolloutState::Aborted;
            "superseded".clone_into(&mut open.reason);
            open.step_seq += 1;
        }
        self.rollouts.push(RolloutRow {
            revision,
            state: RolloutState::Planned,
            reason: String::new(),
            members: Vec::new(),
            strategy,
            started_at: now,
            bake_since: None,
            reverting_since: None,
            step_seq: 0,
        });
        self.stable.get_or_insert(Stable { revision, succeeded: false });
        self.history.push(Fact::Other);
    }

    pub(crate) fn open_rollout(&self) -> Option<usize> {
        self.rollouts.iter().position(|rollout| !rollout.state.is_end())
    }

    /// Takes a gateway in; false: another host holds a live stream under its name.
    pub(crate) fn enroll(&mut self, gateway: GatewayId, now: Timestamp) -> bool {
        let mut disk = Disk::Kept;
        if let Some(row) = self.gateways.get(&gateway) {
            if liveness(row.last_seen, row.attached, now) == Liveness::Online {
                return false;
            }
            disk = Disk::Lost;
        }
        let (last_seen, seen) =
            self.gateways.get(&gateway).map_or((None, None), |row| (row.last_seen, row.seen));
        self.gateways.insert(gateway, GatewayRow { last_seen, seen, ..GatewayRow::default() });
        self.place(gateway, disk, &Seen::default(), now);
        self.history.push(Fact::Other);
        true
    }

    /// Makes a stream the gateway's newest; `None`: unknown, or a newer one is known.
    pub(crate) fn attach(
        &mut self,
        gateway: GatewayId,
        boot: BootId,
        counter: u64,
        seen: &Seen,
        now: Timestamp,
    ) -> Option<Attached> {
        let row = self.gateways.get(&gateway)?;
        if row.boot == Some(boot) && row.counter > counter {
            return None;
        }
        self.place(gateway, Disk::Kept, seen, now);
        let desired = self.desired.get(&gateway).map(|row| row.version);
        let told = desired.and_then(|version| self.activations.get_mut(&(gateway, version.generation)));
        let refusal = told.and_then(|told| {
            if told.state == ActivationState::Offered {
                told.expires_at = None;
            }
            let ActivationState::Rejected(stage) = told.state else { return None };
            Some(StoredRefusal {
                generation: told.version.generation,
                stage,
                boot: told.answered_by?,
                agent_version: AGENT_VERSION.to_owned(),
            })
        });
        let row = self.gateways.get_mut(&gateway)?;
        let observed = row.observed;
        let (boot, last_seen) = (Some(boot), Some(now));
        *row = GatewayRow { boot, counter, attached: true, last_seen, observed, seen: row.seen };
        Some(Attached { desired, refusal, observed })
    }

    /// What changed after `since`, and the mark to continue from.
    pub(crate) fn desired_since(&self, since: u64) -> (Vec<(GatewayId, DesiredVersion)>, u64) {
        let changed = self.desired.iter().filter(|(_, row)| row.change > since);
        (changed.map(|(gateway, row)| (*gateway, row.version)).collect(), self.change)
    }

    /// The newest assignment of a gateway, with what became of it.
    pub(crate) fn newest(&self, gateway: GatewayId) -> Option<&ActivationRow> {
        let row = self.desired.get(&gateway)?;
        self.activations.get(&(gateway, row.version.generation))
    }

    /// `seen`: what the gateway says it has seen of this lineage.
    fn place(&mut self, gateway: GatewayId, disk: Disk, seen: &Seen, now: Timestamp) {
        let told = self.desired.get(&gateway).map(|row| row.version);
        let row = self.gateways.get_mut(&gateway).unwrap();
        let ahead = ahead(told.map(|told| told.generation).max(row.seen), seen.highest)
            .or_else(|| contradicted(told, &seen.known));
        row.seen = row.seen.max(ahead);
        let stable = self.stable.map(|stable| stable.revision);
        let assignment = self.desired.get(&gateway).map(|row| Assignment {
            revision: row.version.revision,
            rollout: row.rollout.map(|rollout| self.rollouts[rollout].state),
            state: self.activations[&(gateway, row.version.generation)].state,
        });
        let assignment = match disk {
            Disk::Kept => assignment,
            Disk::Lost => assignment.and_then(|told| told.on_another_disk(stable)),
        };
        let revision = match place(assignment, stable) {
            Placement::Assign(revision) => Some(revision),
            Placement::Keep | Placement::Wait => told.filter(|_| ahead.is_some()).map(|told| told.revision),
        };
        if let Some(revision) = revision {
            self.assign(gateway, revision, None, Direction::Placement, now);
        }
    }

    /// The next generation for one gateway, its activation, and the end of what it was told before.
    fn assign(
        &mut self,
        gateway: GatewayId,
        revision: Revision,
        rollout: Option<usize>,
        direction: Direction,
        now: Timestamp,
    ) -> Generation {
        let held = self.desired.get(&gateway).map(|row| row.version.generation);
        let held = held.max(self.gateways[&gateway].seen);
        let generation = held.map_or(Generation::FIRST, Generation::next);
        self.assign_as(gateway, generation, revision, rollout, direction, now);
        generation
    }

    fn assign_as(
        &mut self,
        gateway: GatewayId,
        generation: Generation,
        revision: Revision,
        rollout: Option<usize>,
        direction: Direction,
        now: Timestamp,
    ) {
        self.change += 1;
        let version = DesiredVersion { revision, generation, digest: self.digest(revision) };
        for (_, row) in self.activations.range_mut((gateway, Generation(0))..(gateway, generation)) {
            if let Some(state) = transition(row.state, ActivationEvent::Replaced) {
                row.state = state;
                row.state_at = now;
                row.reason = format!("by generation {generation}");
            }
        }
        self.desired.insert(gateway, DesiredRow { version, rollout, change: self.change });
        let row = ActivationRow {
            state: ActivationState::Assigned,
            rollout,
            direction,
            version,
            reason: String::new(),
            state_at: now,
            expires_at: None,
            answered_by: None,
        };
        self.activations.insert((gateway, generation), row);
        self.history.push(Fact::Assigned { gateway, version });
    }

    fn tell_active(&mut self, gateway: GatewayId, generation: Generation) {
        let row = &self.activations[&(gateway, generation)];
        let event = ActivatedEvent {
            cursor: Cursor(self.history.len() as u64 + 1),
            at: row.state_at,
            gateway,
            revision: row.version.revision,
            generation,
            digest: row.version.digest,
        };
        self.history.push(Fact::Activated(event));
    }
}
