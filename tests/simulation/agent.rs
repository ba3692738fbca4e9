//! A gateway's agent: a disk that survives, a process that does not. It judges with `Standing::judge` and keeps
//! before it swaps, as the Activator does.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_core::ids::{BootId, Lineage, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, Intent, NackReason, Offer, Stage};
use fleet_core::stable::Seen;
use fleet_core::standing::{Held, Judgement, RefusedAttempt, Standing};
use fleet_core::time::Timestamp;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use uuid::Uuid;

use crate::bugs::Bug;
use crate::messages::{Hello, Report, Running, ToAgent, ToPlane};
use crate::network::StreamId;

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) index: usize,
    /// How many disks it has lost.
    pub(crate) disk_number: u64,
    pub(crate) disk: Record,
    pub(crate) disk_is_full: bool,
    pub(crate) has_secret: bool,
    pub(crate) enrolled: bool,
    /// It holds its stream and says nothing.
    pub(crate) frozen: bool,
    /// No message passes between it and anybody.
    pub(crate) cut: bool,
    /// Where its process dies at the next activation.
    pub(crate) dies: Option<DiesAt>,
    pub(crate) process: Option<Process>,
    boots: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiesAt {
    BeforeKeep,
    BetweenKeepAndSwap,
    AfterSwap,
}

/// A process died.
pub(crate) struct Died;

/// All that outlives a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    lineage: Option<Lineage>,
    highest: Option<Generation>,
    refused: Option<RefusedAttempt>,
    active: Option<ConfigDigest>,
    /// The newest activation first.
    kept: Vec<KeptPack>,
    unconfirmed: Option<Pending>,
}

#[derive(Debug, Clone)]
struct KeptPack {
    digest: ConfigDigest,
    assigned: (Lineage, Generation),
    since: Timestamp,
    good: bool,
}

#[derive(Debug, Clone)]
struct Pending {
    offer: OfferId,
    lineage: Lineage,
    generation: Generation,
    digest: ConfigDigest,
    acknowledgement: Acknowledgement,
    at: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Process {
    boot: BootId,
    record: Record,
    /// The bytes that serve.
    pub(crate) live: Option<ConfigDigest>,
    counter: u64,
    pub(crate) link: Option<Link>,
    /// For a planted bug: what is not on the disk yet.
    unkept: bool,
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) stream: StreamId,
    pub(crate) opened_at: Timestamp,
    session: Option<(SessionId, Lineage)>,
    awaiting_parcel: Option<Offer>,
    reported: Option<(OfferId, Timestamp)>,
}

/// A pack, and on which gateways it is refused.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    pub(crate) name: String,
    pub(crate) refused_by: Vec<usize>,
    pub(crate) needs_secret: bool,
}

pub(crate) type Packs = BTreeMap<ConfigDigest, Pack>;

/// What an agent works in.
pub(crate) struct Around<'a> {
    pub(crate) now: Timestamp,
    pub(crate) packs: &'a Packs,
    pub(crate) bug: Option<Bug>,
    pub(crate) log: &'a mut Vec<String>,
}

const REPEAT_REPORT: Duration = Duration::from_secs(3);
const PROVING_TIME: Duration = Duration::from_secs(60);
const KEPT_GOOD: usize = 10;
const KEPT_OTHERS: usize = 5;

// === impl Agent ===

