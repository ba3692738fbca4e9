//! A fleet with its control planes, database and network, moved by one event after the other; the invariants are
//! checked after each.

mod settle;

use std::time::Duration;

use fleet_core::ids::{GatewayId, Lineage};
use fleet_core::rollout::{Decision, RolloutStrategy};
use fleet_core::time::Timestamp;
use fleet_core::version::Revision;
use policy_config::ConfigDigest;
use uuid::Uuid;

use crate::agent::{self, Agent, Died, DiesAt, Pack, Packs};
use crate::bugs::Bug;
use crate::database::Database;
use crate::invariants::{Seen, Violation};
use crate::messages::ToAgent;
use crate::network::{Came, Network, StreamId};
use crate::plane::{self, Effects, Plane};

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) agents: Vec<Agent>,
    pub(crate) planes: Vec<Plane>,
    pub(crate) database: Database,
    pub(crate) network: Network,
    pub(crate) packs: Packs,
    pub(crate) backups: Vec<Database>,
    /// How often one of them became the database.
    pub(crate) restores: u64,
    pub(crate) bug: Option<Bug>,
    pub(crate) events: u64,
    pub(crate) log: Vec<String>,
    strategy: RolloutStrategy,
    seen: Seen,
    next_id: u128,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Push(Pack),
    /// A rollout of a revision that is stored already.
    RollOut(Revision),
    Backup,
    /// The oldest backup but this many becomes the database, with the lineage that it has.
    Restore(usize),
    /// As before, in a new lineage: what an operator does who wants to begin anew.
    RestoreAnew(usize),
    Pass(Duration),
    Of(usize, AgentEvent),
    At(usize, PlaneEvent),
    On(StreamId, StreamEvent),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum AgentEvent {
    Start,
    Stop,
    LoseDisk,
    Dial(usize),
    Speak,
    Beat,
    HangUp,
    Cut(bool),
    Freeze(bool),
    FillDisk(bool),
    GiveSecret,
    DieNext(DiesAt),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum PlaneEvent {
    Start,
    Stop,
    Away(bool),
    Write,
    Poll,
    Look,
    Apply,
    Expire,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum StreamEvent {
    ToPlane,
    ToAgent,
    LoseToPlane,
    LoseToAgent,
    ToPlaneAgain(usize),
    ToAgentAgain(usize),
}

/// An agent that hears of no welcome, or nothing through a cut, for so long looks for another control plane.
const PATIENCE: Duration = Duration::from_secs(20);

// === impl World ===

impl World {
    pub(crate) fn new(agents: usize, strategy: RolloutStrategy, bug: Option<Bug>) -> Self {
        let mut world = Self {
            now: Timestamp::from_micros(1_000_000_000),
            agents: (0..agents).map(Agent::new).collect(),
            planes: (0..2).map(|_| Plane::new(true, false)).collect(),
            database: Database::new(Lineage(Uuid::from_u128(1))),
            network: Network::default(),
            packs: Packs::new(),
            backups: Vec::new(),
            restores: 0,
            bug,
            events: 0,
            log: Vec::new(),
            strategy,
            seen: Seen::default(),
            next_id: 1 << 64,
        };
        world.agents.iter_mut().for_each(Agent::start);
        world
    }

    /// Lets one thing happen and checks every invariant.
    pub(crate) fn happen(&mut self, event: Event) -> Result<(), Violation> {
        self.events += 1;
        self.now = self.now.plus(Duration::from_millis(1));
        match event {
            Event::Push(pack) => self.push(pack),
            Event::RollOut(revision) => {
                self.say(format!("rollout of revision {revision}"));
                self.database.plan(revision, self.strategy, self.now);
            }
            Event::Backup => {
                self.say("backup".to_owned());
                self.backups.push(self.database.clone());
            }
            Event::Restore(which) => self.restore(which, false),
            Event::RestoreAnew(which) => self.restore(which, true),
            Event::Pass(time) => self.now = self.now.plus(time),
            Event::Of(agent, event) => self.of_agent(agent, event),
            Event::At(plane, event) => self.at_plane(plane, event),
            Event::On(stream, event) => self.on_stream(stream, event),
        }
        self.network.forget_over();
        let mut seen = std::mem::take(&mut self.seen);
        let checked = seen.check(self);
        self.seen = seen;
        checked
    }

    pub(crate) fn say(&mut self, line: String) {
        self.log.push(line);
    }

    fn push(&mut self, pack: Pack) {
        let digest = ConfigDigest::of(pack.name.as_bytes());
        let revision = self.database.store(digest);
        self.say(format!("push of {} as revision {revision}", pack.name));
        self.packs.insert(digest, pack);
        self.database.plan(revision, self.strategy, self.now);
    }

    /// Stops both control planes, for they would write what is not so any more.
    fn restore(&mut self, which: usize, anew: bool) {
        let Some(backup) = self.backups.get(which) else { return };
        let mut restored = backup.clone();
        if anew {
            self.next_id += 1;
            restored.lineage = Lineage(Uuid::from_u128(self.next_id));
        }
        self.database = restored;
        self.restores += 1;
        self.say(format!("restored backup {}{}", which + 1, if anew { " in a new lineage" } else { "" }));
        for plane in 0..self.planes.len() {
            let was_up = self.planes[plane].is_up;
            self.stop_plane(plane);
            self.planes[plane].is_up = was_up;
        }
    }

    fn of_agent(&mut self, index: usize, event: AgentEvent) {
        let name = format!("g{}", index + 1);
        match event {
            AgentEvent::Start if self.agents[index].process.is_none() => {
                self.say(format!("{name} starts"));
                self.agents[index].start();
            }
            AgentEvent::Start => {}
            AgentEvent::Stop => self.stop_agent(index, "stops"),
            AgentEvent::LoseDisk => {
                self.stop_agent(index, "loses its disk");
                self.agents[index].lose_disk();
            }
            AgentEvent::Dial(plane) => self.dial(index, plane),
            AgentEvent::Speak | AgentEvent::Beat => {
                let agent = &mut self.agents[index];
                if agent.frozen {
                    return;
                }
                let said = agent.speak(matches!(event, AgentEvent::Beat), self.now, self.bug);
                if let Some(stream) = self.stream_of(index) {
                    self.network.send_to_plane(stream, said);
                }
            }
            AgentEvent::HangUp => self.hang_up(index),
            AgentEvent::Cut(cut) => {
                self.agents[index].cut = cut;
                self.say(format!("{name} is {}", if cut { "cut off" } else { "reachable again" }));
            }
            AgentEvent::Freeze(frozen) => {
                self.agents[index].frozen = frozen;
                self.say(format!("{name} {}", if frozen { "falls silent" } else { "speaks again" }));
            }
            AgentEvent::FillDisk(full) => self.agents[index].disk_is_full = full,
            AgentEvent::GiveSecret => self.agents[index].has_secret = true,
            AgentEvent::DieNext(at) => self.agents[index].dies = Some(at),
        }
    }

    fn dial(&mut self, index: usize, plane: usize) {
        let agent = &self.agents[index];
        let cannot = agent.frozen || agent.cut || !self.planes[plane].is_up || self.planes[plane].away;
        if cannot || agent.process.as_ref().is_none_or(|process| process.link.is_some()) {
            return;
        }
        let gateway = gateway_id(index);
        if !self.database.gateways.contains_key(&gateway) || !agent.enrolled {
            let enrolled = self.database.enroll(gateway, self.now);
            self.agents[index].enrolled = enrolled;
            if !enrolled {
                return;
            }
        }
        let stream = self.network.open(index, plane);
        let hello = self.agents[index].dial(stream, self.now);
        self.network.send_to_plane(stream, hello.into_iter().collect());
    }

    fn stop_agent(&mut self, index: usize, how: &str) {
        if self.agents[index].process.is_some() {
            self.say(format!("g{} {how}", index + 1));
        }
        self.hang_up(index);
        self.agents[index].process = None;
    }

    fn hang_up(&mut self, index: usize) {
        if let Some(stream) = self.stream_of(index) {
            if let Some(stream) = self.network.streams.get_mut(&stream) {
                stream.leave_agent();
            }
            if let Some(process) = self.agents[index].process.as_mut() {
                process.link = None;
            }
        }
    }

    fn stream_of(&self, index: usize) -> Option<StreamId> {
        Some(self.agents[index].process.as_ref()?.link.as_ref()?.stream)
    }

    /// An agent that waits in vain gives its stream up.
    pub(crate) fn give_up_waiting(&mut self, index: usize) {
        let agent = &self.agents[index];
        let link = agent.process.as_ref().and_then(|process| process.link.as_ref());
        let waits = link.is_some_and(|link| {
            (!link.is_welcome() || agent.cut) && self.now.since(link.opened_at) >= PATIENCE
        });
        if waits && !agent.frozen {
            self.hang_up(index);
        }
    }

    fn stop_plane(&mut self, plane: usize) {
        self.planes[plane] = Plane::new(false, self.planes[plane].away);
        for stream in self.network.streams.values_mut().filter(|stream| stream.plane == plane) {
            stream.leave_plane();
        }
    }

    fn at_plane(&mut self, plane: usize, event: PlaneEvent) {
        let name = ['a', 'b'][plane];
        match event {
            PlaneEvent::Start if !self.planes[plane].is_up => {
                self.planes[plane].is_up = true;
                self.say(format!("control plane {name} starts"));
            }
            PlaneEvent::Stop if self.planes[plane].is_up => {
                self.stop_plane(plane);
                self.say(format!("control plane {name} stops"));
            }
            PlaneEvent::Start | PlaneEvent::Stop => {}
            PlaneEvent::Away(away) => self.planes[plane].away = away,
            _ if !self.planes[plane].is_up => {}
            PlaneEvent::Write => self.with_plane(plane, |plane, around| plane.write(around)),
            PlaneEvent::Poll => self.with_plane(plane, |plane, around| plane.poll(around)),
            PlaneEvent::Look => {
                self.planes[plane].look(&self.database, self.now);
            }
            PlaneEvent::Apply => {
                let mut decided = None;
                self.with_plane(plane, |plane, around| {
                    decided = plane.apply(around);
                    Effects::default()
                });
                if let Some(decision) = decided {
                    self.say(format!("control plane {name}: {}", words(&decision)));
                }
            }
            PlaneEvent::Expire if !self.planes[plane].away => self.database.expire(self.now),
            PlaneEvent::Expire => {}
        }
    }

    fn with_plane(&mut self, plane: usize, run: impl FnOnce(&mut Plane, &mut plane::Around<'_>) -> Effects) {
        let mut around = plane::Around {
            now: self.now,
            database: &mut self.database,
            next_id: &mut self.next_id,
            bug: self.bug,
        };
        let effects = run(&mut self.planes[plane], &mut around);
        for (stream, message) in effects.say {
            if let ToAgent::Offer { session, offer, .. } = &message {
                let agent = self.network.streams.get(&stream).map_or(0, |stream| stream.agent);
                let name = &self.packs[&offer.digest].name;
                self.log.push(format!("control plane {} offers {name} to g{}", ['a', 'b'][plane], agent + 1));
                self.seen.offered(*session, offer);
            }
            self.network.send_to_agent(stream, vec![message]);
        }
        for stream in effects.close {
            if let Some(stream) = self.network.streams.get_mut(&stream) {
                stream.leave_plane();
            }
        }
    }

    fn on_stream(&mut self, id: StreamId, event: StreamEvent) {
        let Some(stream) = self.network.streams.get_mut(&id) else { return };
        let (agent, plane) = (stream.agent, stream.plane);
        let lost = |message: &str| format!("a {message} of g{} is lost", agent + 1);
        let again = |message: &str| format!("a {message} of g{} comes again", agent + 1);
        let told = match event {
            StreamEvent::LoseToPlane => stream.to_plane.lose().map(|message| lost(message.name())),
            StreamEvent::LoseToAgent => stream.to_agent.lose().map(|message| lost(message.name())),
            StreamEvent::ToPlaneAgain(which) => {
                stream.to_plane.again(which).map(|message| again(message.name()))
            }
            StreamEvent::ToAgentAgain(which) => {
                stream.to_agent.again(which).map(|message| again(message.name()))
            }
            StreamEvent::ToPlane | StreamEvent::ToAgent if self.agents[agent].cut => return,
            StreamEvent::ToPlane => {
                match stream.to_plane.take() {
                    Some(Came::Message(message)) => self.with_plane(plane, |plane, around| {
                        plane.receive(id, gateway_id(agent), message, around)
                    }),
                    Some(Came::End) => {
                        stream.leave_plane();
                        self.with_plane(plane, |plane, around| plane.on_end(id, around.now));
                    }
                    None => {}
                }
                return;
            }
            StreamEvent::ToAgent => return self.reach_agent(id, agent),
        };
        self.log.extend(told);
    }

    fn reach_agent(&mut self, id: StreamId, agent: usize) {
        if self.agents[agent].frozen {
            return;
        }
        let Some(stream) = self.network.streams.get_mut(&id) else { return };
        match stream.to_agent.take() {
            Some(Came::Message(message)) => {
                let mut around =
                    agent::Around { now: self.now, packs: &self.packs, bug: self.bug, log: &mut self.log };
                if let Err(Died) = self.agents[agent].receive(message, &mut around) {
                    self.stop_agent(agent, "dies");
                }
            }
            Some(Came::End) => {
                stream.leave_agent();
                if self.stream_of(agent) == Some(id) {
                    self.hang_up(agent);
                }
            }
            None => {}
        }
    }
}

pub(crate) fn gateway_id(agent: usize) -> GatewayId {
    GatewayId(Uuid::from_u128(agent as u128 + 1))
}

fn words(decision: &Decision) -> String {
    match decision {
        Decision::Start => "the rollout starts".to_owned(),
        Decision::OpenBake => "the bake begins".to_owned(),
        Decision::Succeed => "the rollout succeeded".to_owned(),
        Decision::Revert { reason } => format!("the rollout goes back: {reason}"),
        Decision::End { state, reason } if reason.is_empty() => format!("the rollout ended: {state}"),
        Decision::End { state, reason } => format!("the rollout ended: {state}: {reason}"),
    }
}
