//! What a gateway remembers of its packs and of its answers; the ledger keeps it, the link tells it.

use std::time::Duration;

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason};
use fleet_core::standing::{Held, RefusedAttempt, Standing};
use fleet_core::version::Generation;
use instance::{Action, HistoryRecord};
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use proto::convert::reports::{ReportMessage, Running, RunningLocally, Timings};
use service_kit::clock::Clock;
use time::OffsetDateTime;
use tokio::time::Instant;

/// All that outlives the process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    pub lineage: Option<Lineage>,
    /// The highest generation ever judged in `lineage`.
    pub highest: Option<Generation>,
    pub refused: Option<RefusedAttempt>,
    pub pinned: bool,
    /// What runs: one of `kept`.
    pub active: Option<ConfigDigest>,
    /// Packs whose bytes are on this disk, the newest activation first.
    pub kept: Vec<KeptPack>,
    /// The newest answer to the control plane, until it was confirmed.
    pub unconfirmed: Option<PendingReport>,
    /// Of the newest pack that had or has to prove itself.
    pub trial: Option<Trial>,
    /// What should run, as its source said last. `None`: nothing was said since this is remembered.
    pub desired: Option<Desired>,
    /// Why the desired pack does not run.
    pub last_failure: Option<Failure>,
    /// What was changed and not yet told: kept with the change, so that a crash before the history took it loses nothing.
    pub untold: Option<HistoryRecord>,
    /// What was left for good until somebody brings it again, the newest first.
    pub withdrawn: Vec<Withdrawn>,
}

/// What should run.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    pub digest: ConfigDigest,
    /// `None`: its bytes do not say.
    pub version: Option<PackVersion>,
    /// Of a control plane.
    pub generation: Option<Generation>,
    pub since: Moment,
}

/// A desired pack that does not run.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub at: Moment,
    /// What was tried.
    pub action: Action,
    pub reason: NackReason,
}

/// A pack that neither a revert nor a start brings back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    pub digest: ConfigDigest,
    pub version: Option<PackVersion>,
    pub why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Somebody went back from it.
    Reverted,
    /// It ended the gateway too often. Where no other pack can be started, this one is.
    Crashed,
}

/// A pack that has not proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    pub digest: ConfigDigest,
    /// Ends of the process that nobody asked for, while it ran.
    pub crashes: u32,
    /// A process runs it. Found at a start, that process did not end in order.
    pub running: bool,
}

/// A pack that was activated here.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptPack {
    pub digest: ConfigDigest,
    pub version: PackVersion,
    /// `None` when the record of it was lost and the bytes alone are left.
    pub assigned: Option<(Lineage, Generation)>,
    /// When it was swapped in.
    pub since: Moment,
    /// It ran for a while without a crash.
    pub proved: bool,
    /// The gateway ended under it without being asked to, before it had proved itself.
    pub crashed: bool,
}

/// An answer on its way to the control plane.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingReport {
    pub session: SessionId,
    pub offer: OfferId,
    pub lineage: Lineage,
    pub generation: Generation,
    pub digest: ConfigDigest,
    pub acknowledgement: Acknowledgement,
    pub at: Moment,
    pub timings: Timings,
}

/// When something happened: by the wall clock for the disk, and by the clock that never jumps for as
/// long as this process lives.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub wall: OffsetDateTime,
    here: Option<Instant>,
}

/// How many good packs are kept, and how many that never proved themselves.
const KEPT_GOOD: usize = 10;
const KEPT_OTHERS: usize = 5;
/// How many withdrawn packs are remembered whose bytes are not kept.
const WITHDRAWN_ELSEWHERE: usize = 16;

// === impl Record ===

impl Record {
    /// What an offer is judged against. A pack of another lineage has no generation here.
    pub fn standing(&self) -> Standing {
        Standing {
            lineage: self.lineage,
            highest: self.highest,
            active: self.lineage.and_then(|lineage| self.held_in(lineage)),
            refused: self.refused.clone(),
            pinned: self.pinned,
        }
    }

    pub fn active_pack(&self) -> Option<&KeptPack> {
        self.active.and_then(|digest| self.pack(digest))
    }

