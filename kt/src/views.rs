//! Wire messages as the JSON that scripts read (`product.md` §8). Pure.
//!
//! Fields may be added, never renamed. What does not apply is `null`, or absent where the contract has a `?`.

pub(crate) mod cases;
pub(crate) mod configs;
pub(crate) mod findings;
pub(crate) mod fleets;
pub(crate) mod history;
pub(crate) mod local;
pub(crate) mod rollouts;

pub(crate) use cases::{CaseView, TestView};
pub(crate) use configs::{DiffView, FileDiffView, PushView, RevisionView, SectionView};
pub(crate) use findings::{ErrorDocument, ErrorView, FindingView, LintView, finding};
pub(crate) use fleets::{FleetView, GatewayView, VersionView};
pub(crate) use history::{EventView, InForceView};
pub(crate) use local::{LocalGatewayView, LookView};
pub(crate) use rollouts::{CountsView, RolloutView};

use prost_types::Timestamp;

use crate::words::show_time;

/// `null` for what the wire leaves empty.
fn filled(text: &str) -> Option<String> {
    if text.is_empty() { None } else { Some(text.to_owned()) }
}

fn time(time: Option<&Timestamp>) -> Option<String> {
    time.and_then(show_time)
}

#[cfg(test)]
mod tests;
