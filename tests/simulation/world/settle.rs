//! What happens by itself: messages arrive, timers fire, until nothing is left to do; and the end of all faults.

use std::time::Duration;

use super::{AgentEvent as Of, Event, PlaneEvent as At, StreamEvent as On, World, gateway_id};
use crate::invariants::Violation;
use crate::network::StreamId;

/// More messages than this without time passing never end.
const MOST_ROUNDS: u32 = 300;
/// Rollouts of the simulation have shorter deadlines than this.
const MOST_SECONDS: u32 = 400;

// === impl World ===

impl World {
    /// Lets everything happen that can without time passing.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.deliver_all()?;
            for plane in 0..self.planes.len() {
                let wrote = self.planes[plane].has_to_write() && !self.planes[plane].away;
                let before = self.database.history.len();
                for event in [At::Write, At::Expire, At::Look, At::Apply, At::Poll] {
                    self.happen(Event::At(plane, event))?;
                }
                moved |= wrote || before != self.database.history.len();
            }
            for agent in 0..self.agents.len() {
                self.give_up_waiting(agent);
                self.happen(Event::Of(agent, Of::Speak))?;
                let plane = usize::from(!self.planes[0].is_up || (agent % 2 == 1 && self.planes[1].is_up));
                self.happen(Event::Of(agent, Of::Dial(plane)))?;
            }
            if !moved && !self.has_messages() {
                return Ok(());
            }
        }
        Err(Violation::new(5, "the messages never end".to_owned()))
    }

    /// A second passes, with the heartbeats that belong to it.
    pub(crate) fn wait(&mut self, seconds: u32) -> Result<(), Violation> {
        for second in 0..seconds {
            self.happen(Event::Pass(Duration::from_secs(1)))?;
            if second % 5 == 4 {
                for agent in 0..self.agents.len() {
                    self.happen(Event::Of(agent, Of::Beat))?;
                }
            }
            self.run()?;
        }
        Ok(())
    }

    /// Ends every fault, gives it time, and holds the fleet to what it should run by then.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        self.say("all faults end".to_owned());
        for plane in 0..self.planes.len() {
            self.happen(Event::At(plane, At::Away(false)))?;
            self.happen(Event::At(plane, At::Start))?;
        }
        for agent in 0..self.agents.len() {
            self.agents[agent].dies = None;
            // Who refused for want of room is started again once there is some.
            let faults = [Of::Cut(false), Of::Freeze(false), Of::FillDisk(false), Of::Stop, Of::Start];
            for event in faults {
                self.happen(Event::Of(agent, event))?;
            }
        }
        // The rest: all that waits for silence to pass has seen it by then.
        let (mut rest, mut waited) = (20, 0);
        while rest > 0 {
            self.wait(1)?;
            waited += 1;
            if waited > MOST_SECONDS {
                return Err(Violation::new(5, format!("no rest after {waited} s: {}", self.unrest())));
            }
            rest = if self.unrest().is_empty() { rest - 1 } else { 20 };
        }
        Ok(())
    }

    fn deliver_all(&mut self) -> Result<bool, Violation> {
        let mut moved = false;
        let streams: Vec<StreamId> = self.network.streams.keys().copied().collect();
        for stream in streams {
            moved |= self.network.streams.get(&stream).is_some_and(|lanes| self.passes(lanes));
            self.happen(Event::On(stream, On::ToPlane))?;
            self.happen(Event::On(stream, On::ToAgent))?;
        }
        Ok(moved)
    }

    fn has_messages(&self) -> bool {
        self.network.streams.values().any(|stream| self.passes(stream))
    }

    fn passes(&self, stream: &crate::network::Stream) -> bool {
        let agent = &self.agents[stream.agent];
        !agent.cut && (stream.to_plane.has_some() || (!agent.frozen && stream.to_agent.has_some()))
    }

    /// What is not as it should be in the end; empty when all is.
    fn unrest(&self) -> String {
        if let Some(open) = self.database.open_rollout() {
            return format!("a rollout is {}", self.database.rollouts[open].state);
        }
        let gateways = (0..self.agents.len()).filter_map(|agent| self.unexplained(agent));
        gateways.collect::<Vec<_>>().join("; ")
    }

    /// Desired is observed and true, or the answer of the gateway names why not.
    fn unexplained(&self, agent: usize) -> Option<String> {
        let gateway = gateway_id(agent);
        let name = format!("g{}", agent + 1);
        let Some(row) = self.database.desired.get(&gateway) else {
            let told = self.database.stable.is_some();
            return told.then(|| format!("{name} was never told anything"));
        };
        let (observed, runs) = (self.database.gateways[&gateway].observed, self.agents[agent].runs());
        let held = runs.map(|(_, held)| held);
        let wanted = (row.version.generation, row.version.digest);
        if observed == held && held.is_some_and(|held| (held.generation, held.digest) == wanted) {
            return None;
        }
        let told = self.database.newest(gateway)?;
        let refused = match told.state {
            fleet_core::activation::ActivationState::Rejected(stage) => {
                self.agents[agent].refuses(&self.packs, told.version.digest) == Some(stage)
                    && !told.reason.is_empty()
            }
            _ => false,
        };
        let generation = row.version.generation;
        (!refused).then(|| {
            format!(
                "{name} should run generation {generation} ({:?}: {}), says {observed:?} and runs {held:?}",
                told.state, told.reason
            )
        })
    }
}
