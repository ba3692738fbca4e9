//! Reverts by table, and over any past that a gateway may have had.

use fastrand::Rng;
use fleet_core::ids::Lineage;
use fleet_core::version::Generation;
use time::OffsetDateTime;

use super::*;
use crate::activation::record::{Desired, KeptPack};

fn digest(number: u32) -> ConfigDigest {
    ConfigDigest::of(&number.to_le_bytes())
}

fn now() -> Moment {
    Moment::stored(OffsetDateTime::UNIX_EPOCH)
}

fn local(number: u32) -> KeptPack {
    KeptPack {
        digest: digest(number),
        version: format!("0.{number}.0").parse().unwrap(),
        assigned: Some((Lineage::LOCAL, Generation(1))),
        since: now(),
        proved: false,
        crashed: false,
    }
}

/// What can happen to a gateway with a file as its source.
#[derive(Debug, Clone, Copy)]
enum Step {
    Load(u32),
    /// A load that some stage refuses.
    Fail(u32),
    Revert,
    /// Killed, and started again.
    Crash,
    /// Stopped, and started again.
    Restart,
    Prove,
}
use Step::{Crash, Fail, Load, Prove, Restart, Revert};

/// Carries out a step as the Activator does; a revert answers what it decided.
fn take(record: &mut Record, step: Step) -> Option<WayBack> {
    match step {
        Load(number) if record.active == Some(digest(number)) => {
            record.welcome(digest(number));
            record.wants_what_runs(now());
        }
        Load(number) => {
            record.activated(local(number));
            record.prune();
        }
        Fail(number) => {
            record.wants(Desired { digest: digest(number), version: None, generation: None, since: now() });
        }
        Revert => {
            let way = WayBack::of(record);
            match &way {
                WayBack::GiveUp { digest, version } => record.give_up(*digest, version.clone(), now()),
                WayBack::To(digest) => {
                    let left = record.active_pack().cloned();
                    let target = record.pack(*digest).expect("a pack that is known").clone();
                    record.activated(KeptPack { proved: false, crashed: false, ..target });
                    if let Some(left) = left {
                        record.withdraw(left.digest, Some(left.version), Why::Reverted);
                    }
                    record.prune();
                }
                WayBack::Nowhere => {}
            }
            return Some(way);
        }
        Crash | Restart => {
            if let Some(trial) = &mut record.trial {
                trial.running = matches!(step, Crash);
            }
            record.judge_last_end();
            record.active = record.start_order().first().copied();
            record.on_trial();
        }
        Prove => {
            let active = record.active;
            for pack in record.kept.iter_mut().filter(|pack| Some(pack.digest) == active) {
                (pack.proved, pack.crashed) = (true, false);
            }
            record.trial = None;
        }
    }
    None
}

/// What happened, where each revert after it leads (0: given up, none: nowhere), and what runs in the end.
type Case = (&'static [Step], &'static [Option<u32>], Option<u32>);

#[test]
fn where_a_revert_leads() {
    let table: &[Case] = &[
        (&[], &[None], None),
        (&[Load(1)], &[None], Some(1)),
        (&[Load(1), Load(2)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Load(3)], &[Some(2), Some(1), None], Some(1)),
        // A pack that was left is no target until it is loaded again.
        (&[Load(1), Load(2), Revert, Load(3)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Revert, Load(2)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Revert, Load(2), Load(3)], &[Some(2), Some(1), None], Some(1)),
        (&[Load(1), Load(2), Load(1)], &[Some(2), None], Some(2)),
        // A failed load is given up first; nothing is swapped.
        (&[Load(1), Load(2), Fail(3)], &[Some(0), Some(1), None], Some(1)),
        (&[Fail(3)], &[Some(0), None], None),
        (&[Load(1), Load(2), Fail(3), Load(2)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Fail(1)], &[Some(0), None], Some(2)),
        // A pack that ended the gateway is not good until it proves itself, and the last resort; one that did so
        // twice is left.
        (&[Load(1), Crash, Load(2)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Crash, Load(3)], &[Some(1), Some(2), None], Some(2)),
        (&[Load(1), Crash, Prove, Load(2)], &[Some(1), None], Some(1)),
        (&[Load(1), Load(2), Crash, Crash], &[Some(0), None], Some(1)),
        (&[Load(1), Load(2), Load(3), Crash, Crash], &[Some(0), Some(1), None], Some(1)),
        (&[Load(1), Load(2), Restart, Restart, Restart], &[Some(1), None], Some(1)),
    ];
    for (past, reverts, runs) in table {
        let mut record = Record::default();
        for step in *past {
            take(&mut record, *step);
        }
        for expected in *reverts {
            let led = match take(&mut record, Revert).unwrap() {
                WayBack::GiveUp { .. } => Some(0),
                WayBack::To(to) => (1..9).find(|number| digest(*number) == to),
                WayBack::Nowhere => None,
            };
            assert_eq!(led, *expected, "{past:?}");
        }
        assert_eq!(record.active, runs.map(digest), "{past:?}");
    }
}