    pub fn pack(&self, digest: ConfigDigest) -> Option<&KeptPack> {
        self.kept.iter().find(|pack| pack.digest == digest)
    }

    /// What runs, in words that a control plane of this lineage understands.
    pub fn running_in(&self, lineage: Lineage, clock: &Clock) -> Option<Running> {
        let pack = self.active_pack()?;
        Some(Running {
            held: self.held_in(lineage)?,
            version: pack.version.clone(),
            age: pack.since.age(clock),
        })
    }

    /// What runs, where no control plane of this lineage assigned it.
    pub fn running_locally(&self, clock: &Clock) -> Option<RunningLocally> {
        let pack = self.active_pack().filter(|pack| pack.is_local())?;
        Some(RunningLocally {
            digest: pack.digest,
            version: pack.version.clone(),
            age: pack.since.age(clock),
        })
    }

    pub fn staged(&self) -> impl Iterator<Item = ConfigDigest> {
        self.kept.iter().map(|pack| pack.digest)
    }

    /// The answer as it travels now.
    pub fn report(&self, pending: &PendingReport, clock: &Clock) -> ReportMessage {
        ReportMessage {
            session: pending.session,
            offer: pending.offer,
            lineage: pending.lineage,
            generation: pending.generation,
            digest: pending.digest,
            acknowledgement: pending.acknowledgement.clone(),
            active: self.running_in(pending.lineage, clock),
            age: pending.at.age(clock),
            timings: pending.timings,
        }
    }

    /// An offer of this generation was judged; another lineage starts anew.
    pub(super) fn judged(&mut self, lineage: Lineage, generation: Generation) {
        if self.lineage != Some(lineage) {
            self.lineage = Some(lineage);
            self.highest = None;
            self.refused = None;
        }
        self.highest = self.highest.max(Some(generation));
    }

    /// Packs to go back to, the newest activation first; what runs is one of them if it is good.
    pub fn good(&self) -> impl Iterator<Item = &KeptPack> {
        self.kept.iter().filter(|pack| pack.is_good() && !self.is_withdrawn(pack.digest))
    }

    /// Whether neither a revert nor a start may bring it back. A load and a new generation may.
    pub fn is_withdrawn(&self, digest: ConfigDigest) -> bool {
        self.withdrawn.iter().any(|withdrawn| withdrawn.digest == digest)
    }

    /// What may be started, the best first: the active pack, then good ones, then the others; in the end what was
    /// withdrawn for crashing, because 503 helps nobody. What somebody went back from is a wrong pack: never.
    pub fn start_order(&self) -> Vec<ConfigDigest> {
        let mut packs: Vec<&KeptPack> = self.kept.iter().collect();
        // Stable, so that the newest activation stays first among its like.
        packs.sort_by_key(|pack| match self.why_withdrawn(pack.digest) {
            None if Some(pack.digest) == self.active => 0,
            None if pack.is_good() => 1,
            None => 2,
            Some(Why::Crashed) => 3,
            Some(Why::Reverted) => 4,
        });
        let may = |pack: &&KeptPack| self.why_withdrawn(pack.digest) != Some(Why::Reverted);
        packs.into_iter().filter(may).map(|pack| pack.digest).collect()
    }

    /// This pack runs from now on, as it was wanted. What proved itself stays so, and what crashed until it does.
    pub(super) fn activated(&mut self, mut pack: KeptPack) {
        if let Some(kept) = self.pack(pack.digest) {
            pack.proved |= kept.proved;
            pack.crashed |= kept.crashed;
        }
        self.trial = None;
        self.kept.retain(|kept| kept.digest != pack.digest);
        self.welcome(pack.digest);
        self.active = Some(pack.digest);
        self.refused = None;
        self.last_failure = None;
        self.wants(Desired {
            digest: pack.digest,
            version: Some(pack.version.clone()),
            generation: pack.central_generation(),
            since: pack.since,
        });
        self.kept.insert(0, pack);
        self.on_trial();
    }

    /// What should run from now on; the same again was wanted before.
    pub(super) fn wants(&mut self, mut desired: Desired) {
        if let Some(before) = &self.desired
            && (before.digest, before.generation) == (desired.digest, desired.generation)
        {
            desired.since = before.since;
        }
        self.desired = Some(desired);
    }

