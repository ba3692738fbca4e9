//! Scenarios as text: a command a line, and the transcript beside it. `UPDATE_SCENARIOS=1` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fleet_core::rollout::RolloutStrategy;
use fleet_core::version::Revision;

use crate::agent::{DiesAt, Pack};
use crate::invariants::Violation;
use crate::world::{AgentEvent as Of, Event, PlaneEvent as At, World, gateway_id};

/// Runs every scenario and compares what it says with what it said.
pub(crate) fn check_all() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulation/scenarios");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    scripts.sort();
    assert!(scripts.len() >= 6, "the scenarios are gone");
    let mut changed = Vec::new();
    for path in scripts {
        let said = play(&fs::read_to_string(&path).unwrap());
        let out = path.with_extension("out");
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            fs::write(&out, &said).unwrap();
        } else if fs::read_to_string(&out).unwrap_or_default() != said {
            changed.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(changed.is_empty(), "UPDATE_SCENARIOS=1 writes them anew.\n{}", changed.join("\n"));
}

/// The script with what happened after each of its lines.
fn play(script: &str) -> String {
    let mut world = World::new(3, RolloutStrategy::DEFAULT, None);
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.is_empty()) {
        let comment = line.starts_with('#');
        writeln!(out, "{}{line}", if comment { "" } else { "> " }).unwrap();
        if comment {
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        if let Err(violation) = command(&mut world, &words) {
            panic!("{line}: invariant {}: {}\n{out}", violation.invariant, violation.what);
        }
        for said in world.log.drain(..) {
            writeln!(out, "  {said}").unwrap();
        }
    }
    out
}

fn command(world: &mut World, words: &[&str]) -> Result<(), Violation> {
    let agent = |name: &str| name.trim_start_matches('g').parse::<usize>().unwrap() - 1;
    let plane = |name: &str| usize::from(name == "b");
    let event = match *words {
        ["run"] => return world.run(),
        ["wait", seconds] => return world.wait(seconds.trim_end_matches('s').parse().unwrap()),
        ["settle"] => return world.settle(),
        ["show"] => {
            show(world);
            return Ok(());
        }
        ["push", name] => Event::Push(pack(name, Vec::new(), false)),
        ["push", name, "bad-for", gateway] => Event::Push(pack(name, vec![agent(gateway)], false)),
        ["push", name, "bad"] => Event::Push(pack(name, (0..world.agents.len()).collect(), false)),
        ["push", name, "needs-secret"] => Event::Push(pack(name, Vec::new(), true)),
        ["roll-out", revision] => Event::RollOut(Revision(revision.parse().unwrap())),
        ["backup"] => Event::Backup,
        ["restore", number, "anew"] => Event::RestoreAnew(number.parse::<usize>().unwrap() - 1),
        ["restore", number] => Event::Restore(number.parse::<usize>().unwrap() - 1),
        ["pass", seconds] => Event::Pass(Duration::from_secs(seconds.trim_end_matches('s').parse().unwrap())),
        ["start", "plane", name] => Event::At(plane(name), At::Start),
        ["stop", "plane", name] => Event::At(plane(name), At::Stop),
        ["start", gateway] => Event::Of(agent(gateway), Of::Start),
        ["stop", gateway] => Event::Of(agent(gateway), Of::Stop),
        ["cut", gateway] => Event::Of(agent(gateway), Of::Cut(true)),
        ["heal", gateway] => Event::Of(agent(gateway), Of::Cut(false)),
        ["silence", gateway] => Event::Of(agent(gateway), Of::Freeze(true)),
        ["wake", gateway] => Event::Of(agent(gateway), Of::Freeze(false)),
        ["lose-disk", gateway] => Event::Of(agent(gateway), Of::LoseDisk),
        ["crash", gateway, "before-keep"] => Event::Of(agent(gateway), Of::DieNext(DiesAt::BeforeKeep)),
        ["crash", gateway, "before-swap"] => {
            Event::Of(agent(gateway), Of::DieNext(DiesAt::BetweenKeepAndSwap))
        }
        _ => panic!("no command: {}", words.join(" ")),
    };
    world.happen(event)
}

fn pack(name: &str, refused_by: Vec<usize>, needs_secret: bool) -> Pack {
    Pack { name: name.to_owned(), refused_by, needs_secret }
}

/// One line for the fleet, one for each gateway.
fn show(world: &mut World) {
    let database = &world.database;
    let stable =
        database.stable.map_or("nothing".to_owned(), |stable| format!("revision {}", stable.revision));
    let rollout = database.rollouts.last().map_or("none".to_owned(), |rollout| {
        let reason = if rollout.reason.is_empty() { String::new() } else { format!(": {}", rollout.reason) };
        format!("revision {} {}{reason}", rollout.revision, rollout.state)
    });
    let mut lines = vec![format!("stable {stable}; newest rollout: {rollout}")];
    for agent in &world.agents {
        let runs = agent.runs().map_or("nothing".to_owned(), |(_, held)| {
            format!("{} as generation {}", world.packs[&held.digest].name, held.generation)
        });
        let desired = database.newest(gateway_id(agent.index)).map_or("nothing".to_owned(), |told| {
            let name = &world.packs[&told.version.digest].name;
            format!("{name} as generation {} ({})", told.version.generation, told.state.as_str())
        });
        lines.push(format!("g{} runs {runs}; should run {desired}", agent.index + 1));
    }
    world.log.append(&mut lines);
}