#[test]
fn what_runs_no_more_where_the_disk_lost_it_is_below_of_nothing() {
    let mut record = Record::default();
    take(&mut record, Load(1));
    take(&mut record, Load(2));
    record.active = None;
    record.desired = None;
    assert_eq!(WayBack::of(&record), WayBack::To(digest(2)));
}

#[test]
fn no_past_leads_to_a_withdrawn_or_unknown_pack_and_every_way_back_ends() {
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let mut met = [0; 4];
    for round in 0..400 {
        let mut record = Record::default();
        let mut past = Vec::new();
        let mut given = Vec::new();
        for _ in 0..rng.usize(1..60) {
            let number = rng.u32(1..16);
            let step = match rng.u32(0..16) {
                0..6 => Load(number),
                6..8 => Fail(number),
                8..11 => Revert,
                11..13 => Crash,
                13..15 => Restart,
                _ => Prove,
            };
            past.push(step);
            let before = record.clone();
            let way = take(&mut record, step);
            let told = || format!("seed {seed}, round {round}: {past:?}");
            match way {
                Some(WayBack::To(to)) => {
                    met[0] += 1;
                    assert!(!before.is_withdrawn(to), "a withdrawn pack: {}", told());
                    assert!(given.contains(&to), "an unknown pack: {}", told());
                    let good_elsewhere = before.good().any(|good| Some(good.digest) != before.active);
                    let is_good = before.pack(to).unwrap().is_good();
                    assert!(is_good || !good_elsewhere, "not a good pack, though there is one: {}", told());
                    assert!(before.active.is_none_or(|left| record.is_withdrawn(left)), "{}", told());
                    assert_eq!(record.active, Some(to), "{}", told());
                }
                Some(WayBack::GiveUp { digest, .. }) => {
                    met[1] += 1;
                    assert_eq!(record.active, before.active, "nothing is swapped: {}", told());
                    assert!(record.is_withdrawn(digest), "{}", told());
                }
                Some(WayBack::Nowhere) => met[2] += 1,
                None => {}
            }
            if let (Crash | Restart, Some(active)) = (step, record.active) {
                let why = record.why_withdrawn(active);
                assert_ne!(why, Some(Why::Reverted), "a start brought it back: {}", told());
                let other = record.good().next().is_some();
                assert!(why.is_none() || !other, "a start took a crashing pack over a good one: {}", told());
                met[3] += usize::from(before.active != record.active);
            }
            if let Load(number) = step {
                given.push(digest(number));
                assert!(!record.is_withdrawn(digest(number)), "what is loaded is a target again: {}", told());
                assert_eq!(record.active, Some(digest(number)), "{}", told());
            }
            assert!(record.active.is_none_or(|active| record.pack(active).is_some()), "{}", told());
            assert!(record.good().count() <= 11 && record.kept.len() <= 16, "{}", told());
            assert!(record.withdrawn.len() <= 32, "{}", told());
        }
        let most = record.kept.len() + 2;
        let reverts = (0..).take_while(|_| take(&mut record, Revert) != Some(WayBack::Nowhere)).take(most);
        assert!(reverts.count() < most, "it does not end: seed {seed}, round {round}: {past:?}");
    }
    assert!(met.iter().all(|count| *count > 50), "too little was met: {met:?}");
}
