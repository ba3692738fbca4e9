//! Views as text for people: tables and short lists. Pure; everything from elsewhere is cleaned here.

pub(crate) mod local;

use comfy_table::{ContentArrangement, Row, Table, presets};

use crate::views::fleets::OutcomeView;
use crate::views::{
    CountsView, EventView, FleetView, GatewayView, RevisionView, RolloutView, SectionView, VersionView,
};
use crate::words::{clean, clean_line, counted, short_digest};

/// A table that keeps to `width` columns when somebody looks, and never wraps for a script.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(Row::from(header.iter().map(|title| title.to_uppercase()).collect::<Vec<_>>()));
    for row in rows {
        table.add_row(Row::from(row.iter().map(|cell| clean_line(cell)).collect::<Vec<_>>()));
    }
    let arrangement =
        if width.is_some() { ContentArrangement::Dynamic } else { ContentArrangement::Disabled };
    table.set_content_arrangement(arrangement);
    if let Some(width) = width {
        table.set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `name  value` lines; what is empty is left out.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let wide = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let lines = facts.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:wide$}  {}", clean_line(value))).collect::<Vec<_>>().join("\n")
}

pub(crate) fn fleets(fleets: &[FleetView], width: Option<u16>) -> String {
    let rows = fleets.iter().map(|fleet| {
        vec![
            fleet.name.clone(),
            or_dash(fleet.config.as_deref()),
            version(fleet.stable.as_ref()),
            fleet.gateways.to_string(),
        ]
    });
    table(&["name", "config", "stable", "gateways"], rows.collect(), width)
}

pub(crate) fn fleet(fleet: &FleetView) -> String {
    let stable_by = fleet.stable_by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
    facts(&[
        ("name", fleet.name.clone()),
        ("config", or_dash(fleet.config.as_deref())),
        ("stable", format!("{}{stable_by}", version(fleet.stable.as_ref()))),
        ("gateways", fleet.gateways.to_string()),
        (
            "strategy",
            format!(
                "{}, bake {}, deadline {}",
                fleet.defaults.strategy, fleet.defaults.bake, fleet.defaults.deadline
            ),
        ),
        ("created", or_dash(fleet.created_at.as_deref())),
    ])
}

pub(crate) fn gateways(gateways: &[GatewayView], width: Option<u16>) -> String {
    let rows = gateways.iter().map(|gateway| {
        let outcome = gateway.last_outcome.as_ref();
        vec![
            gateway.name.clone(),
            gateway.liveness.to_owned(),
            version(gateway.desired.as_ref()),
            version(gateway.observed.as_ref()),
            if gateway.in_sync { "yes" } else { "no" }.to_owned(),
            if gateway.pinned { "yes" } else { "no" }.to_owned(),
            outcome.map_or_else(|| "-".to_owned(), |outcome| outcome.state.clone()),
        ]
    });
    let header = ["name", "liveness", "desired", "observed", "in sync", "pinned", "last outcome"];
    table(&header, rows.collect(), width)
}

pub(crate) fn gateway(gateway: &GatewayView, width: Option<u16>) -> String {
    let labels =
        gateway.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ");
    let mut text = facts(&[
        ("gateway", format!("{}/{}", gateway.fleet, gateway.name)),
        ("id", gateway.id.clone()),
        ("labels", labels),
        ("liveness", gateway.liveness.to_owned()),
        ("last seen", gateway.last_seen.clone().unwrap_or_default()),
        ("agent", gateway.agent_version.clone().unwrap_or_default()),
        ("desired", full_version(gateway.desired.as_ref())),
        ("observed", full_version(gateway.observed.as_ref())),
        ("in sync", if gateway.in_sync { "yes" } else { "no" }.to_owned()),
        ("pinned", if gateway.pinned { "yes".to_owned() } else { String::new() }),
    ]);
    let outcomes = gateway.outcomes.as_deref().unwrap_or_default();
    if !outcomes.is_empty() {
        let rows = outcomes.iter().map(outcome_row).collect();
        text.push_str("\n\n");
        text.push_str(&table(&["generation", "version", "state", "at", "reason"], rows, width));
    }
    text
}

pub(crate) fn revisions(revisions: &[RevisionView], with_config: bool, width: Option<u16>) -> String {
    let rows = revisions.iter().map(|revision| {
        let mut row = vec![
            revision.revision.to_string(),
            revision.version.clone(),
            short_digest(&revision.digest),
            second(revision.at.as_deref()),
            revision.author.clone(),
            revision.note.clone(),
        ];
        if with_config {
            row.insert(0, revision.config.clone());
        }
        row
    });
    let mut header = vec!["revision", "version", "digest", "at", "author", "note"];
    if with_config {
        header.insert(0, "config");
    }
    table(&header, rows.collect(), width)
}

/// Unified lines by section; empty when nothing effective changed.
pub(crate) fn diff(sections: &[SectionView]) -> String {
    let sections = sections.iter().map(|section| {
        let lines: Vec<_> = section.lines.iter().map(|line| clean_line(line)).collect();
        format!("{}:\n{}", clean_line(&section.section), lines.join("\n"))
    });
    sections.collect::<Vec<_>>().join("\n")
}

