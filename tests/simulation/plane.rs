//! One control plane: sessions with their `Delivery`, what it has not written yet, and its look at the rollouts.
//! Like the real one it may know less than the database does.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet_core::delivery::{Delivery, Opening};
use fleet_core::ids::{BootId, GatewayId, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, Intent, Offer};
use fleet_core::rollout::{Decision, step};
use fleet_core::stable::Seen;
use fleet_core::time::Timestamp;
use fleet_core::version::DesiredVersion;
use uuid::Uuid;

use crate::bugs::Bug;
use crate::database::{AGENT_VERSION, Answered, Database, OFFER_DEADLINE, Presence, Record, Sent, StepInput};
use crate::messages::{Hello, Report, Running, ToAgent, ToPlane};
use crate::network::StreamId;

#[derive(Debug, Default)]
pub(crate) struct Plane {
    pub(crate) is_up: bool,
    /// It cannot reach the database.
    pub(crate) away: bool,
    pub(crate) sessions: BTreeMap<StreamId, Session>,
    mark: u64,
    pub(crate) decided: Option<(StepInput, Decision)>,
    sent: Vec<Sent>,
    heard: Vec<(StreamId, Record)>,
    presence: BTreeMap<GatewayId, Presence>,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    gateway: GatewayId,
    boot: BootId,
    counter: u64,
    delivery: Delivery,
    cell: Option<DesiredVersion>,
    last_heard: Timestamp,
}

/// What a control plane does to its streams.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) say: Vec<(StreamId, ToAgent)>,
    pub(crate) close: Vec<StreamId>,
}

/// What a control plane works with.
pub(crate) struct Around<'a> {
    pub(crate) now: Timestamp,
    pub(crate) database: &'a mut Database,
    pub(crate) next_id: &'a mut u128,
    pub(crate) bug: Option<Bug>,
}

const SILENCE: Duration = Duration::from_secs(60);

// === impl Around ===

impl Around<'_> {
    fn id(&mut self) -> Uuid {
        *self.next_id += 1;
        Uuid::from_u128(*self.next_id)
    }
}

// === impl Plane ===

impl Plane {
    pub(crate) fn new(is_up: bool, away: bool) -> Self {
        Self { is_up, away, ..Self::default() }
    }

    pub(crate) fn has_to_write(&self) -> bool {
        !self.sent.is_empty() || !self.heard.is_empty()
    }

    pub(crate) fn receive(
        &mut self,
        stream: StreamId,
        gateway: GatewayId,
        message: ToPlane,
        around: &mut Around<'_>,
    ) -> Effects {
        let mut effects = Effects::default();
        let known = self.sessions.contains_key(&stream);
        match message {
            ToPlane::Hello(hello) if !known => {
                self.open(stream, gateway, hello, around, &mut effects);
            }
            ToPlane::Hello(_) => self.close(stream, around.now, &mut effects),
            ToPlane::Report(_) | ToPlane::Heartbeat { .. } if !known => effects.close.push(stream),
            ToPlane::Report(report) => {
                self.seen(stream, around.now);
                self.on_report(stream, report, around);
            }
            ToPlane::Heartbeat { session, running } => {
                self.seen(stream, around.now);
                self.on_heartbeat(stream, session, running);
            }
        }
        self.offer(stream, around, &mut effects);
        effects
    }

    /// The peer ended the stream.
    pub(crate) fn on_end(&mut self, stream: StreamId, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        self.close(stream, now, &mut effects);
        effects
    }

    /// Fills the cells with what changed and offers it; looks for silence on the streams.
    pub(crate) fn poll(&mut self, around: &mut Around<'_>) -> Effects {
        let mut effects = Effects::default();
        if !self.away {
            let (changed, mark) = around.database.desired_since(self.mark);
            self.mark = mark;
            for (gateway, version) in changed {
                for session in self.sessions.values_mut().filter(|session| session.gateway == gateway) {
                    session.fill(version);
                }
            }
        }
        let streams: Vec<StreamId> = self.sessions.keys().copied().collect();
        for stream in streams {
            let session = self.sessions.get_mut(&stream).unwrap();
            session.delivery.on_silence(around.now);
            if around.now.since(session.last_heard) >= SILENCE {
                self.close(stream, around.now, &mut effects);
            }
            self.offer(stream, around, &mut effects);
        }
        effects
    }