impl Agent {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            disk_number: 0,
            disk: Record::default(),
            disk_is_full: false,
            has_secret: false,
            enrolled: false,
            frozen: false,
            cut: false,
            dies: None,
            process: None,
            boots: 0,
        }
    }

    /// Starts from the disk: what it holds serves before anything is asked.
    pub(crate) fn start(&mut self) {
        self.boots += 1;
        let boot = BootId(Uuid::from_u128((self.index as u128) << 32 | u128::from(self.boots)));
        let record = self.disk.clone();
        let live = record.active;
        self.process = Some(Process { boot, record, live, counter: 0, link: None, unkept: false });
    }

    pub(crate) fn lose_disk(&mut self) {
        self.process = None;
        self.disk = Record::default();
        self.disk_number += 1;
        self.enrolled = false;
        self.has_secret = false;
    }

    /// What serves now, and the assignment it serves for.
    pub(crate) fn runs(&self) -> Option<(Lineage, Held)> {
        let process = self.process.as_ref()?;
        let live = process.live?;
        process.record.pack(live).map(|pack| pack.in_words())
    }

    /// What would serve after a crash.
    pub(crate) fn keeps(&self) -> Option<(Lineage, Held)> {
        self.disk.active.and_then(|digest| self.disk.pack(digest)).map(KeptPack::in_words)
    }

    pub(crate) fn refuses(&self, packs: &Packs, digest: ConfigDigest) -> Option<Stage> {
        let pack = &packs[&digest];
        if pack.refused_by.contains(&self.index) {
            Some(Stage::Compile)
        } else if pack.needs_secret && !self.has_secret {
            Some(Stage::Secrets)
        } else {
            None
        }
    }

    /// The first message of a new stream.
    pub(crate) fn dial(&mut self, stream: StreamId, now: Timestamp) -> Option<ToPlane> {
        let process = self.process.as_mut()?;
        process.counter += 1;
        let record = &process.record;
        let unconfirmed = record.unconfirmed.as_ref();
        process.link = Some(Link {
            stream,
            opened_at: now,
            session: None,
            awaiting_parcel: None,
            reported: unconfirmed.map(|pending| (pending.offer, now)),
        });
        Some(ToPlane::Hello(Hello {
            boot: process.boot,
            counter: process.counter,
            lineage: record.lineage,
            seen: record.seen(),
            running: record.lineage.and_then(|lineage| record.running_in(lineage, now)),
            staged: record.kept.iter().map(|pack| pack.digest).collect(),
            unconfirmed: unconfirmed.map(|pending| record.report(pending, now)),
        }))
    }

    /// One message of the control plane.
    pub(crate) fn receive(&mut self, message: ToAgent, around: &mut Around<'_>) -> Result<(), Died> {
        let Some(link) = self.process.as_mut().and_then(|process| process.link.as_mut()) else {
            return Ok(());
        };
        match message {
            ToAgent::Welcome { session, lineage } => {
                link.session.get_or_insert((session, lineage));
            }
            ToAgent::Offer { session, offer, parcel_follows } => {
                if link.session.is_none_or(|(ours, _)| ours != session) {
                    return Ok(());
                }
                link.awaiting_parcel = None;
                if parcel_follows {
                    link.awaiting_parcel = Some(offer);
                } else {
                    return self.take_offer(&offer, false, around);
                }
            }
            ToAgent::Parcel(digest) => {
                if let Some(offer) = link.awaiting_parcel.take_if(|offer| offer.digest == digest) {
                    return self.take_offer(&offer, true, around);
                }
            }
            ToAgent::ReportAck(offer) => {
                let process = self.process.as_mut().unwrap();
                if process.record.unconfirmed.take_if(|pending| pending.offer == offer).is_some() {
                    self.keep_if_possible();
                }
            }
        }
        Ok(())
    }

    /// What is due on the stream: a report that is new or unconfirmed, and a heartbeat when asked for.
    pub(crate) fn speak(&mut self, heartbeat: bool, now: Timestamp, bug: Option<Bug>) -> Vec<ToPlane> {
        let mut said = Vec::new();
        let Some(process) = self.process.as_mut() else { return said };
        let mut proved = false;
        for pack in &mut process.record.kept {
            let is_active = Some(pack.digest) == process.record.active;
            if is_active && !pack.good && now.since(pack.since) >= PROVING_TIME {
                pack.good = true;
                proved = true;
            }
        }
        let unkept = std::mem::take(&mut process.unkept);
        let record = &process.record;
        if let Some(link) = process.link.as_mut()
            && let Some((session, lineage)) = link.session
        {
            if let Some(pending) = &record.unconfirmed {
                let due = link.reported.is_none_or(|(offer, at)| {
                    let repeats = bug != Some(Bug::ReportsOnlyOnce) && now.since(at) >= REPEAT_REPORT;
                    offer != pending.offer || repeats
                });
                if due {
                    link.reported = Some((pending.offer, now));
                    let mut report = record.report(pending, now);
                    if bug == Some(Bug::ReportsOnlyOnce) {
                        report.running = None;
                    }
                    said.push(ToPlane::Report(report));
                }
            }
            if heartbeat && bug != Some(Bug::ReportsOnlyOnce) {
                said.push(ToPlane::Heartbeat { session, running: record.running_in(lineage, now) });
            } else if heartbeat {
                said.push(ToPlane::Heartbeat { session, running: None });
            }
        }
        if proved || (unkept && heartbeat) {
            self.keep_if_possible();
        } else if let Some(process) = self.process.as_mut() {
            process.unkept = unkept;
        }
        said
    }

    fn take_offer(&mut self, offer: &Offer, with_bytes: bool, around: &mut Around<'_>) -> Result<(), Died> {
        let Intent::Activate { lineage, generation } = offer.intent else { return Ok(()) };
        let process = self.process.as_ref().unwrap();
        let mut judgement = process.record.standing().judge(offer, process.boot);
        if around.bug == Some(Bug::AcceptsLowerGenerations)
            && matches!(&judgement, Judgement::Refuse(reason) if reason.stage == Stage::Generation)
        {
            judgement = Judgement::Activate { lineage, generation, forget: false };
        }
        let at = around.now;
        let pending = |acknowledgement| Pending {
            offer: offer.id,
            lineage,
            generation,
            digest: offer.digest,
            acknowledgement,
            at,
        };
        let ack = Acknowledgement::Ack { warnings: Vec::new() };
        let outcome = match judgement {
            Judgement::Validate => return Ok(()),
            Judgement::Activate { .. } => {
                let report = pending(ack.clone());
                let activated = self.activate(offer, lineage, generation, with_bytes, report, around)?;
                activated.map_err(|reason| self.remember(offer, lineage, generation, reason))
            }
            Judgement::Adopt { .. } => self
                .adopt(lineage, generation)
                .map_err(|reason| self.remember(offer, lineage, generation, reason)),
            Judgement::AckAgain => Ok(()),
            Judgement::Refuse(reason) => Err(reason),
        };
        let gateway = format!("g{}", self.index + 1);
        let name = &around.packs[&offer.digest].name;
        around.log.push(match &outcome {
            Ok(()) => format!("{gateway} runs {name} as generation {generation}"),
            Err(reason) => {
                format!(
                    "{gateway} refuses {name}, generation {generation}: {}: {}",
                    reason.stage, reason.reason
                )
            }
        });
        let process = self.process.as_mut().unwrap();
        let answered = process.record.unconfirmed.as_ref().is_some_and(|report| report.offer == offer.id);
        if outcome.is_ok() && answered {
            return Ok(());
        }
        process.record.unconfirmed = Some(pending(outcome.map_or_else(Acknowledgement::Nack, |()| ack)));
        self.keep_if_possible();
        Ok(())
    }

    /// Stages, keep, swap; or a refusal, and nothing has changed.
    fn activate(
        &mut self,
        offer: &Offer,
        lineage: Lineage,
        generation: Generation,
        with_bytes: bool,
        report: Pending,
        around: &mut Around<'_>,
    ) -> Result<Result<(), NackReason>, Died> {
        let dies = self.dies.take();
        let refused = self.refuses(around.packs, offer.digest);
        let process = self.process.as_mut().unwrap();
        if !with_bytes && process.record.pack(offer.digest).is_none() {
            return Ok(Err(nack(Stage::Verify, "the bytes did not come and are not on this disk")));
        }
        match (refused, around.bug) {
            (Some(stage), Some(Bug::RefusalDropsThePolicy)) => {
                process.live = None;
                return Ok(Err(nack(stage, "refused")));
            }
            (None, _) | (Some(_), Some(Bug::SwapsBeforeTheStages)) => {}
            (Some(stage), _) => return Ok(Err(nack(stage, "refused"))),
        }
        let mut next = process.record.clone();
        next.judged(lineage, generation);
        next.activated(KeptPack {
            digest: offer.digest,
            assigned: (lineage, generation),
            since: around.now,
            good: false,
        });
        next.unconfirmed = Some(report);
        next.prune();
        if dies == Some(DiesAt::BeforeKeep) {
            return Err(Died);
        }
        if self.disk_is_full {
            return Ok(Err(nack(Stage::Storage, "no space left")));
        }
        if around.bug == Some(Bug::AcksBeforeTheKeep) {
            process.unkept = true;
        } else {
            self.disk = next.clone();
        }
        if dies == Some(DiesAt::BetweenKeepAndSwap) {
            return Err(Died);
        }
        process.record = next;
        process.live = Some(offer.digest);
        if dies == Some(DiesAt::AfterSwap) { Err(Died) } else { Ok(Ok(())) }
    }

    /// The bytes run already: only the assignment is new.
    fn adopt(&mut self, lineage: Lineage, generation: Generation) -> Result<(), NackReason> {
        if self.disk_is_full {
            return Err(nack(Stage::Storage, "no space left"));
        }
        let record = &mut self.process.as_mut().unwrap().record;
        let active = record.active;
        record.judged(lineage, generation);
        record.refused = None;
        for pack in record.kept.iter_mut().filter(|pack| Some(pack.digest) == active) {
            pack.assigned = (lineage, generation);
        }
        self.disk = record.clone();
        Ok(())
    }

    fn remember(
        &mut self,
        offer: &Offer,
        lineage: Lineage,
        generation: Generation,
        reason: NackReason,
    ) -> NackReason {
        let process = self.process.as_mut().unwrap();
        process.record.judged(lineage, generation);
        let (digest, boot) = (offer.digest, process.boot);
        process.record.refused = Some(RefusedAttempt { generation, digest, boot, reason: reason.clone() });
        reason
    }

    fn keep_if_possible(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|process| !process.unkept && !self.disk_is_full) {
            self.disk = process.record.clone();
        }
    }
}

