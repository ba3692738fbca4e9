//! Why a rollout stands where it stands, as values with a `Display`.

use std::fmt;

use crate::time::Timestamp;

/// What a rollout waits for; empty when it waits for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct RolloutReport {
    pub waiting_on: Vec<WaitingOn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingOn {
    /// This many gateways to activate.
    Activation(u32),
    /// This many gateways to answer, after one refused.
    Answers(u32),
    /// Any of this many gateways to come online.
    AnyGateway(u32),
    Bake {
        until: Timestamp,
    },
    /// This many gateways to be back on what they ran before.
    Return(u32),
}

// === impl RolloutReport ===

impl RolloutReport {
    pub fn of(waiting_on: WaitingOn) -> Self {
        Self { waiting_on: vec![waiting_on] }
    }
}

// === impl WaitingOn ===

impl fmt::Display for WaitingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Activation(number) => write!(f, "{} to activate", Gateways(*number)),
            Self::Answers(number) => write!(f, "{} to answer before going back", Gateways(*number)),
            Self::AnyGateway(number) => write!(f, "any of {} to come online", Gateways(*number)),
            Self::Bake { .. } => f.write_str("the bake to pass"),
            Self::Return(number) => write!(f, "{} to go back", Gateways(*number)),
        }
    }
}

struct Gateways(u32);

impl fmt::Display for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gateway{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}
