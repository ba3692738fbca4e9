//! Random offers, refusals, crashes and restored databases: what an agent holds never goes back.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ids::OfferId;

/// One thing that happens to an agent.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// An offer; a bad pack is refused in its stages, after the judgement.
    Offered { lineage: u128, generation: u64, pack: u8, bad: bool },
    /// Another process on the same disk.
    Restarted,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (1..3u128, 1..8u64, 0..4u8, any::<bool>()).prop_map(|(lineage, generation, pack, bad)| {
            Happening::Offered { lineage, generation, pack, bad }
        }),
        1 => Just(Happening::Restarted),
    ]
}

/// Carries out a judgement as the Activator does.
fn carry_out(standing: &mut Standing, judgement: &Judgement, offer: &Offer, boot: BootId, bad: bool) {
    match *judgement {
        Judgement::Validate | Judgement::AckAgain => {}
        Judgement::Refuse(_) => {}
        Judgement::Activate { lineage, generation, .. } if bad => {
            standing.lineage = Some(lineage);
            standing.highest = Some(generation);
            let reason = NackReason { stage: Stage::Compile, reason: "bad".into(), findings: Vec::new() };
            standing.refused = Some(RefusedAttempt { generation, digest: offer.digest, boot, reason });
        }
        Judgement::Activate { lineage, generation, .. } | Judgement::Adopt { lineage, generation, .. } => {
            standing.lineage = Some(lineage);
            standing.highest = Some(generation);
            standing.active = Some(Held { generation, digest: offer.digest });
            standing.refused = None;
        }
    }
}

proptest! {
    #[test]
    fn generations_never_fall_and_a_refusal_keeps_what_runs(
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut standing = Standing::default();
        let mut boot = 1u128;
        for happening in happenings {
            let before = standing.clone();
            match happening {
                Happening::Restarted => boot += 1,
                Happening::Offered { lineage, generation, pack, bad } => {
                    let lineage = Lineage(Uuid::from_u128(lineage));
                    let offer = Offer {
                        id: OfferId(Uuid::from_u128(1)),
                        digest: ConfigDigest::of(&[pack]),
                        intent: Intent::Activate { lineage, generation: Generation(generation) },
                    };
                    let boot = BootId(Uuid::from_u128(boot));
                    let judgement = standing.judge(&offer, boot);
                    let adopts = matches!(judgement, Judgement::Adopt { .. });
                    carry_out(&mut standing, &judgement, &offer, boot, bad);
                    if matches!(judgement, Judgement::Refuse(_)) {
                        prop_assert_eq!(&standing, &before);
                    }
                    if adopts {
                        prop_assert_eq!(before.active.map(|held| held.digest), Some(offer.digest));
                    }
                    // The same offer again is answered without moving anything.
                    let again = standing.judge(&offer, boot);
                    prop_assert!(!matches!(again, Judgement::Activate { .. } | Judgement::Adopt { .. }), "{again:?}");
                }
            }
            if standing.lineage == before.lineage {
                prop_assert!(standing.highest >= before.highest);
            }
            if before.active.is_some() {
                prop_assert!(standing.active.is_some(), "an agent that once served always has a policy");
            }
        }
    }
}