// === impl Link ===

impl Link {
    pub(crate) const fn is_welcome(&self) -> bool {
        self.session.is_some()
    }
}

// === impl KeptPack ===

impl KeptPack {
    fn in_words(&self) -> (Lineage, Held) {
        (self.assigned.0, Held { generation: self.assigned.1, digest: self.digest })
    }
}

// === impl Record ===

impl Record {
    fn standing(&self) -> Standing {
        Standing {
            lineage: self.lineage,
            highest: self.highest,
            active: self.lineage.and_then(|lineage| self.held_in(lineage)),
            refused: self.refused.clone(),
            pinned: false,
        }
    }

    fn seen(&self) -> Seen {
        let runs = self.lineage.and_then(|lineage| self.held_in(lineage));
        let refused = self
            .refused
            .as_ref()
            .map(|refused| Held { generation: refused.generation, digest: refused.digest });
        Seen { highest: self.highest, known: runs.into_iter().chain(refused).collect() }
    }

    fn pack(&self, digest: ConfigDigest) -> Option<&KeptPack> {
        self.kept.iter().find(|pack| pack.digest == digest)
    }

    fn held_in(&self, lineage: Lineage) -> Option<Held> {
        let pack = self.pack(self.active?)?;
        let (assigned_in, generation) = pack.assigned;
        (assigned_in == lineage).then_some(Held { generation, digest: pack.digest })
    }

