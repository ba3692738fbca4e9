//! The circuit breaker of one target: closed while calls succeed, open for the cooldown after too many failures in a
//! row, half-open while one probe asks whether it is over.

use std::time::Duration;

use policy_config::schema::CircuitBreaker;

/// A state that fits one atomic word. Times are milliseconds since a moment that the caller keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// So many failures in a row.
    Closed {
        failures: u32,
    },
    Open {
        until: u64,
    },
    /// One probe is out; nobody else passes.
    HalfOpen,
}

/// Whether a call may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Call,
    /// As the one probe, once the state is this.
    Probe(Breaker),
    /// Not before this time has passed; a guess while a probe is out.
    Refused(Duration),
}

const TAG: u32 = 62;
const OPEN: u64 = 1 << TAG;
const HALF_OPEN: u64 = 2 << TAG;
/// What is told to whoever comes while a probe is out.
const PROBE_TAKES: Duration = Duration::from_secs(1);

// === impl Breaker ===

impl Breaker {
    pub const fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub const fn admit(self, now: u64) -> Admission {
        match self {
            Self::Closed { .. } => Admission::Call,
            Self::Open { until } if now >= until => Admission::Probe(Self::HalfOpen),
            Self::Open { until } => Admission::Refused(Duration::from_millis(until - now)),
            Self::HalfOpen => Admission::Refused(PROBE_TAKES),
        }
    }

    /// After a call that succeeded. What went out while it was closed says nothing of what was seen since.
    pub const fn succeeded(self, was_probe: bool) -> Self {
        match self {
            Self::Closed { .. } => Self::new(),
            Self::HalfOpen if was_probe => Self::new(),
            other => other,
        }
    }

    /// After a call that failed by the target's fault.
    pub fn failed(self, was_probe: bool, now: u64, settings: &CircuitBreaker) -> Self {
        let open = || Self::Open { until: now.saturating_add(millis(settings.cooldown)) };
        match self {
            Self::Closed { failures } if failures.saturating_add(1) >= settings.failure_threshold => open(),
            Self::Closed { failures } => Self::Closed { failures: failures.saturating_add(1) },
            Self::HalfOpen if was_probe => open(),
            other => other,
        }
    }

    /// After a call that told nothing, as one whose client left: the next may probe.
    pub const fn abandoned(self, was_probe: bool, now: u64) -> Self {
        match self {
            Self::HalfOpen if was_probe => Self::Open { until: now },
            other => other,
        }
    }

    pub fn to_word(self) -> u64 {
        match self {
            Self::Closed { failures } => u64::from(failures),
            Self::Open { until } => OPEN | until.min(OPEN - 1),
            Self::HalfOpen => HALF_OPEN,
        }
    }

    pub fn from_word(word: u64) -> Self {
        match word >> TAG {
            0 => Self::Closed { failures: u32::try_from(word).unwrap_or(u32::MAX) },
            1 => Self::Open { until: word & (OPEN - 1) },
            _ => Self::HalfOpen,
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: CircuitBreaker =
        CircuitBreaker { failure_threshold: 3, cooldown: Duration::from_secs(30) };

    #[test]
    fn a_cycle_from_closed_to_closed() {
        let mut state = Breaker::new();
        for now in [0, 1] {
            state = state.failed(false, now, &SETTINGS);
            assert_eq!(state.admit(now), Admission::Call);
        }
        assert_eq!(state.succeeded(false), Breaker::new(), "a success begins the count anew");
        state = state.failed(false, 2, &SETTINGS);
        assert_eq!(state, Breaker::Open { until: 30_002 });
        assert_eq!(state.admit(3), Admission::Refused(Duration::from_millis(29_999)));
        assert_eq!(state.succeeded(false), state, "a call of before the opening says nothing");
        assert_eq!(state.failed(false, 9, &SETTINGS), state, "nor does it prolong the cooldown");
        let Admission::Probe(probing) = state.admit(30_002) else { panic!("the cooldown is over") };
        assert!(matches!(probing.admit(40_000), Admission::Refused(_)), "one probe at a time");
        assert_eq!(probing.succeeded(false), probing);
        assert_eq!(probing.failed(false, 0, &SETTINGS), probing);
        assert_eq!(probing.failed(true, 40_000, &SETTINGS), Breaker::Open { until: 70_000 });
        assert_eq!(probing.abandoned(true, 40_000).admit(40_000), Admission::Probe(Breaker::HalfOpen));
        assert_eq!(probing.succeeded(true), Breaker::new());
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Begin,
        Succeed(usize),
        Fail(usize),
        Abandon(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Begin),
            1 => (0_usize..8).prop_map(Step::Succeed),
            3 => (0_usize..8).prop_map(Step::Fail),
            1 => (0_usize..8).prop_map(Step::Abandon),
            1 => (0_u64..40_000).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn at_most_one_probe_is_out_and_no_state_is_for_ever(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut state, mut now, mut calls) = (Breaker::new(), 0_u64, Vec::new());
            for step in steps {
                match step {
                    Step::Begin => match state.admit(now) {
                        Admission::Call => calls.push(false),
                        Admission::Probe(next) => {
                            state = next;
                            calls.push(true);
                        }
                        Admission::Refused(_) => {}
                    },
                    Step::Wait(millis) => now += millis,
                    Step::Succeed(at) | Step::Fail(at) | Step::Abandon(at) if at < calls.len() => {
                        let was_probe = calls.remove(at);
                        state = match step {
                            Step::Succeed(_) => state.succeeded(was_probe),
                            Step::Fail(_) => state.failed(was_probe, now, &SETTINGS),
                            _ => state.abandoned(was_probe, now),
                        };
                    }
                    _ => {}
                }
                let probes = calls.iter().filter(|was_probe| **was_probe).count();
                prop_assert!(probes <= 1);
                prop_assert_eq!(probes == 1, state == Breaker::HalfOpen);
                prop_assert_eq!(Breaker::from_word(state.to_word()), state);
                if let Breaker::Open { until } = state {
                    prop_assert!(until <= now + 30_000);
                }
                if let Breaker::Closed { failures } = state {
                    prop_assert!(failures < SETTINGS.failure_threshold);
                }
            }
        }
    }
}