    /// What runs is what should.
    pub(super) fn wants_what_runs(&mut self, now: Moment) {
        self.last_failure = None;
        match self.active_pack().map(|pack| (pack.digest, pack.version.clone(), pack.central_generation())) {
            Some((digest, version, generation)) => {
                self.wants(Desired { digest, version: Some(version), generation, since: now });
            }
            None => self.desired = None,
        }
    }

    /// Neither a revert nor a start brings it back.
    pub(super) fn withdraw(&mut self, digest: ConfigDigest, version: Option<PackVersion>, why: Why) {
        self.welcome(digest);
        self.withdrawn.insert(0, Withdrawn { digest, version, why });
        let mut elsewhere = 0;
        let kept = &self.kept;
        self.withdrawn.retain(|withdrawn| {
            let is_kept = kept.iter().any(|pack| pack.digest == withdrawn.digest);
            elsewhere += usize::from(!is_kept);
            is_kept || elsewhere <= WITHDRAWN_ELSEWHERE
        });
    }

    /// Somebody wants it again.
    pub(super) fn welcome(&mut self, digest: ConfigDigest) {
        self.withdrawn.retain(|withdrawn| withdrawn.digest != digest);
    }

    pub(super) fn why_withdrawn(&self, digest: ConfigDigest) -> Option<Why> {
        self.withdrawn.iter().find(|withdrawn| withdrawn.digest == digest).map(|withdrawn| withdrawn.why)
    }

    /// The active pack has to prove itself, unless it has.
    pub(super) fn on_trial(&mut self) {
        let on_trial = self.active_pack().filter(|pack| !pack.proved).map(|pack| pack.digest);
        let held = self.trial.filter(|trial| Some(trial.digest) == on_trial);
        self.trial = on_trial.map(|digest| Trial {
            digest,
            crashes: held.map_or(0, |trial| trial.crashes),
            running: true,
        });
    }

    /// Forgets the packs beyond what is kept, never the active one; answers what was forgotten.
    pub(super) fn prune(&mut self) -> Vec<ConfigDigest> {
        let (active, targets) = (self.active, self.good().map(|pack| pack.digest).collect::<Vec<_>>());
        let (mut good, mut others) = (0, 0);
        let mut forgotten = Vec::new();
        self.kept.retain(|pack| {
            let is_target = targets.contains(&pack.digest);
            let (count, most) = if is_target { (&mut good, KEPT_GOOD) } else { (&mut others, KEPT_OTHERS) };
            *count += 1;
            let stays = *count <= most || Some(pack.digest) == active;
            if !stays {
                forgotten.push(pack.digest);
            }
            stays
        });
        forgotten
    }

    fn held_in(&self, lineage: Lineage) -> Option<Held> {
        let pack = self.active_pack()?;
        let (assigned_in, generation) = pack.assigned?;
        (assigned_in == lineage).then_some(Held { generation, digest: pack.digest })
    }
}

// === impl KeptPack ===

impl KeptPack {
    /// Somebody of this host activated it here.
    pub fn is_local(&self) -> bool {
        self.assigned.is_some_and(|(lineage, _)| lineage == Lineage::LOCAL)
    }

    /// Known to run: it proved itself, or somebody of this host activated it and it never crashed.
    pub fn is_good(&self) -> bool {
        self.proved || (self.is_local() && !self.crashed)
    }

    /// The generation a control plane gave it.
    pub fn central_generation(&self) -> Option<Generation> {
        self.assigned.filter(|_| !self.is_local()).map(|(_, generation)| generation)
    }
}

// === impl Moment ===

impl Moment {
    pub fn now(clock: &Clock) -> Self {
        Self { wall: clock.now(), here: Some(Instant::now()) }
    }

    /// As it was read from the disk.
    pub fn stored(wall: OffsetDateTime) -> Self {
        Self { wall, here: None }
    }

    /// How long ago; never negative, whatever the wall clock did.
    pub fn age(&self, clock: &Clock) -> Duration {
        match self.here {
            Some(here) => here.elapsed(),
            None => Duration::try_from(clock.now() - self.wall).unwrap_or_default(),
        }
    }
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.wall == other.wall
    }
}
