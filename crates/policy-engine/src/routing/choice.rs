//! Who is asked, of those who may be.

use policy_config::schema::RoutingStrategy;

use super::candidates::TargetSet;

/// One of `open`; `None` only when it is empty. `turn` is a count of requests for [`RoutingStrategy::RoundRobin`] and
/// an even draw from all of `u64` for [`RoutingStrategy::Weighted`]. Who was asked in vain is taken out of `open`, and the
/// rest is chosen from in the same way.
pub fn choose(
    strategy: RoutingStrategy,
    open: &TargetSet,
    turn: u64,
    weight: impl Fn(usize) -> u32,
) -> Option<usize> {
    match strategy {
        RoutingStrategy::Ordered => open.iter().next(),
        RoutingStrategy::RoundRobin => {
            let at = turn.checked_rem(open.len() as u64)?;
            open.iter().nth(usize::try_from(at).unwrap_or_default())
        }
        RoutingStrategy::Weighted => {
            let whole: u64 = open.iter().map(|index| u64::from(weight(index))).sum();
            // the high half of the product is even over 0..whole
            let mut left = (u128::from(turn) * u128::from(whole)) >> 64;
            let hit = open.iter().find(|index| {
                let share = u128::from(weight(*index));
                let is_hit = left < share;
                left = left.saturating_sub(share);
                is_hit
            });
            hit.or_else(|| open.iter().next())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRATEGIES: [RoutingStrategy; 3] =
        [RoutingStrategy::Ordered, RoutingStrategy::RoundRobin, RoutingStrategy::Weighted];

    fn set(indices: &[usize]) -> TargetSet {
        indices.iter().copied().collect()
    }

    #[test]
    fn each_strategy_has_its_first_and_its_next() {
        let open = set(&[1, 4, 7]);
        let at = |strategy, turn| choose(strategy, &open, turn, |index| [0, 10, 0, 0, 30, 0, 0, 60][index]);
        assert_eq!([0, 1, u64::MAX].map(|turn| at(RoutingStrategy::Ordered, turn)), [Some(1); 3]);
        let round = [0, 1, 2, 3, 4].map(|turn| at(RoutingStrategy::RoundRobin, turn));
        assert_eq!(round, [Some(1), Some(4), Some(7), Some(1), Some(4)]);
        let percent = |percent: u64| u64::MAX / 100 * percent;
        for (draw, expected) in [(0, 1), (9, 1), (11, 4), (39, 4), (41, 7), (100, 7)] {
            assert_eq!(at(RoutingStrategy::Weighted, percent(draw)), Some(expected), "{draw} %");
        }
    }

    #[test]
    fn weights_are_kept_over_many_draws() {
        let open = set(&[0, 1]);
        let mut hits = [0_u32; 2];
        for step in 0..10_000_u64 {
            let draw = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hits[choose(RoutingStrategy::Weighted, &open, draw, |index| [9, 1][index]).unwrap()] += 1;
        }
        assert!((8_900..=9_100).contains(&hits[0]), "{hits:?}");
    }

    proptest! {
        #[test]
        fn everybody_is_asked_once_whatever_the_turn(
            indices in proptest::collection::btree_set(0_usize..200, 1..12),
            turn in any::<u64>(),
            weights in proptest::collection::vec(1_u32..=1000, 200),
        ) {
            for strategy in STRATEGIES {
                let mut open: TargetSet = indices.iter().copied().collect();
                let mut asked = Vec::new();
                while let Some(index) = choose(strategy, &open, turn, |index| weights[index]) {
                    prop_assert!(open.contains(index));
                    open.remove(index);
                    asked.push(index);
                }
                asked.sort_unstable();
                prop_assert_eq!(&asked, &indices.iter().copied().collect::<Vec<_>>());
            }
        }
    }
}
