//! The life of one generation on one gateway, and its only transition function.

use crate::offer::Stage;

/// Where one generation stands on one gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationState {
    /// Desired; not on its way yet.
    Assigned,
    /// On its way; unanswered.
    Offered,
    /// The gateway reported that it runs it.
    Active,
    /// Active and healthy through the bake.
    Proven,
    /// The gateway refused it at this stage; nothing changed there.
    Rejected(Stage),
    /// No answer in time. A late answer still counts: what a gateway says it runs is the truth.
    TimedOut,
    /// It ran and was left again after a failure.
    RolledBack,
    /// A newer generation was assigned before this one settled.
    Superseded,
}

/// What can happen to an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivationEvent {
    Sent,
    Acked,
    Nacked(Stage),
    /// A later process of the gateway refuses what an earlier one ran, and runs something else: it crashed on it.
    NackedLater(Stage),
    Silent,
    BakePassed,
    /// The gateway runs an older pack again because of a failure of this one.
    Left,
    /// A newer generation was assigned.
    Replaced,
}

/// The next state, or `None` when the event changes nothing (late, repeated or out of order).
pub fn transition(state: ActivationState, event: ActivationEvent) -> Option<ActivationState> {
    use ActivationEvent as E;
    use ActivationState as S;
    match (state, event) {
        (S::Assigned | S::TimedOut, E::Sent) => Some(S::Offered),
        (S::Assigned | S::Offered | S::TimedOut, E::Acked) => Some(S::Active),
        // A new boot may accept what an earlier one refused (a secret was added).
        (S::Rejected(_), E::Sent) => Some(S::Offered),
        (S::Rejected(_), E::Acked) => Some(S::Active),
        (S::Assigned | S::Offered | S::TimedOut, E::Nacked(stage)) => Some(S::Rejected(stage)),
        (S::Assigned | S::Offered | S::TimedOut | S::Active | S::Proven, E::NackedLater(stage)) => {
            Some(S::Rejected(stage))
        }
        (S::Offered, E::Silent) => Some(S::TimedOut),
        (S::Active, E::BakePassed) => Some(S::Proven),
        (S::Active | S::Proven, E::Left) => Some(S::RolledBack),
        (S::Assigned | S::Offered | S::TimedOut, E::Replaced) => Some(S::Superseded),
        (
            S::Assigned
            | S::Offered
            | S::Active
            | S::Proven
            | S::Rejected(_)
            | S::TimedOut
            | S::RolledBack
            | S::Superseded,
            E::Sent
            | E::Acked
            | E::Nacked(_)
            | E::NackedLater(_)
            | E::Silent
            | E::BakePassed
            | E::Left
            | E::Replaced,
        ) => None,
    }
}

// === impl ActivationState ===

impl ActivationState {
    /// The word in SQL, JSON and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Offered => "offered",
            Self::Active => "active",
            Self::Proven => "proven",
            Self::Rejected(_) => "rejected",
            Self::TimedOut => "timed_out",
            Self::RolledBack => "rolled_back",
            Self::Superseded => "superseded",
        }
    }

    /// Reads the word back; `stage` belongs to `rejected` and to nothing else.
    pub fn from_parts(word: &str, stage: Option<Stage>) -> Option<Self> {
        match (word, stage) {
            ("assigned", None) => Some(Self::Assigned),
            ("offered", None) => Some(Self::Offered),
            ("active", None) => Some(Self::Active),
            ("proven", None) => Some(Self::Proven),
            ("rejected", Some(stage)) => Some(Self::Rejected(stage)),
            ("timed_out", None) => Some(Self::TimedOut),
            ("rolled_back", None) => Some(Self::RolledBack),
            ("superseded", None) => Some(Self::Superseded),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ActivationEvent as E, ActivationState as S, *};

    const STATES: [S; 8] = [
        S::Assigned,
        S::Offered,
        S::Active,
        S::Proven,
        S::Rejected(Stage::Lint),
        S::TimedOut,
        S::RolledBack,
        S::Superseded,
    ];

    #[test]
    fn the_straight_path() {
        let mut state = S::Assigned;
        for event in [E::Sent, E::Acked, E::BakePassed] {
            state = transition(state, event).expect("moves");
        }
        assert_eq!(state, S::Proven);
    }

    #[test]
    fn a_repeated_answer_changes_nothing() {
        assert_eq!(transition(S::Active, E::Acked), None);
        assert_eq!(transition(S::Rejected(Stage::Lint), E::Nacked(Stage::Lint)), None);
        assert_eq!(transition(S::Active, E::Nacked(Stage::Lint)), None);
    }

    #[test]
    fn a_later_process_may_refuse_what_an_earlier_one_ran() {
        for state in [S::Active, S::Proven] {
            let refused = transition(state, E::NackedLater(Stage::SelfTest));
            assert_eq!(refused, Some(S::Rejected(Stage::SelfTest)));
        }
        assert_eq!(transition(S::Superseded, E::NackedLater(Stage::SelfTest)), None);
    }

    #[test]
    fn the_ends_stay() {
        for event in
            [E::Sent, E::Acked, E::Nacked(Stage::Lint), E::Silent, E::BakePassed, E::Left, E::Replaced]
        {
            assert_eq!(transition(S::RolledBack, event), None);
            assert_eq!(transition(S::Superseded, event), None);
        }
    }

    #[test]
    fn words_read_back() {
        for state in STATES {
            let stage = if let S::Rejected(stage) = state { Some(stage) } else { None };
            assert_eq!(S::from_parts(state.as_str(), stage), Some(state));
        }
        assert_eq!(S::from_parts("rejected", None), None);
        assert_eq!(S::from_parts("active", Some(Stage::Lint)), None);
    }
}
