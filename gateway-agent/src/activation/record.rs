//! What a gateway remembers of its packs and of its answers; the ledger keeps it, the link tells it.

use std::time::Duration;

use fleet_core::ids::{Lineage, OfferId, SessionId};
use fleet_core::offer::Acknowledgement;
use fleet_core::standing::{Held, RefusedAttempt, Standing};
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use proto::convert::reports::{ReportMessage, Running, Timings};
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
    /// It ran for a while without a crash: what starts when the active one cannot.
    pub good: bool,
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

    /// This pack runs from now on. What was good stays good.
    pub(super) fn activated(&mut self, mut pack: KeptPack) {
        pack.good |= self.pack(pack.digest).is_some_and(|kept| kept.good);
        self.trial = None;
        self.kept.retain(|kept| kept.digest != pack.digest);
        self.active = Some(pack.digest);
        self.refused = None;
        self.kept.insert(0, pack);
        self.on_trial();
    }

    /// The active pack has to prove itself, unless it is good.
    pub(super) fn on_trial(&mut self) {
        let on_trial = self.active_pack().filter(|pack| !pack.good).map(|pack| pack.digest);
        let held = self.trial.filter(|trial| Some(trial.digest) == on_trial);
        self.trial = on_trial.map(|digest| Trial {
            digest,
            crashes: held.map_or(0, |trial| trial.crashes),
            running: true,
        });
    }

    /// Forgets the packs beyond what is kept, never the active one; answers what was forgotten.
    pub(super) fn prune(&mut self) -> Vec<ConfigDigest> {
        let (mut good, mut others) = (0, 0);
        let mut forgotten = Vec::new();
        let active = self.active;
        self.kept.retain(|pack| {
            let (count, most) = if pack.good { (&mut good, KEPT_GOOD) } else { (&mut others, KEPT_OTHERS) };
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