    /// Writes what was sent and heard, and confirms it.
    pub(crate) fn write(&mut self, around: &mut Around<'_>) -> Effects {
        let mut effects = Effects::default();
        if self.away {
            return effects;
        }
        for sent in std::mem::take(&mut self.sent) {
            around.database.record_sent(sent, around.now);
        }
        for (stream, record) in std::mem::take(&mut self.heard) {
            let facts = around.database.history.len();
            around.database.record_report(&record, around.now);
            if around.bug == Some(Bug::ForgetsTheHistory) {
                around.database.history.truncate(facts);
            }
            if let Some(answered) = record.answered {
                effects.say.push((stream, ToAgent::ReportAck(answered.offer)));
            }
        }
        for (gateway, seen) in std::mem::take(&mut self.presence) {
            around.database.record_presence(gateway, seen);
        }
        effects
    }

    /// Loads the open rollout and decides; the decision is written another time.
    pub(crate) fn look(&mut self, database: &Database, now: Timestamp) -> bool {
        self.decided = None;
        if !self.away
            && let Some(input) = database.load_open(now)
        {
            self.decided = step(&input.snapshot, now).decision.map(|decision| (input, decision));
        }
        self.decided.is_some()
    }

    /// Writes the decision, unless somebody took a step meanwhile.
    pub(crate) fn apply(&mut self, around: &mut Around<'_>) -> Option<Decision> {
        if self.away {
            return None;
        }
        let (input, decision) = self.decided.take()?;
        around.database.step(&input, &decision, around.now, around.bug).then_some(decision)
    }

    fn open(
        &mut self,
        stream: StreamId,
        gateway: GatewayId,
        hello: Hello,
        around: &mut Around<'_>,
        effects: &mut Effects,
    ) {
        let now = around.now;
        let ours = hello.lineage == Some(around.database.lineage);
        let seen =
            if ours && around.bug != Some(Bug::ForgetsWhatWasSeen) { hello.seen } else { Seen::default() };
        let attached = if self.away {
            None
        } else {
            around.database.attach(gateway, hello.boot, hello.counter, &seen, now)
        };
        let Some(attached) = attached else {
            effects.close.push(stream);
            return;
        };
        let others = self.sessions.iter().filter(|(_, session)| session.gateway == gateway);
        let others: Vec<(StreamId, bool)> =
            others.map(|(id, held)| (*id, held.boot == hello.boot && held.counter > hello.counter)).collect();
        if others.iter().any(|(_, newer)| *newer) {
            effects.close.push(stream);
            return;
        }
        for (older, _) in others {
            self.sessions.remove(&older);
            effects.close.push(older);
        }
        let lineage = around.database.lineage;
        let held = hello.running.map(|running| running.held);
        let id = SessionId(around.id());
        let delivery = Delivery::open(Opening {
            lineage,
            agent_lineage: hello.lineage,
            active: held,
            staged: hello.staged,
            boot: hello.boot,
            agent_version: AGENT_VERSION.to_owned(),
            refusal: attached.refusal,
        });
        let (boot, counter) = (hello.boot, hello.counter);
        let session =
            Session { id, gateway, boot, counter, delivery, cell: attached.desired, last_heard: now };
        let told = session.delivery.held().is_some() && session.delivery.held() != attached.observed;
        self.sessions.insert(stream, session);
        effects.say.push((stream, ToAgent::Welcome { session: id, lineage }));
        self.seen(stream, now);
        if let Some(report) = hello.unconfirmed {
            self.record(stream, report);
        }
        if told {
            self.heard.push((stream, self.sessions[&stream].record(None, hello.running)));
        }
    }

