//! Steps by table: the counts and the time decide, nothing else.

use super::*;

const START: Timestamp = Timestamp::from_micros(0);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn advancing(counts: Counts) -> Snapshot {
    Snapshot {
        state: RolloutState::Advancing,
        strategy: RolloutStrategy::DEFAULT,
        started_at: START,
        first_failure_at: None,
        bake_since: None,
        reverting_since: None,
        counts,
        back: Counts::default(),
        revertible: counts.total(),
    }
}

fn counts(pending: u32, active: u32, rejected: u32, offline: u32) -> Counts {
    Counts { pending, active, rejected, offline, ..Counts::default() }
}

#[test]
fn a_planned_rollout_starts() {
    let planned = Snapshot { state: RolloutState::Planned, ..advancing(counts(3, 0, 0, 0)) };
    assert_eq!(step(&planned, START).decision, Some(Decision::Start));
}

#[test]
fn the_happy_path_waits_bakes_and_succeeds() {
    let waiting = step(&advancing(counts(2, 1, 0, 0)), at(1));
    assert_eq!(waiting.decision, None);
    assert_eq!(waiting.look_again, Some(at(600)));
    assert_eq!(step(&advancing(counts(0, 3, 0, 0)), at(2)).decision, Some(Decision::OpenBake));
    let baking = Snapshot { bake_since: Some(at(2)), ..advancing(counts(0, 3, 0, 0)) };
    assert_eq!(step(&baking, at(31)).decision, None);
    assert_eq!(step(&baking, at(31)).look_again, Some(at(32)));
    assert_eq!(step(&baking, at(32)).decision, Some(Decision::Succeed));
}

#[test]
fn offline_gateways_hold_nobody_up() {
    assert_eq!(step(&advancing(counts(0, 2, 0, 5)), at(1)).decision, Some(Decision::OpenBake));
}

#[test]
fn nobody_online_is_no_success() {
    assert_eq!(step(&advancing(counts(0, 0, 0, 3)), at(599)).decision, None);
    let Some(Decision::End { state, reason }) = step(&advancing(counts(0, 0, 0, 3)), at(600)).decision else {
        panic!("it ends")
    };
    assert_eq!(state, RolloutState::Halted);
    assert_eq!(reason, "no gateway came online before the deadline");
}

#[test]
fn an_empty_fleet_is_done_at_once() {
    assert_eq!(step(&advancing(Counts::default()), START).decision, Some(Decision::Succeed));
}

#[test]
fn a_refusal_reverts_once_the_others_answered_or_a_second_passed() {
    let first = Snapshot { first_failure_at: Some(at(5)), ..advancing(counts(1, 1, 1, 0)) };
    let waiting = step(&first, at(5));
    assert_eq!((waiting.decision, waiting.look_again), (None, Some(at(6))));
    let reason = "1 of 3 gateways refused it".to_owned();
    assert_eq!(step(&first, at(6)).decision, Some(Decision::Revert { reason: reason.clone() }));
    let all = Snapshot { first_failure_at: Some(at(5)), ..advancing(counts(0, 2, 1, 0)) };
    assert_eq!(step(&all, at(5)).decision, Some(Decision::Revert { reason }));
}

#[test]
fn a_breach_with_nothing_to_go_back_to_ends() {
    let kept = Snapshot { revertible: 0, ..advancing(counts(0, 2, 1, 0)) };
    assert!(matches!(step(&kept, at(5)).decision, Some(Decision::End { state: RolloutState::Halted, .. })));
    let nobody = Snapshot { revertible: 0, ..advancing(counts(0, 0, 3, 0)) };
    assert!(matches!(
        step(&nobody, at(5)).decision,
        Some(Decision::End { state: RolloutState::Reverted, .. })
    ));
}

#[test]
fn the_deadline_is_a_breach() {
    let late = step(&advancing(counts(1, 2, 0, 0)), at(600));
    assert_eq!(
        late.decision,
        Some(Decision::Revert { reason: "1 gateway not active before the deadline".into() })
    );
}

#[test]
fn who_comes_online_in_the_bake_is_no_breach() {
    let strategy = RolloutStrategy { bake: Duration::from_secs(900), ..RolloutStrategy::DEFAULT };
    let late = Snapshot { strategy, bake_since: Some(at(5)), ..advancing(counts(1, 2, 0, 0)) };
    assert_eq!(step(&late, at(599)).decision, None);
    assert_eq!(step(&late, at(601)).decision, None);
    assert_eq!(step(&late, at(601)).look_again, Some(at(905)));
    assert_eq!(step(&late, at(905)).decision, Some(Decision::Succeed));
    let refused = Snapshot { first_failure_at: Some(at(601)), counts: counts(0, 2, 1, 0), ..late };
    assert!(matches!(step(&refused, at(602)).decision, Some(Decision::Revert { .. })));
}

#[test]
fn a_revert_ends_when_everybody_reachable_is_back() {
    let reverting = |back: Counts, active: u32| Snapshot {
        state: RolloutState::Reverting,
        reverting_since: Some(at(10)),
        back,
        ..advancing(counts(0, active, 1, 0))
    };
    assert_eq!(step(&reverting(counts(1, 1, 0, 0), 1), at(11)).decision, None);
    let done = Some(Decision::End { state: RolloutState::Reverted, reason: String::new() });
    assert_eq!(step(&reverting(counts(0, 3, 0, 0), 0), at(11)).decision, done);
    let kept = Some(Decision::End { state: RolloutState::Halted, reason: String::new() });
    assert_eq!(step(&reverting(counts(0, 2, 0, 1), 1), at(11)).decision, kept);
    assert_eq!(step(&reverting(counts(1, 1, 0, 0), 1), at(610)).decision, kept);
}

#[test]
fn an_end_stays() {
    for state in
        [RolloutState::Succeeded, RolloutState::Halted, RolloutState::Reverted, RolloutState::Aborted]
    {
        let ended = Snapshot { state, ..advancing(counts(1, 1, 1, 1)) };
        assert_eq!(step(&ended, at(9_999)).decision, None);
    }
}
