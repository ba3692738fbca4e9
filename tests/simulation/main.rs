//! The decisions of `fleet-core` on both sides of a small world with faults: by seed, by script, and with planted
//! bugs that the invariants must catch.
#![cfg(test)]

mod agent;
mod bugs;
mod chance;
mod database;
mod invariants;
mod messages;
mod network;
mod plane;
mod script;
mod world;

use chance::Broken;

/// The ordinary run; `KT_SIM_SEEDS=5000` runs so many, `KT_SIM_SEED=17` that one alone.
const SEEDS: u64 = 120;
const LEAST_EVENTS: u64 = 100_000;

fn asked(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

fn fails(broken: &Broken) -> ! {
    let Broken { seed, violation, transcript } = broken;
    let (invariant, what) = (violation.invariant, &violation.what);
    panic!(
        "seed {seed} breaks invariant {invariant}: {what}\nKT_SIM_SEED={seed} runs it alone. Its end:\n{transcript}"
    )
}

#[test]
fn the_invariants_hold_in_every_world() {
    let only = asked("KT_SIM_SEED");
    let seeds = only.map_or(0..asked("KT_SIM_SEEDS").unwrap_or(SEEDS), |seed| seed..seed + 1);
    let mut events = 0;
    for seed in seeds.clone() {
        match chance::run(seed, None) {
            Ok(ran) => events += ran,
            Err(broken) => fails(&broken),
        }
    }
    if seeds == (0..SEEDS) {
        assert!(events >= LEAST_EVENTS, "only {events} events; run more seeds");
    }
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    assert_eq!(chance::run(7, None).ok(), chance::run(7, None).ok());
}

#[test]
fn every_planted_bug_is_caught_by_its_invariant() {
    for (bug, expected) in bugs::ALL {
        let caught = (0..SEEDS * 4).find_map(|seed| chance::run(seed, Some(*bug)).err());
        let broken = caught.unwrap_or_else(|| panic!("{bug:?} was not caught"));
        let found = broken.violation.invariant;
        assert!(expected.contains(&found), "{bug:?}: invariant {found}: {}", broken.violation.what);
    }
}

#[test]
fn scenarios_read_as_they_did() {
    script::check_all();
}
