//! A world by its seed: which event comes next, and nothing else, is left to chance.

use std::time::Duration;

use fastrand::Rng;
use fleet_core::rollout::RolloutStrategy;
use fleet_core::version::Revision;

use crate::agent::{DiesAt, Pack};
use crate::bugs::Bug;
use crate::invariants::Violation;
use crate::world::{AgentEvent as Of, Event, PlaneEvent as At, StreamEvent as On, World};

/// A world that broke an invariant, with the end of its transcript.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) seed: u64,
    pub(crate) violation: Violation,
    pub(crate) transcript: String,
}

const FAULTY_EVENTS: u32 = 500;
const TRANSCRIPT: usize = 40;

/// Runs the world of this seed to its end; answers how many events it had.
pub(crate) fn run(seed: u64, bug: Option<Bug>) -> Result<u64, Broken> {
    let mut rng = Rng::with_seed(seed);
    let bake = Duration::from_secs(rng.u64(0..20));
    let deadline = Duration::from_secs(rng.u64(20..90));
    let strategy = RolloutStrategy::new(Some(bake), Some(deadline)).unwrap();
    let mut world = World::new(rng.usize(1..5), strategy, bug);
    let ran = live(&mut world, &mut rng);
    ran.map(|()| world.events).map_err(|violation| {
        let from = world.log.len().saturating_sub(TRANSCRIPT);
        Broken { seed, violation, transcript: world.log[from..].join("\n") }
    })
}

fn live(world: &mut World, rng: &mut Rng) -> Result<(), Violation> {
    for _ in 0..FAULTY_EVENTS {
        let event = next(world, rng);
        world.happen(event)?;
        for agent in 0..world.agents.len() {
            world.give_up_waiting(agent);
        }
    }
    world.settle()
}

fn next(world: &World, rng: &mut Rng) -> Event {
    let agent = rng.usize(0..world.agents.len());
    let plane = rng.usize(0..world.planes.len());
    let streams: Vec<u64> = world.network.streams.keys().copied().collect();
    match rng.u32(0..1000) {
        0..420 if !streams.is_empty() => {
            let stream = streams[rng.usize(0..streams.len())];
            Event::On(stream, if rng.bool() { On::ToPlane } else { On::ToAgent })
        }
        420..440 if !streams.is_empty() => Event::On(streams[rng.usize(0..streams.len())], hurt(rng)),
        0..540 => Event::At(plane, At::Write),
        540..600 => Event::At(plane, At::Poll),
        600..650 => Event::At(plane, At::Look),
        650..700 => Event::At(plane, At::Apply),
        700..715 => Event::At(plane, At::Expire),
        715..765 => Event::Of(agent, Of::Speak),
        765..785 => Event::Of(agent, Of::Beat),
        785..835 => Event::Of(agent, Of::Dial(plane)),
        835..860 => Event::Pass(Duration::from_millis(rng.u64(1..1500))),
        860..864 => Event::Pass(Duration::from_secs(rng.u64(1..40))),
        864..884 => Event::Push(pack(world, rng)),
        884..892 if world.database.revisions() > 0 => {
            Event::RollOut(Revision(rng.u64(1..=world.database.revisions())))
        }
        884..896 => Event::At(plane, At::Start),
        896..898 => Event::At(plane, At::Stop),
        898..902 => Event::At(plane, At::Away(rng.u8(0..3) == 0)),
        902..925 => Event::Of(agent, Of::Start),
        925..932 => Event::Of(agent, Of::Stop),
        932..933 => Event::Of(agent, Of::LoseDisk),
        933..940 => Event::Of(agent, Of::HangUp),
        940..952 => Event::Of(agent, Of::Cut(rng.u8(0..4) == 0)),
        952..964 => Event::Of(agent, Of::Freeze(rng.u8(0..4) == 0)),
        964..972 => Event::Of(agent, Of::FillDisk(rng.u8(0..4) == 0)),
        972..974 if world.agents[agent].process.is_none() => Event::Of(agent, Of::GiveSecret),
        974..984 => Event::Of(agent, Of::DieNext(death(rng))),
        984..990 => Event::Backup,
        990..992 if !world.backups.is_empty() => {
            let which = rng.usize(0..world.backups.len());
            if rng.bool() { Event::Restore(which) } else { Event::RestoreAnew(which) }
        }
        _ => Event::Pass(Duration::from_millis(100)),
    }
}

fn hurt(rng: &mut Rng) -> On {
    match rng.u8(0..4) {
        0 => On::LoseToPlane,
        1 => On::LoseToAgent,
        2 => On::ToPlaneAgain(rng.usize(0..12)),
        _ => On::ToAgentAgain(rng.usize(0..12)),
    }
}

fn death(rng: &mut Rng) -> DiesAt {
    match rng.u8(0..3) {
        0 => DiesAt::BeforeKeep,
        1 => DiesAt::BetweenKeepAndSwap,
        _ => DiesAt::AfterSwap,
    }
}

/// Half of them good for all.
fn pack(world: &World, rng: &mut Rng) -> Pack {
    let gateways = 0..world.agents.len();
    let name = format!("p{}", world.packs.len() + 1);
    let (refused_by, needs_secret) = match rng.u8(0..8) {
        0 => (gateways.collect(), false),
        1 | 2 => (vec![rng.usize(gateways)], false),
        3 => (Vec::new(), true),
        _ => (Vec::new(), false),
    };
    Pack { name, refused_by, needs_secret }
}
