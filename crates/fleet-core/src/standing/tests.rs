//! The table of `Standing::judge`, row by row.

use uuid::Uuid;

use super::*;
use crate::ids::OfferId;

const BOOT: BootId = BootId(Uuid::from_u128(1));
const LATER_BOOT: BootId = BootId(Uuid::from_u128(2));
const LINEAGE: Lineage = Lineage(Uuid::from_u128(3));
const RESTORED: Lineage = Lineage(Uuid::from_u128(4));

fn digest(name: &str) -> ConfigDigest {
    ConfigDigest::of(name.as_bytes())
}

fn offer(lineage: Lineage, generation: u64, name: &str) -> Offer {
    Offer {
        id: OfferId(Uuid::from_u128(9)),
        digest: digest(name),
        intent: Intent::Activate { lineage, generation: Generation(generation) },
    }
}

fn runs(generation: u64, name: &str) -> Standing {
    Standing {
        lineage: Some(LINEAGE),
        highest: Some(Generation(generation)),
        active: Some(Held { generation: Generation(generation), digest: digest(name) }),
        refused: None,
        pinned: false,
    }
}

fn refused(standing: Standing, generation: u64, name: &str) -> Standing {
    let reason = NackReason { stage: Stage::Secrets, reason: "no KEY".into(), findings: Vec::new() };
    Standing {
        highest: Some(Generation(generation)),
        refused: Some(RefusedAttempt {
            generation: Generation(generation),
            digest: digest(name),
            boot: BOOT,
            reason,
        }),
        ..standing
    }
}

fn activate(generation: u64) -> Judgement {
    Judgement::Activate { lineage: LINEAGE, generation: Generation(generation), forget: false }
}

fn refusal_stage(judgement: &Judgement) -> Option<Stage> {
    if let Judgement::Refuse(reason) = judgement { Some(reason.stage) } else { None }
}

#[test]
fn an_empty_gateway_activates() {
    assert_eq!(Standing::default().judge(&offer(LINEAGE, 7, "a"), BOOT), activate(7));
}

#[test]
fn validate_moves_nothing_even_when_pinned() {
    let pinned = Standing { pinned: true, ..runs(3, "a") };
    let ask = Offer { intent: Intent::Validate, ..offer(LINEAGE, 0, "b") };
    assert_eq!(pinned.judge(&ask, BOOT), Judgement::Validate);
}

#[test]
fn pinned_refuses() {
    let pinned = Standing { pinned: true, ..runs(3, "a") };
    assert_eq!(refusal_stage(&pinned.judge(&offer(LINEAGE, 4, "b"), BOOT)), Some(Stage::Generation));
}

#[test]
fn higher_generation_activates_or_adopts() {
    assert_eq!(runs(3, "a").judge(&offer(LINEAGE, 4, "b"), BOOT), activate(4));
    assert_eq!(
        runs(3, "a").judge(&offer(LINEAGE, 4, "a"), BOOT),
        Judgement::Adopt { lineage: LINEAGE, generation: Generation(4), forget: false }
    );
}

#[test]
fn lower_generation_is_refused_whatever_it_carries() {
    for name in ["a", "b"] {
        assert_eq!(
            refusal_stage(&runs(3, "a").judge(&offer(LINEAGE, 2, name), BOOT)),
            Some(Stage::Generation)
        );
    }
}

#[test]
fn same_generation_repeats_or_conflicts() {
    assert_eq!(runs(3, "a").judge(&offer(LINEAGE, 3, "a"), BOOT), Judgement::AckAgain);
    assert_eq!(refusal_stage(&runs(3, "a").judge(&offer(LINEAGE, 3, "b"), BOOT)), Some(Stage::Generation));
}

#[test]
fn refused_once_is_refused_again_until_a_new_boot() {
    let standing = refused(runs(3, "a"), 4, "b");
    assert_eq!(refusal_stage(&standing.judge(&offer(LINEAGE, 4, "b"), BOOT)), Some(Stage::Secrets));
    assert_eq!(standing.judge(&offer(LINEAGE, 4, "b"), LATER_BOOT), activate(4));
    assert_eq!(refusal_stage(&standing.judge(&offer(LINEAGE, 4, "c"), BOOT)), Some(Stage::Generation));
    assert_eq!(standing.judge(&offer(LINEAGE, 5, "b"), BOOT), activate(5));
}

#[test]
fn a_crash_between_seeing_and_keeping_activates() {
    let standing = Standing { highest: Some(Generation(4)), ..runs(3, "a") };
    assert_eq!(standing.judge(&offer(LINEAGE, 4, "b"), BOOT), activate(4));
}

#[test]
fn another_lineage_starts_again() {
    assert_eq!(
        runs(9, "a").judge(&offer(RESTORED, 2, "b"), BOOT),
        Judgement::Activate { lineage: RESTORED, generation: Generation(2), forget: true }
    );
    assert_eq!(
        runs(9, "a").judge(&offer(RESTORED, 2, "a"), BOOT),
        Judgement::Adopt { lineage: RESTORED, generation: Generation(2), forget: true }
    );
}

#[test]
fn a_generation_that_nobody_counted_to_is_refused_and_shuts_nothing_out() {
    let far = |standing: &Standing, generation| {
        refusal_stage(&standing.judge(&offer(LINEAGE, generation, "b"), BOOT))
    };
    let running = runs(7, "a");
    let fresh = Standing::default();
    // (what it holds, offered, refused)
    let table = [
        (&running, 7 + LONGEST_JUMP, false),
        (&running, 8 + LONGEST_JUMP, true),
        (&running, i64::MAX as u64, true),
        (&running, u64::MAX, true),
        (&fresh, HIGHEST_FIRST, false),
        (&fresh, HIGHEST_FIRST + 1, true),
        (&fresh, u64::MAX, true),
    ];
    for (standing, generation, refused) in table {
        let expected = refused.then_some(Stage::Generation);
        assert_eq!(far(standing, generation), expected, "{generation}");
    }
    // A restored database counts anew, and its first is the first that is seen of it.
    let restored = running.judge(&offer(RESTORED, HIGHEST_FIRST + 1, "b"), BOOT);
    assert_eq!(refusal_stage(&restored), Some(Stage::Generation));
    // The bytes that run already are no excuse.
    assert_eq!(refusal_stage(&running.judge(&offer(LINEAGE, u64::MAX, "a"), BOOT)), Some(Stage::Generation));
    assert_eq!(running.judge(&offer(LINEAGE, 8, "b"), BOOT), activate(8));
}
