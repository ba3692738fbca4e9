//! Moving a fleet to a revision: the states, the strategy, the counts.

pub mod report;
pub mod step;
pub mod wait;

use std::fmt;
use std::time::Duration;

pub use report::{RolloutReport, WaitingOn};
pub use step::{Decision, RolloutStep, Snapshot, step};
pub use wait::{WaitGoal, WaitVerdict};

/// Where a rollout stands; the last four are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RolloutState {
    Planned,
    Advancing,
    /// Breached; its gateways are on their way back.
    Reverting,
    Succeeded,
    /// Breached; some gateways keep it.
    Halted,
    /// Breached; none keeps it.
    Reverted,
    /// Ended by an operator or by another rollout; gateways stay where they are.
    Aborted,
}

/// How a rollout moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutStrategy {
    /// How long every gateway must stay active before the revision counts as proven.
    pub bake: Duration,
    /// From the start until the last gateway must be active.
    pub deadline: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStrategy {
    #[error("the bake is at most 24h")]
    Bake,
    #[error("the deadline is from 1s to 7 days")]
    Deadline,
}

/// How many of a rollout's gateways stand where. Disjoint but for `proven`, which is part of `active`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub pending: u32,
    pub active: u32,
    pub proven: u32,
    pub rejected: u32,
    pub timed_out: u32,
    /// Not there, or pinned on its host: no part of what is decided on, and caught up later.
    pub offline: u32,
    pub superseded: u32,
    pub incompatible: u32,
}

// === impl RolloutState ===

impl RolloutState {
    pub const ALL: &[Self] = &[
        Self::Planned,
        Self::Advancing,
        Self::Reverting,
        Self::Succeeded,
        Self::Halted,
        Self::Reverted,
        Self::Aborted,
    ];

    pub const fn is_end(self) -> bool {
        match self {
            Self::Planned | Self::Advancing | Self::Reverting => false,
            Self::Succeeded | Self::Halted | Self::Reverted | Self::Aborted => true,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Advancing => "advancing",
            Self::Reverting => "reverting",
            Self::Succeeded => "succeeded",
            Self::Halted => "halted",
            Self::Reverted => "reverted",
            Self::Aborted => "aborted",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for RolloutState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl RolloutStrategy ===

impl RolloutStrategy {
    pub const DEFAULT: Self = Self { bake: Duration::from_secs(30), deadline: Duration::from_secs(600) };

    /// Missing values take the defaults.
    pub fn new(bake: Option<Duration>, deadline: Option<Duration>) -> Result<Self, InvalidStrategy> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let bake = bake.unwrap_or(Self::DEFAULT.bake);
        let deadline = deadline.unwrap_or(Self::DEFAULT.deadline);
        if bake > DAY {
            Err(InvalidStrategy::Bake)
        } else if deadline < Duration::from_secs(1) || deadline > 7 * DAY {
            Err(InvalidStrategy::Deadline)
        } else {
            Ok(Self { bake, deadline })
        }
    }
}

// === impl Counts ===

impl Counts {
    pub const fn total(&self) -> u32 {
        self.pending
            .saturating_add(self.active)
            .saturating_add(self.failed())
            .saturating_add(self.offline)
            .saturating_add(self.superseded)
    }

    /// Gateways that cannot become active in this rollout any more.
    pub const fn failed(&self) -> u32 {
        self.rejected.saturating_add(self.timed_out).saturating_add(self.incompatible)
    }
}
