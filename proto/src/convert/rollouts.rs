//! Strategies, states and counts of rollouts.

use fleet_core::rollout::{Counts, RolloutState, RolloutStrategy};

use super::scalars;
use crate::{WireError, v1};

/// Unset fields, and an unset strategy, take the defaults.
pub fn strategy(wire: Option<v1::Strategy>) -> Result<RolloutStrategy, WireError> {
    let wire = wire.unwrap_or_default();
    let bake = wire.bake.map(|bake| scalars::duration("strategy.bake", bake)).transpose()?;
    let deadline =
        wire.deadline.map(|deadline| scalars::duration("strategy.deadline", deadline)).transpose()?;
    RolloutStrategy::new(bake, deadline).map_err(|error| WireError::new("strategy", error.to_string()))
}

pub fn wire_strategy(strategy: RolloutStrategy) -> v1::Strategy {
    v1::Strategy {
        bake: Some(scalars::wire_duration(strategy.bake)),
        deadline: Some(scalars::wire_duration(strategy.deadline)),
    }
}

pub fn wire_state(state: RolloutState) -> v1::RolloutState {
    match state {
        RolloutState::Planned => v1::RolloutState::Planned,
        RolloutState::Advancing => v1::RolloutState::Advancing,
        RolloutState::Reverting => v1::RolloutState::Reverting,
        RolloutState::Succeeded => v1::RolloutState::Succeeded,
        RolloutState::Halted => v1::RolloutState::Halted,
        RolloutState::Reverted => v1::RolloutState::Reverted,
        RolloutState::Aborted => v1::RolloutState::Aborted,
    }
}

pub fn state(wire: v1::RolloutState) -> Result<RolloutState, WireError> {
    match wire {
        v1::RolloutState::Unspecified => Err(WireError::missing("rollout.state")),
        v1::RolloutState::Planned => Ok(RolloutState::Planned),
        v1::RolloutState::Advancing => Ok(RolloutState::Advancing),
        v1::RolloutState::Reverting => Ok(RolloutState::Reverting),
        v1::RolloutState::Succeeded => Ok(RolloutState::Succeeded),
        v1::RolloutState::Halted => Ok(RolloutState::Halted),
        v1::RolloutState::Reverted => Ok(RolloutState::Reverted),
        v1::RolloutState::Aborted => Ok(RolloutState::Aborted),
    }
}

pub fn wire_counts(counts: &Counts) -> v1::Counts {
    v1::Counts {
        pending: counts.pending,
        active: counts.active,
        proven: counts.proven,
        rejected: counts.rejected,
        timed_out: counts.timed_out,
        offline: counts.offline,
        superseded: counts.superseded,
        incompatible: counts.incompatible,
        total: counts.total(),
    }
}

pub fn counts(wire: &v1::Counts) -> Counts {
    Counts {
        pending: wire.pending,
        active: wire.active,
        proven: wire.proven,
        rejected: wire.rejected,
        timed_out: wire.timed_out,
        offline: wire.offline,
        superseded: wire.superseded,
        incompatible: wire.incompatible,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn states_and_strategies_read_back() {
        for value in RolloutState::ALL {
            assert_eq!(state(wire_state(*value)), Ok(*value));
        }
        assert_eq!(strategy(None), Ok(RolloutStrategy::DEFAULT));
        let quick = RolloutStrategy { bake: Duration::ZERO, deadline: Duration::from_secs(5) };
        assert_eq!(strategy(Some(wire_strategy(quick))), Ok(quick));
    }

    #[test]
    fn impossible_strategies_are_refused() {
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let cases = [
            (v1::Strategy { bake: span(-1), deadline: None }, "strategy.bake"),
            (v1::Strategy { bake: span(90_000), deadline: None }, "strategy"),
            (v1::Strategy { bake: None, deadline: span(0) }, "strategy"),
        ];
        for (wire, field) in cases {
            assert_eq!(strategy(Some(wire)).map_err(|error| error.field), Err(field));
        }
    }
}
