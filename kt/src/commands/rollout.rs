//! `kt rollout …`, and what `kt config push` shares with it.

pub(crate) mod list;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod wait;

use std::collections::BTreeMap;

use fleet_core::ids::{InvalidId, RolloutId};
use fleet_core::rollout::RolloutStrategy;
use proto::v1;

use crate::cli::central::{RolloutFlags, StrategyKind};
use crate::diagnostics::{Exhibit, Style, report};
use crate::failure::Failure;
use crate::input::NamedSource;
use crate::printer::Printer;
use crate::tables;
use crate::views::findings::stage;
use crate::views::{CountsView, finding, rollouts};
use crate::words::{clean_line, counted};

/// Different refusals that are drawn in full.
const MOST_REFUSALS: usize = 10;

/// The order that the flags give.
pub(crate) fn order(fleet: &str, flags: &RolloutFlags) -> Result<v1::RolloutOrder, Failure> {
    let fleet = super::fleet_name("--fleet", fleet)?.to_string();
    let strategy = Some(strategy(flags)?);
    Ok(v1::RolloutOrder { fleet, strategy, replace_config: flags.replace_config, supersede: flags.supersede })
}

/// A strategy that is not set stays so: the server has the defaults.
pub(crate) fn strategy(flags: &RolloutFlags) -> Result<v1::Strategy, Failure> {
    match flags.strategy.unwrap_or(StrategyKind::All) {
        StrategyKind::All => {}
    }
    let bad = |error: fleet_core::rollout::InvalidStrategy| {
        let field = match error {
            fleet_core::rollout::InvalidStrategy::Bake => "--bake",
            fleet_core::rollout::InvalidStrategy::Deadline => "--deadline",
        };
        Failure::usage(field, error.to_string())
    };
    RolloutStrategy::new(flags.bake, flags.deadline).map_err(bad)?;
    let wire = |duration| proto::convert::scalars::wire_duration(duration);
    Ok(v1::Strategy { bake: flags.bake.map(wire), deadline: flags.deadline.map(wire) })
}

/// A key of kt's own, so that a call whose answer was lost can be made again.
pub(crate) fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// A rollout's id as typed.
pub(crate) fn rollout_id(text: &str) -> Result<RolloutId, Failure> {
    text.parse().map_err(|error: InvalidId| {
        Failure::usage("ID", format!("`{text}` is no rollout: {error}"))
            .with_hint("`kt rollout list --fleet FLEET` shows the ids")
    })
}

/// `rollout ID: succeeded: 3 active of 3 gateways`
pub(crate) fn summary_line(rollout: &v1::Rollout) -> String {
    let counts = tables::counts(&CountsView::of(&rollouts::counts(rollout)));
    let reason = if rollout.reason.is_empty() { String::new() } else { format!(" ({})", rollout.reason) };
    clean_line(&format!("rollout {}: {}{reason}: {counts}", rollout.id, rollouts::state(rollout.state())))
}

/// Each different refusal once, drawn like a local lint when the file is at hand.
pub(crate) fn show_rejections(rollout: &v1::Rollout, source: Option<&NamedSource>, printer: &Printer) {
    let mut groups: BTreeMap<String, (Vec<&str>, &v1::Refusal)> = BTreeMap::new();
    for rejection in &rollout.rejections {
        if let Some(refusal) = &rejection.refusal {
            let key = format!("{refusal:?}");
            groups.entry(key).or_insert_with(|| (Vec::new(), refusal)).0.push(&rejection.gateway);
        }
    }
    for (gateways, refusal) in groups.values().take(MOST_REFUSALS) {
        let who = match gateways.as_slice() {
            [one] => (*one).to_owned(),
            [first, rest @ ..] => format!("{first} and {}", counted(rest.len(), "other gateway")),
            [] => continue,
        };
        let at = stage(refusal.stage()).map(|stage| format!(" at {stage}")).unwrap_or_default();
        printer.talk(&clean_line(&format!("{who} refused{at}: {}", refusal.reason)));
        let findings: Vec<_> = refusal.findings.iter().map(finding).collect();
        if !findings.is_empty() {
            let nameless = format!("{}@{}", rollout.config, rollout.revision);
            let exhibit = source.map_or(Exhibit { name: &nameless, source: b"" }, |source| Exhibit {
                name: &source.name,
                source: &source.bytes,
            });
            printer.talk(&report(exhibit, &findings, Style { colour: printer.stderr_has_colour() }));
        }
    }
    if groups.len() > MOST_REFUSALS {
        printer.talk(&format!("… and {} more; --json lists all", groups.len() - MOST_REFUSALS));
    }
}
