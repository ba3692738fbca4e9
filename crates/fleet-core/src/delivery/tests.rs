//! One stream, message by message.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::version::Revision;

const LINEAGE: Lineage = Lineage(Uuid::from_u128(3));
const BOOT: BootId = BootId(Uuid::from_u128(1));
const START: Timestamp = Timestamp::from_micros(0);

fn digest(name: &str) -> ConfigDigest {
    ConfigDigest::of(name.as_bytes())
}

fn desired(generation: u64, name: &str) -> Option<DesiredVersion> {
    Some(DesiredVersion {
        revision: Revision(generation),
        generation: Generation(generation),
        digest: digest(name),
    })
}

fn id(n: u128) -> OfferId {
    OfferId(Uuid::from_u128(n))
}

fn held(generation: u64, name: &str) -> Held {
    Held { generation: Generation(generation), digest: digest(name) }
}

fn opening(active: Option<Held>) -> Opening {
    Opening {
        lineage: LINEAGE,
        agent_lineage: active.map(|_| LINEAGE),
        active,
        staged: Vec::new(),
        boot: BOOT,
        agent_version: "0.1.0".into(),
        refusal: None,
    }
}

fn deadline() -> Timestamp {
    START.plus(Duration::from_secs(30))
}

#[test]
fn an_agent_in_sync_gets_nothing() {
    let mut delivery = Delivery::open(opening(Some(held(4, "a"))));
    assert_eq!(delivery.next_offer(desired(4, "a"), id(1), deadline()), None);
    assert_eq!(delivery.next_offer(None, id(1), deadline()), None);
}

#[test]
fn one_offer_is_open_at_a_time_and_the_newest_follows() {
    let mut delivery = Delivery::open(opening(None));
    let first = delivery.next_offer(desired(1, "a"), id(1), deadline()).expect("behind");
    assert!(first.with_parcel);
    assert_eq!(delivery.next_offer(desired(3, "c"), id(2), deadline()), None);
    let answer = delivery.on_acknowledgement(id(1), Generation(1), true, Some(held(1, "a")));
    assert_eq!(answer, Answer::Closes);
    let second = delivery.next_offer(desired(3, "c"), id(2), deadline()).expect("behind again");
    assert_eq!(second.desired.generation, Generation(3));
}

#[test]
fn bytes_the_agent_has_are_not_sent() {
    let mut delivery = Delivery::open(Opening { staged: vec![digest("b")], ..opening(Some(held(1, "a"))) });
    assert!(!delivery.next_offer(desired(2, "b"), id(1), deadline()).expect("behind").with_parcel);
}

#[test]
fn what_was_refused_is_not_offered_again() {
    let mut delivery = Delivery::open(opening(Some(held(1, "a"))));
    delivery.next_offer(desired(2, "b"), id(1), deadline()).expect("behind");
    delivery.on_acknowledgement(id(1), Generation(2), false, Some(held(1, "a")));
    assert_eq!(delivery.next_offer(desired(2, "b"), id(2), deadline()), None);
    // An operator's order is a new generation.
    assert!(delivery.next_offer(desired(3, "b"), id(3), deadline()).is_some());
}

#[test]
fn a_stored_refusal_stands_until_its_cause_may_have_gone() {
    let cases = [
        (Stage::Lint, BOOT, "0.1.0", false),
        (Stage::Lint, BootId(Uuid::from_u128(2)), "0.1.0", false),
        (Stage::Lint, BOOT, "0.2.0", true),
        (Stage::Secrets, BOOT, "0.1.0", false),
        (Stage::Secrets, BootId(Uuid::from_u128(2)), "0.1.0", true),
    ];
    for (stage, boot, agent_version, offered) in cases {
        let refusal =
            StoredRefusal { generation: Generation(2), stage, boot: BOOT, agent_version: "0.1.0".into() };
        let mut delivery = Delivery::open(Opening {
            boot,
            agent_version: agent_version.into(),
            refusal: Some(refusal),
            ..opening(Some(held(1, "a")))
        });
        let next = delivery.next_offer(desired(2, "b"), id(1), deadline());
        assert_eq!(next.is_some(), offered, "{stage} {boot} {agent_version}");
    }
}

