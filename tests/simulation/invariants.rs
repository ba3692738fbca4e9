//! The six invariants, by the numbers they have in the architecture; checked after every event.

use std::collections::{BTreeMap, BTreeSet};

use fleet_core::activation::ActivationState;
use fleet_core::history::{ActivatedEvent, in_force_at};
use fleet_core::ids::{GatewayId, Lineage, SessionId};
use fleet_core::offer::{Intent, Offer};
use fleet_core::rollout::RolloutState;
use fleet_core::standing::Held;
use fleet_core::version::{DesiredVersion, Generation};
use policy_config::ConfigDigest;

use crate::database::{Direction, Fact};
use crate::world::{World, gateway_id};

/// An invariant that did not hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) invariant: u8,
    pub(crate) what: String,
}

/// What was seen so far, beside the world and out of its reach.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Every assignment that was ever committed, in whatever database.
    assigned: BTreeSet<(Lineage, GatewayId, Generation, ConfigDigest)>,
    /// The same of the database of now, since it was restored last.
    told: BTreeMap<(GatewayId, Generation), ConfigDigest>,
    newest: BTreeMap<GatewayId, Generation>,
    restores: u64,
    /// What ran last from each disk. Whoever followed another lineage in between begins anew in the one before: an agent
    /// remembers one.
    ran: BTreeMap<(usize, u64), (Lineage, Generation)>,
    served: BTreeSet<(usize, u64)>,
    offered: BTreeSet<(SessionId, Generation)>,
    offered_twice: Option<Generation>,
}

// === impl Violation ===

impl Violation {
    pub(crate) const fn new(invariant: u8, what: String) -> Self {
        Self { invariant, what }
    }
}

// === impl Seen ===

impl Seen {
    pub(crate) fn offered(&mut self, session: SessionId, offer: &Offer) {
        if let Intent::Activate { generation, .. } = offer.intent
            && !self.offered.insert((session, generation))
        {
            self.offered_twice = Some(generation);
        }
    }

    pub(crate) fn check(&mut self, world: &World) -> Result<(), Violation> {
        self.generations_grow(world).map_err(|what| Violation::new(1, what))?;
        self.who_served_serves(world).map_err(|what| Violation::new(2, what))?;
        in_motion_is_in_the_wave(world).map_err(|what| Violation::new(3, what))?;
        nobody_runs_what_it_refuses(world).map_err(|what| Violation::new(4, what))?;
        if let Some(generation) = self.offered_twice {
            return Err(Violation::new(
                5,
                format!("generation {generation} was offered twice on one stream"),
            ));
        }
        history_tells_the_rows(world).map_err(|what| Violation::new(6, what))
    }

    /// On the rows, on the disks and in the processes; and what is observed is durable.
    fn generations_grow(&mut self, world: &World) -> Result<(), String> {
        let lineage = world.database.lineage;
        // What a restored database does not know it has told may be told otherwise to whoever has not seen it.
        if self.restores != world.restores {
            self.restores = world.restores;
            self.told.clear();
            self.newest.clear();
        }
        for (gateway, row) in &world.database.desired {
            let DesiredVersion { generation, digest, .. } = row.version;
            let newest = self.newest.entry(*gateway).or_insert(generation);
            if *newest > generation {
                return Err(format!("desired fell from generation {newest} to {generation}"));
            }
            *newest = generation;
            let first = self.told.entry((*gateway, generation)).or_insert(digest);
            if *first != digest {
                return Err(format!("generation {generation} was assigned twice, with other bytes"));
            }
            self.assigned.insert((lineage, *gateway, generation, digest));
        }
        for agent in &world.agents {
            let gateway = gateway_id(agent.index);
            let name = format!("g{}", agent.index + 1);
            if let Some((lineage, held)) = agent.runs() {
                let Held { generation, digest } = held;
                let ran = self.ran.insert((agent.index, agent.disk_number), (lineage, generation));
                if let Some((of, ran)) = ran
                    && of == lineage
                    && ran > generation
                {
                    return Err(format!("{name} ran generation {ran} and runs {generation} now"));
                }
                if !self.assigned.contains(&(lineage, gateway, generation, digest)) {
                    return Err(format!("{name} runs generation {generation}, which nobody assigned"));
                }
            }
            let observed = world.database.gateways.get(&gateway).and_then(|row| row.observed);
            let kept = agent.keeps().filter(|(of, _)| *of == lineage);
            if let (Some(observed), Some((_, kept))) = (observed, kept)
                && kept.generation < observed.generation
                && agent.disk_number == 0
                && world.backups.is_empty()
            {
                let (said, kept) = (observed.generation, kept.generation);
                return Err(format!("{name} said it runs generation {said} and keeps only {kept}"));
            }
        }
        Ok(())
    }