pub(crate) fn rollouts(rollouts: &[RolloutView], width: Option<u16>) -> String {
    let rows = rollouts.iter().map(|rollout| {
        vec![
            rollout.id.clone(),
            format!("{}@{}", rollout.config, rollout.revision),
            rollout.state.to_owned(),
            format!("{}/{}", rollout.counts.active, rollout.counts.total),
        ]
    });
    table(&["id", "config", "state", "active"], rows.collect(), width)
}

pub(crate) fn rollout(rollout: &RolloutView) -> String {
    let mut text = facts(&[
        ("rollout", rollout.id.clone()),
        ("fleet", rollout.fleet.clone()),
        ("config", format!("{}@{} ({})", rollout.config, rollout.revision, rollout.version)),
        ("state", rollout.state.to_owned()),
        ("reason", rollout.reason.clone().unwrap_or_default()),
        ("counts", counts(&rollout.counts)),
        ("waiting on", rollout.waiting_on.join("; ")),
        ("started", rollout.created_at.clone().unwrap_or_default()),
        ("ended", rollout.ended_at.clone().unwrap_or_default()),
    ]);
    for rejection in &rollout.rejections {
        let stage = rejection.stage.map(|stage| format!(" at {stage}")).unwrap_or_default();
        text.push_str(&format!(
            "\n{} refused{stage}: {}",
            clean_line(&rejection.gateway),
            clean_line(&rejection.reason)
        ));
    }
    text
}

/// `2 active (1 proven), 1 rejected of 3 gateways`
pub(crate) fn counts(counts: &CountsView) -> String {
    let parts: Vec<String> = counts
        .classes()
        .iter()
        .filter(|(name, number)| *number > 0 && *name != "proven")
        .map(|(name, number)| match *name {
            "active" if counts.proven > 0 => format!("{number} active ({} proven)", counts.proven),
            _ => format!("{number} {name}"),
        })
        .collect();
    let total = counted(usize::try_from(counts.total).unwrap_or(usize::MAX), "gateway");
    if parts.is_empty() { total } else { format!("{} of {total}", parts.join(", ")) }
}

/// One event on one line.
pub(crate) fn event(event: &EventView) -> String {
    let mut parts = vec![event.cursor.to_string(), second(event.at.as_deref()), event.kind.clone()];
    parts.extend(event.gateway.clone().or_else(|| event.fleet.clone()));
    match (&event.config, event.revision) {
        (Some(config), Some(revision)) => parts.push(format!("{config}@{revision}")),
        (Some(config), None) => parts.push(config.clone()),
        (None, _) => {}
    }
    parts.extend(event.version.as_ref().map(|version| format!("({version})")));
    parts.extend(event.outcome.clone());
    parts.extend(event.reason.as_ref().map(|reason| format!("- {reason}")));
    clean(&parts.iter().map(|part| clean_line(part)).collect::<Vec<_>>().join("  "))
}

fn outcome_row(outcome: &OutcomeView) -> Vec<String> {
    vec![
        outcome.generation.to_string(),
        or_dash(outcome.version.as_deref()),
        outcome.state.clone(),
        second(outcome.at.as_deref()),
        outcome.reason.clone().unwrap_or_default(),
    ]
}

/// `0.1.1 @2`: the pack's version and the revision.
fn version(version: Option<&VersionView>) -> String {
    let Some(version) = version else { return "-".to_owned() };
    let number = version.version.as_deref().unwrap_or("?");
    version.revision.map_or_else(|| number.to_owned(), |revision| format!("{number} @{revision}"))
}

fn full_version(seen: Option<&VersionView>) -> String {
    let Some(known) = seen else { return "-".to_owned() };
    let mut parts = vec![version(seen)];
    parts.extend(known.generation.map(|generation| format!("generation {generation}")));
    parts.extend(known.digest.as_deref().map(short_digest));
    parts.extend(known.at.as_ref().map(|at| format!("since {at}")));
    parts.join(", ")
}

fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// An RFC 3339 time without its fraction.
fn second(time: Option<&str>) -> String {
    let Some(time) = time else { return "-".to_owned() };
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_to_their_width_only_when_looked_at() {
        let rows = vec![vec!["edge-1".to_owned(), "x ".repeat(80)]];
        let narrow = table(&["name", "note"], rows.clone(), Some(80));
        assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
        let wide = table(&["name", "note"], rows, None);
        assert_eq!(wide.lines().count(), 2, "{wide}");
    }

    #[test]
    fn counts_read_as_a_sentence() {
        let counts_of = CountsView { active: 2, proven: 1, rejected: 1, total: 3, ..CountsView::default() };
        assert_eq!(counts(&counts_of), "2 active (1 proven), 1 rejected of 3 gateways");
        assert_eq!(counts(&CountsView::default()), "0 gateways");
    }
}