    fn on_report(&mut self, stream: StreamId, report: Report, around: &Around<'_>) {
        let session = self.sessions.get_mut(&stream).unwrap();
        if report.lineage == session.delivery.lineage() {
            let acked = matches!(report.acknowledgement, Acknowledgement::Ack { .. });
            let held = report.running.map(|running| running.held);
            session.delivery.on_acknowledgement(report.offer, report.generation, acked, held);
            if !acked && around.bug == Some(Bug::ReoffersTheRefused) {
                session.forget_refusals();
            }
        }
        self.record(stream, report);
    }

    fn on_heartbeat(&mut self, stream: StreamId, id: SessionId, running: Option<Running>) {
        let session = self.sessions.get_mut(&stream).unwrap();
        if session.id != id {
            return;
        }
        let held = running.map(|running| running.held);
        if held.is_some() && held != session.delivery.held() {
            self.heard.push((stream, session.record(None, running)));
        }
        session.delivery.on_observed(held);
    }

    /// Of another lineage a report means nothing here; it is confirmed all the same.
    fn record(&mut self, stream: StreamId, report: Report) {
        let answered = Answered {
            offer: report.offer,
            generation: report.generation,
            digest: report.digest,
            acknowledgement: report.acknowledgement,
            ago: report.ago,
        };
        let mut record = self.sessions[&stream].record(Some(answered), report.running);
        record.lineage = report.lineage;
        self.heard.push((stream, record));
    }

    fn offer(&mut self, stream: StreamId, around: &mut Around<'_>, effects: &mut Effects) {
        let Some(session) = self.sessions.get_mut(&stream) else { return };
        let id = OfferId(around.id());
        let deadline = around.now.plus(OFFER_DEADLINE);
        let Some(next) = session.delivery.next_offer(session.cell, id, deadline) else { return };
        let generation = next.desired.generation;
        self.sent.push(Sent { gateway: session.gateway, generation });
        let intent = Intent::Activate { lineage: session.delivery.lineage(), generation };
        let digest = next.desired.digest;
        let offer = Offer { id: next.id, digest, intent };
        let said = ToAgent::Offer { session: session.id, offer, parcel_follows: next.with_parcel };
        effects.say.push((stream, said));
        if next.with_parcel {
            effects.say.push((stream, ToAgent::Parcel(digest)));
        }
    }

    fn seen(&mut self, stream: StreamId, now: Timestamp) {
        let session = self.sessions.get_mut(&stream).unwrap();
        session.last_heard = now;
        self.presence.insert(session.gateway, session.presence(now, true));
    }

    fn close(&mut self, stream: StreamId, now: Timestamp, effects: &mut Effects) {
        effects.close.push(stream);
        if let Some(session) = self.sessions.remove(&stream) {
            self.presence.insert(session.gateway, session.presence(now, false));
        }
    }
}

// === impl Session ===

impl Session {
    fn fill(&mut self, version: DesiredVersion) {
        if self.cell.is_none_or(|held| held.generation < version.generation) {
            self.cell = Some(version);
        }
    }

    const fn presence(&self, at: Timestamp, attached: bool) -> Presence {
        Presence { boot: self.boot, counter: self.counter, at, attached }
    }

    fn record(&self, answered: Option<Answered>, running: Option<Running>) -> Record {
        Record {
            gateway: self.gateway,
            boot: self.boot,
            counter: self.counter,
            lineage: self.delivery.lineage(),
            answered,
            running,
        }
    }

    /// The planted bug.
    fn forget_refusals(&mut self) {
        let lineage = self.delivery.lineage();
        self.delivery = Delivery::open(Opening {
            lineage,
            agent_lineage: Some(lineage),
            active: self.delivery.held(),
            staged: Vec::new(),
            boot: self.boot,
            agent_version: AGENT_VERSION.to_owned(),
            refusal: None,
        });
    }
}
