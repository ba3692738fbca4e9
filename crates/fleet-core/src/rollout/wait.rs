//! What `--wait` waits for, and whether that is so, can still be, or cannot be any more.

use std::str::FromStr;

use super::{Counts, RolloutState};

/// The goal of `--for`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitGoal {
    /// At least this share (1-100 %) of the targeted gateways reported the activation.
    Active {
        percent: u8,
    },
    /// All of them stayed healthy through the bake.
    Proven,
    Succeeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitVerdict {
    Met,
    Open,
    /// It cannot be met any more, and everybody who could say something did.
    Impossible,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a goal is active, active=1%-100%, proven or succeeded")]
pub struct InvalidGoal;

// === impl WaitGoal ===

impl WaitGoal {
    /// Judges a rollout; gateways that are offline are not targeted (`--offline ignore`).
    pub fn judge(self, state: RolloutState, counts: &Counts) -> WaitVerdict {
        let targeted = counts.total().saturating_sub(counts.offline);
        let (met, possible) = match self {
            Self::Active { percent } => {
                let needed = share(targeted, percent);
                (
                    counts.active >= needed && counts.total() > 0,
                    counts.active.saturating_add(counts.pending) >= needed,
                )
            }
            Self::Proven => (
                counts.proven == targeted && counts.total() > 0,
                counts.active.saturating_add(counts.pending) == targeted,
            ),
            Self::Succeeded => (state == RolloutState::Succeeded, true),
        };
        let nobody_reachable = targeted == 0 && counts.offline > 0;
        if state == RolloutState::Succeeded || (met && !nobody_reachable) {
            WaitVerdict::Met
        } else if state.is_end() || state == RolloutState::Reverting || (!possible && counts.pending == 0) {
            WaitVerdict::Impossible
        } else {
            WaitVerdict::Open
        }
    }
}

impl FromStr for WaitGoal {
    type Err = InvalidGoal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active { percent: 100 }),
            "proven" => Ok(Self::Proven),
            "succeeded" => Ok(Self::Succeeded),
            _ => {
                let digits = text.strip_prefix("active=").and_then(|rest| rest.strip_suffix('%'));
                match digits.map(str::parse::<u8>) {
                    Some(Ok(percent)) if (1..=100).contains(&percent) => Ok(Self::Active { percent }),
                    _ => Err(InvalidGoal),
                }
            }
        }
    }
}

/// The smallest number of gateways that is at least `percent` of `targeted`.
fn share(targeted: u32, percent: u8) -> u32 {
    let exact = u64::from(targeted) * u64::from(percent);
    u32::try_from(exact.div_ceil(100)).unwrap_or(targeted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RolloutState as S;
    use WaitVerdict as V;

    fn counts(pending: u32, active: u32, rejected: u32, offline: u32) -> Counts {
        Counts { pending, active, rejected, offline, ..Counts::default() }
    }

    #[test]
    fn goals_read_as_typed() {
        assert_eq!("active".parse(), Ok(WaitGoal::Active { percent: 100 }));
        assert_eq!("active=95%".parse(), Ok(WaitGoal::Active { percent: 95 }));
        for bad in ["", "active=", "active=0%", "active=101%", "active=95", "healthy"] {
            assert_eq!(bad.parse::<WaitGoal>(), Err(InvalidGoal), "{bad}");
        }
    }

    #[test]
    fn verdicts() {
        let active = WaitGoal::Active { percent: 100 };
        let most = WaitGoal::Active { percent: 60 };
        let cases = [
            (active, S::Advancing, counts(1, 2, 0, 0), V::Open),
            (active, S::Advancing, counts(0, 3, 0, 0), V::Met),
            (active, S::Advancing, counts(0, 3, 0, 4), V::Met),
            (active, S::Advancing, counts(0, 0, 0, 4), V::Open),
            // One refused: impossible, but the others are heard first.
            (active, S::Advancing, counts(1, 1, 1, 0), V::Open),
            (active, S::Advancing, counts(0, 2, 1, 0), V::Impossible),
            (active, S::Reverting, counts(0, 2, 1, 0), V::Impossible),
            (active, S::Aborted, counts(1, 2, 0, 0), V::Impossible),
            (active, S::Succeeded, counts(0, 0, 0, 0), V::Met),
            (most, S::Advancing, counts(0, 2, 1, 0), V::Met),
            (WaitGoal::Proven, S::Advancing, counts(0, 3, 0, 0), V::Open),
            (WaitGoal::Succeeded, S::Advancing, counts(0, 3, 0, 0), V::Open),
            (WaitGoal::Succeeded, S::Succeeded, counts(0, 3, 0, 0), V::Met),
            (WaitGoal::Succeeded, S::Halted, counts(0, 2, 1, 0), V::Impossible),
        ];
        for (goal, state, counts, expected) in cases {
            assert_eq!(goal.judge(state, &counts), expected, "{goal:?} {state} {counts:?}");
        }
    }
}