#[test]
fn silence_closes_the_offer_and_a_late_answer_still_counts() {
    let mut delivery = Delivery::open(opening(None));
    delivery.next_offer(desired(1, "a"), id(1), deadline()).expect("behind");
    assert_eq!(delivery.on_silence(START), None);
    assert_eq!(delivery.on_silence(deadline()).map(|open| open.id), Some(id(1)));
    assert_eq!(delivery.next_offer(desired(1, "a"), id(2), deadline()), None);
    let late = delivery.on_acknowledgement(id(1), Generation(1), true, Some(held(1, "a")));
    assert_eq!(late, Answer::Late);
    assert_eq!(delivery.held(), Some(held(1, "a")));
}

#[test]
fn an_older_heartbeat_moves_nothing_back() {
    let mut delivery = Delivery::open(opening(Some(held(2, "b"))));
    delivery.on_observed(Some(held(1, "a")));
    assert_eq!(delivery.held(), Some(held(2, "b")));
}

#[test]
fn another_lineage_counts_for_nothing() {
    let mut delivery = Delivery::open(Opening {
        agent_lineage: Some(Lineage(Uuid::from_u128(8))),
        ..opening(Some(held(9, "a")))
    });
    assert!(delivery.next_offer(desired(2, "b"), id(1), deadline()).is_some());
}

#[test]
fn bytes_that_a_long_stream_made_the_agent_forget_come_again() {
    let mut delivery = Delivery::open(opening(None));
    for generation in 1..=6 {
        let wanted = desired(generation, &generation.to_string());
        let offer = delivery.next_offer(wanted, id(1), deadline()).expect("behind");
        assert!(offer.with_parcel);
        let active = Some(held(generation, &generation.to_string()));
        delivery.on_acknowledgement(offer.id, Generation(generation), true, active);
    }
    let near = delivery.next_offer(desired(7, "2"), id(2), deadline()).expect("behind");
    assert!(!near.with_parcel);
    delivery.on_silence(deadline());
    let far = delivery.next_offer(desired(8, "1"), id(3), deadline()).expect("behind");
    assert!(far.with_parcel);
}

#[test]
fn a_refusal_for_want_of_room_is_asked_again_in_a_new_boot() {
    let refused_by = |boot, stage| Opening {
        refusal: Some(StoredRefusal {
            generation: Generation(4),
            stage,
            boot,
            agent_version: "0.1.0".into(),
        }),
        ..opening(Some(held(3, "a")))
    };
    let asks = |opening| Delivery::open(opening).next_offer(desired(4, "b"), id(1), deadline()).is_some();
    let before = BootId(Uuid::from_u128(9));
    for stage in [Stage::Verify, Stage::Secrets, Stage::Storage] {
        assert!(asks(refused_by(before, stage)) && !asks(refused_by(BOOT, stage)), "{stage}");
    }
    assert!(!asks(refused_by(before, Stage::Compile)));
}

#[test]
fn what_the_store_says_later_of_a_refusal_counts() {
    let stored = |stage, boot| StoredRefusal {
        generation: Generation(2),
        stage,
        boot: BootId(Uuid::from_u128(boot)),
        agent_version: "0.1.0".into(),
    };
    let presumed = Some(Generation(2));
    // The agent said that it refused generation 2; the store knows whether that was this start of it.
    let offered = |refusal: StoredRefusal, presumed: Option<Generation>| {
        let said = Some(stored(Stage::Secrets, 1));
        let mut delivery = Delivery::open(Opening { refusal: said, ..opening(Some(held(1, "a"))) });
        assert_eq!(delivery.next_offer(desired(2, "b"), id(1), deadline()), None);
        delivery.on_stored_refusal(&refusal, BOOT, "0.1.0", presumed);
        delivery.next_offer(desired(2, "b"), id(1), deadline()).is_some()
    };
    assert!(
        offered(stored(Stage::Secrets, 9), presumed),
        "another start refused it for what may have passed"
    );
    assert!(!offered(stored(Stage::Secrets, 1), presumed), "this start refused it");
    assert!(!offered(stored(Stage::Lint, 9), presumed), "the pack was refused, whichever start it was");
    assert!(!offered(stored(Stage::Secrets, 9), None), "it was refused on this very stream");
    // Nothing was said at the opening.
    let mut delivery = Delivery::open(opening(Some(held(1, "a"))));
    delivery.on_stored_refusal(&stored(Stage::Lint, 9), BOOT, "0.1.0", None);
    assert_eq!(delivery.next_offer(desired(2, "b"), id(1), deadline()), None);
}
