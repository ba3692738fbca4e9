//! A gateway of this host as text: what it runs, what it should run, why they differ, how to go back. Pure.

use instance::documents::{KeptVersion, LinkStatus, Source, Status, Version};
use instance::{Action, HistoryRecord, Outcome};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{facts, table};
use crate::views::LocalGatewayView;
use crate::words::{clean_line, short_digest};

pub(crate) fn gateways(gateways: &[LocalGatewayView], width: Option<u16>) -> String {
    let rows = gateways.iter().map(|gateway| {
        vec![
            gateway.name.clone(),
            gateway.source.map_or_else(|| "?".to_owned(), word),
            if gateway.running { "running" } else { "stopped" }.to_owned(),
            gateway.listen.clone().unwrap_or_else(|| "-".to_owned()),
            gateway.version.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    table(&["name", "source", "state", "listen", "version"], rows.collect(), width)
}

/// `is_supervised`: somebody starts it again should it end, or it does not run at all.
pub(crate) fn status(status: &Status, is_supervised: bool) -> String {
    let wanted = status.desired.as_ref().filter(|_| !status.in_sync);
    let state = state(status, is_supervised);
    let mut rows = vec![
        ("gateway", format!("{} ({})", status.name, word(status.source))),
        ("state", state),
        ("listens on", status.listen.clone().unwrap_or_default()),
        ("fleet", status.control_plane.as_ref().map(link).unwrap_or_default()),
        ("runs", status.observed.as_ref().map_or_else(|| "nothing".to_owned(), version)),
        ("should run", wanted.map(version).unwrap_or_default()),
        ("why", why(status)),
    ];
    if let Some(failure) = &status.last_failure {
        let untold = failure.findings.iter().filter(|finding| !failure.reason.contains(&finding.message));
        rows.extend(untold.take(3).map(|finding| {
            let place = if finding.line > 0 {
                format!(" at {}:{}", finding.line, finding.column)
            } else {
                String::new()
            };
            ("", format!("{}{place}: {}", finding.code, finding.message))
        }));
    }
    rows.extend([
        ("go back", go_back(status)),
        ("pinned", if status.pinned { pinned(&status.name) } else { String::new() }),
        ("good", kept(&status.good)),
        ("withdrawn", kept(&status.withdrawn)),
    ]);
    rows.extend(status.remarks.iter().map(|remark| ("remark", remark.clone())));
    facts(&rows)
}

pub(crate) fn history(records: &[HistoryRecord], width: Option<u16>) -> String {
    let rows = records.iter().map(|record| {
        vec![
            second(record.at),
            word(record.action),
            word(record.outcome),
            record.actor.clone(),
            change(record),
            format!("{} ms", record.duration_ms),
            record.reason.clone().unwrap_or_default(),
        ]
    });
    table(&["at", "action", "outcome", "by", "version", "took", "reason"], rows.collect(), width)
}

/// `reloaded a: 0.1.0 → 0.2.0 in 12 ms`, by what became of it.
pub(crate) fn changed(name: &str, record: &HistoryRecord) -> String {
    let (from, to, now) =
        (short(record.from.as_ref()), short(record.to.as_ref()), short(record.observed.as_ref()));
    let took = record.duration_ms;
    match (record.outcome, record.action) {
        (Outcome::NoChange, _) => format!("no change: gateway {name} runs {now} already"),
        (Outcome::Withdrawn, _) => {
            let why = record.reason.as_deref().unwrap_or("what did not come to run is not wanted any more");
            format!("withdrawn: gateway {name} runs {now}, as before; {}", clean_line(why))
        }
        (_, Action::Revert) => {
            format!(
                "reverted gateway {name}: {from} → {now} in {took} ms; {from} is withdrawn until it is loaded again"
            )
        }
        _ => format!("reloaded gateway {name}: {from} → {to} in {took} ms"),
    }
}

fn state(status: &Status, is_supervised: bool) -> String {
    if !status.running {
        return "stopped".to_owned();
    }
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let ready = if status.ready { "" } else { ", not ready: it answers 503" };
    let alone = if is_supervised { "" } else { ", nobody supervises it" };
    format!("running{pid}{ready}{alone}")
}

fn why(status: &Status) -> String {
    match &status.last_failure {
        Some(failure) => {
            let (action, at) = (word(failure.action), second(failure.at));
            format!("{action} failed at stage {} ({at}): {}", failure.stage, failure.reason)
        }
        None => String::new(),
    }
}

/// What `kt gateway revert` would do now.
fn go_back(status: &Status) -> String {
    let command = format!("`kt gateway revert --name {}`", status.name);
    if !status.running {
        return String::new();
    }
    let running = status.observed.as_ref().map(|observed| observed.digest);
    let wanted = status.desired.as_ref().filter(|_| !status.in_sync && status.last_failure.is_some());
    if let (Some(wanted), Some(observed)) = (wanted, &status.observed) {
        return format!("{command} withdraws {} and keeps {}", short(Some(wanted)), short(Some(observed)));
    }
    match status.good.iter().find(|kept| Some(kept.digest) != running) {
        Some(target) if status.source == Source::Local => format!("{command} goes to {}", target.version),
        _ => String::new(),
    }
}

fn pinned(name: &str) -> String {
    format!("yes, it does not follow its fleet; `kt gateway unpin --name {name}` ends that")
}

fn link(link: &LinkStatus) -> String {
    let state = if link.connected { "connected" } else { "not connected" };
    format!("{} at {}, {state}", link.fleet, link.url)
}

/// The newest first; what does not fit is counted.
fn kept(kept: &[KeptVersion]) -> String {
    const SHOWN: usize = 5;
    let mut text = kept.iter().take(SHOWN).map(|kept| kept.version.as_str()).collect::<Vec<_>>().join(", ");
    if kept.len() > SHOWN {
        text.push_str(&format!(" and {} more", kept.len() - SHOWN));
    }
    text
}

fn version(version: &Version) -> String {
    let generation = version.generation.map(|number| format!(", generation {number}")).unwrap_or_default();
    let name = version.version.as_deref().unwrap_or("a pack that does not parse");
    let digest = short_digest(&version.digest.to_string());
    format!("{name} ({digest}{generation}) since {}", second(version.at))
}

/// The author's version; of bytes that do not parse their digest.
fn short(version: Option<&Version>) -> String {
    match version {
        Some(Version { version: Some(version), .. }) => version.clone(),
        Some(Version { digest, .. }) => short_digest(&digest.to_string()),
        None => "nothing".to_owned(),
    }
}

fn change(record: &HistoryRecord) -> String {
    match (&record.from, &record.to) {
        (None, None) => String::new(),
        (None, Some(to)) => short(Some(to)),
        (Some(from), None) => short(Some(from)),
        (Some(from), Some(to)) if from.digest == to.digest => short(Some(to)),
        (from, to) => format!("{} → {}", short(from.as_ref()), short(to.as_ref())),
    }
}

/// To the second.
fn second(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The word of a value, as scripts read it.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests;
