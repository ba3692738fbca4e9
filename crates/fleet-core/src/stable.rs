//! Which revision a new, wiped or returning gateway gets: stable is not head.

use crate::activation::ActivationState;
use crate::rollout::RolloutState;
use crate::standing::{Held, LONGEST_JUMP};
use crate::version::{DesiredVersion, Generation, Revision};

/// What a gateway was last told to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    pub revision: Revision,
    /// Of the rollout it was part of; `None`: it was assigned as the stable revision.
    pub rollout: Option<RolloutState>,
    /// What became of it on this gateway.
    pub state: ActivationState,
}

/// What a gateway says it has seen of a lineage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub highest: Option<Generation>,
    /// What it runs, and what it refused last.
    pub known: Vec<Held>,
}

/// What to do about the desired version of a gateway that enrols or attaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    Keep,
    /// Assign this revision with a new generation.
    Assign(Revision),
    /// The fleet has no revision yet.
    Wait,
}

// === impl Assignment ===

impl Assignment {
    /// What is left of it when another host takes the gateway's place. That one is placed like a new one; but what it
    /// would be told was told already, and nobody answered: then it stands, and its rollout keeps its gateway.
    pub fn on_another_disk(self, stable: Option<Revision>) -> Option<Self> {
        let unanswered = match self.state {
            ActivationState::Assigned | ActivationState::Offered => true,
            ActivationState::Active
            | ActivationState::Proven
            | ActivationState::Rejected(_)
            | ActivationState::TimedOut
            | ActivationState::RolledBack
            | ActivationState::Superseded => false,
        };
        (unanswered && Some(self.revision) == stable).then_some(self)
    }
}

/// A gateway that has seen a later generation than it was ever told here: the database is older than the gateway's
/// memory, because it was restored. Answers what the next generation must be above. One that no database counted to
/// is the gateway's own invention and changes nothing.
pub fn ahead(told: Option<Generation>, seen: Option<Generation>) -> Option<Generation> {
    let told = told.map_or(0, |told| told.0);
    seen.filter(|seen| seen.0 > told && seen.0 - told <= LONGEST_JUMP)
}

/// A gateway that knows the generation it was told last by other bytes: the restored database counted to it again while
/// the gateway was away. It would never take those bytes under that generation, so the next must be above it.
pub fn contradicted(told: Option<DesiredVersion>, known: &[Held]) -> Option<Generation> {
    let told = told?;
    known
        .iter()
        .any(|held| held.generation == told.generation && held.digest != told.digest)
        .then_some(told.generation)
}

/// `assignment` is what it was told last; `stable` is the fleet's stable revision.
pub fn place(assignment: Option<Assignment>, stable: Option<Revision>) -> Placement {
    match (assignment, stable) {
        (None, None) => Placement::Wait,
        (None, Some(stable)) => Placement::Assign(stable),
        (Some(_), None) => Placement::Keep,
        (Some(assignment), Some(stable)) => {
            let open_or_won = match assignment.rollout {
                None => assignment.revision == stable,
                Some(state) => !state.is_end() || state == RolloutState::Succeeded,
            };
            // A succeeded rollout may be history: then stable has moved on and the gateway with it.
            let overtaken =
                assignment.rollout == Some(RolloutState::Succeeded) && assignment.revision != stable;
            let proven = assignment.state == ActivationState::Proven;
            if assignment.revision == stable || proven || (open_or_won && !overtaken) {
                Placement::Keep
            } else {
                Placement::Assign(stable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use policy_config::ConfigDigest;

    use super::*;

    const STABLE: Option<Revision> = Some(Revision(3));

    fn told(revision: u64, rollout: Option<RolloutState>, proven: bool) -> Option<Assignment> {
        let state = if proven { ActivationState::Proven } else { ActivationState::Active };
        Some(Assignment { revision: Revision(revision), rollout, state })
    }

    #[test]
    fn another_disk_keeps_only_what_it_would_be_told_anyway() {
        let told = |revision, state| Assignment { revision: Revision(revision), rollout: None, state };
        let kept = told(3, ActivationState::Offered);
        assert_eq!(kept.on_another_disk(STABLE), Some(kept));
        for lost in [told(4, ActivationState::Assigned), told(3, ActivationState::Proven)] {
            assert_eq!(lost.on_another_disk(STABLE), None, "{lost:?}");
        }
    }

    #[test]
    fn a_restored_database_is_told_from_one_that_is_ahead_and_from_an_invention() {
        let generation = |number| Some(Generation(number));
        let cases = [
            (None, None, None),
            (generation(3), None, None),
            (generation(3), generation(3), None),
            (generation(3), generation(2), None),
            (generation(3), generation(7), generation(7)),
            (None, generation(7), generation(7)),
            (generation(3), generation(u64::MAX), None),
            (generation(3), generation(4 + LONGEST_JUMP), None),
        ];
        for (told, seen, expected) in cases {
            assert_eq!(ahead(told, seen), expected, "{told:?} {seen:?}");
        }
    }

    #[test]
    fn a_generation_known_by_other_bytes_is_told_from_what_was_told() {
        let [ours, other] = ["ours", "other"].map(|bytes| ConfigDigest::of(bytes.as_bytes()));
        let told = DesiredVersion { revision: Revision(3), generation: Generation(2), digest: ours };
        let held = |generation, digest| Held { generation: Generation(generation), digest };
        assert_eq!(contradicted(Some(told), &[held(1, ours), held(2, other)]), Some(Generation(2)));
        for known in [vec![], vec![held(2, ours)], vec![held(1, other), held(3, other)]] {
            assert_eq!(contradicted(Some(told), &known), None, "{known:?}");
        }
        assert_eq!(contradicted(None, &[held(2, other)]), None);
    }

    #[test]
    fn new_gateways_get_stable_and_never_the_head() {
        assert_eq!(place(None, STABLE), Placement::Assign(Revision(3)));
        assert_eq!(place(None, None), Placement::Wait);
    }

    #[test]
    fn returning_gateways() {
        use RolloutState as S;
        let stable = Placement::Assign(Revision(3));
        let cases = [
            (told(4, Some(S::Advancing), false), Placement::Keep),
            (told(4, Some(S::Reverting), false), Placement::Keep),
            (told(3, Some(S::Succeeded), true), Placement::Keep),
            (told(4, Some(S::Halted), false), stable),
            (told(4, Some(S::Reverted), false), stable),
            (told(4, Some(S::Aborted), false), stable),
            (told(4, Some(S::Aborted), true), Placement::Keep),
            (told(2, Some(S::Succeeded), false), stable),
            (told(2, None, false), stable),
            (told(3, None, false), Placement::Keep),
        ];
        for (assignment, expected) in cases {
            assert_eq!(place(assignment, STABLE), expected, "{assignment:?}");
        }
    }
}