    fn running_in(&self, lineage: Lineage, now: Timestamp) -> Option<Running> {
        let pack = self.pack(self.active?)?;
        Some(Running { held: self.held_in(lineage)?, ago: now.since(pack.since) })
    }

    fn report(&self, pending: &Pending, now: Timestamp) -> Report {
        Report {
            offer: pending.offer,
            lineage: pending.lineage,
            generation: pending.generation,
            digest: pending.digest,
            acknowledgement: pending.acknowledgement.clone(),
            running: self.running_in(pending.lineage, now),
            ago: now.since(pending.at),
        }
    }

    fn judged(&mut self, lineage: Lineage, generation: Generation) {
        if self.lineage != Some(lineage) {
            self.lineage = Some(lineage);
            self.highest = None;
            self.refused = None;
        }
        self.highest = self.highest.max(Some(generation));
    }

    fn activated(&mut self, pack: KeptPack) {
        self.kept.retain(|kept| kept.digest != pack.digest);
        self.active = Some(pack.digest);
        self.refused = None;
        self.kept.insert(0, pack);
    }

    fn prune(&mut self) {
        let (mut good, mut others) = (0, 0);
        let active = self.active;
        self.kept.retain(|pack| {
            let (count, most) = if pack.good { (&mut good, KEPT_GOOD) } else { (&mut others, KEPT_OTHERS) };
            *count += 1;
            *count <= most || Some(pack.digest) == active
        });
    }
}

fn nack(stage: Stage, reason: &str) -> NackReason {
    NackReason { stage, reason: reason.to_owned(), findings: Vec::new() }
}