    fn who_served_serves(&mut self, world: &World) -> Result<(), String> {
        for agent in &world.agents {
            let Some(process) = &agent.process else { continue };
            let key = (agent.index, agent.disk_number);
            if process.live.is_some() {
                self.served.insert(key);
            } else if self.served.contains(&key) {
                return Err(format!("g{} served and has no policy now", agent.index + 1));
            }
        }
        Ok(())
    }
}

fn in_motion_is_in_the_wave(world: &World) -> Result<(), String> {
    let database = &world.database;
    let open = database.rollouts.iter().filter(|rollout| !rollout.state.is_end()).count();
    if open > 1 {
        return Err(format!("{open} rollouts are open"));
    }
    for (gateway, row) in &database.desired {
        let activation = &database.activations[&(*gateway, row.version.generation)];
        let Some(rollout) = activation.rollout else {
            if activation.direction != Direction::Placement {
                return Err("a gateway moves for no rollout and no placement".to_owned());
            }
            continue;
        };
        let rollout = &database.rollouts[rollout];
        let generation = row.version.generation;
        let in_wave = rollout.members.iter().any(|member| {
            member.gateway == *gateway
                && match activation.direction {
                    Direction::Forward => member.generation == generation,
                    Direction::Back => member.back == Some(generation),
                    Direction::Placement => false,
                }
        });
        let moves = matches!(activation.state, ActivationState::Assigned | ActivationState::Offered);
        if !in_wave || (moves && rollout.state == RolloutState::Planned) {
            return Err(format!("generation {generation} moves a gateway that is not in the open wave"));
        }
    }
    Ok(())
}

fn nobody_runs_what_it_refuses(world: &World) -> Result<(), String> {
    for agent in &world.agents {
        if let Some((_, held)) = agent.runs()
            && let Some(stage) = agent.refuses(&world.packs, held.digest)
        {
            let name = &world.packs[&held.digest].name;
            return Err(format!("g{} runs {name}, which its stage {stage} refuses", agent.index + 1));
        }
    }
    Ok(())
}

fn history_tells_the_rows(world: &World) -> Result<(), String> {
    let database = &world.database;
    let mut desired: BTreeMap<GatewayId, DesiredVersion> = BTreeMap::new();
    let mut activated: Vec<ActivatedEvent> = Vec::new();
    for fact in &database.history {
        match fact {
            Fact::Assigned { gateway, version } => {
                desired.insert(*gateway, *version);
            }
            Fact::Activated(event) => activated.push(*event),
            Fact::Other => {}
        }
    }
    for (gateway, row) in &database.desired {
        if desired.get(gateway) != Some(&row.version) {
            return Err("the history replayed gives another desired version".to_owned());
        }
        // Between an answer and its record the two may differ; where the row says that it runs, the history does.
        let observed = database.gateways[gateway].observed;
        let runs = matches!(
            database.newest(*gateway).map(|row| row.state),
            Some(ActivationState::Active | ActivationState::Proven)
        );
        let is_desired = observed.is_some_and(|held| held.generation == row.version.generation);
        let told = in_force_at(&activated, *gateway, world.now).map(|event| event.digest);
        if runs && is_desired && told != observed.map(|held| held.digest) {
            return Err(format!(
                "the history replayed gives another observed version of gateway {}: {told:?}",
                gateway.0.as_u128()
            ));
        }
    }
    Ok(())
}
