//! A gateway of this host as text: what it runs, what it should run, why they differ, how to go back. Pure.

mod history;
mod versions;

use instance::documents::{KeptVersion, LinkStatus, Source, Status, Version};
use instance::{Action, HistoryRecord, Outcome};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{facts, table};
use crate::instances::look::{Looked, Phase};
use crate::supervisor::supervision::Supervision;
use crate::views::LocalGatewayView;
use crate::words::{clean_line, short_digest};
pub(crate) use history::history;
use versions::Versions;

pub(crate) fn gateways(gateways: &[LocalGatewayView], width: Option<u16>) -> String {
    let rows = gateways.iter().map(|gateway| {
        vec![
            gateway.name.clone(),
            gateway.source.map_or_else(|| "?".to_owned(), word),
            word(gateway.state),
            gateway.listen.clone().unwrap_or_else(|| "-".to_owned()),
            gateway.version.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    });
    table(&["name", "source", "state", "listen", "version"], rows.collect(), width)
}

/// As seen at `now`.
pub(crate) fn status(looked: &Looked, now: OffsetDateTime) -> String {
    let status = &looked.status;
    let versions = Versions::of_status(status);
    let is_ending = looked.phase == Phase::Stopping;
    let wanted = status.desired.as_ref().filter(|_| !status.in_sync && !is_ending);
    let runs = match &status.observed {
        Some(observed) => version(observed),
        // It may serve what it has begun to, and does not say so any more.
        None if is_ending => String::new(),
        None => "nothing".to_owned(),
    };
    let mut rows = vec![
        ("gateway", format!("{} ({})", status.name, word(status.source))),
        ("state", state(looked, now)),
        ("listens on", status.listen.clone().unwrap_or_default()),
        ("fleet", status.control_plane.as_ref().map(link).unwrap_or_default()),
        ("runs", runs),
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
        ("go back", go_back(looked, &versions)),
        ("pinned", if status.pinned { pinned(&status.name) } else { String::new() }),
        ("good", kept(&status.good, &versions)),
        ("withdrawn", kept(&status.withdrawn, &versions)),
    ]);
    rows.extend(status.remarks.iter().map(|remark| ("remark", remark.clone())));
    facts(&rows)
}

/// `reloaded a: 0.1.0 → 0.2.0 in 12 ms`, by what became of it.
pub(crate) fn changed(name: &str, record: &HistoryRecord) -> String {
    let versions = Versions::of_records(std::slice::from_ref(record));
    let name_of = |version: &Option<Version>| versions.name(version.as_ref());
    let (from, to, now) = (name_of(&record.from), name_of(&record.to), name_of(&record.observed));
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

fn state(looked: &Looked, now: OffsetDateTime) -> String {
    let status = &looked.status;
    let pid = status.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    let is_supervised = match looked.phase {
        Phase::Running { supervised } => supervised,
        Phase::Starting => return format!("starting{pid}"),
        Phase::Restarting => return again(&status.name, looked.supervision.as_ref(), now),
        Phase::Stopping => return format!("stopping{pid}: it finishes its requests"),
        Phase::Stopped => return "stopped".to_owned(),
    };
    let ready = if status.ready { "" } else { ", not ready: it answers 503" };
    let alone = if is_supervised { "" } else { ", nobody supervises it" };
    format!("running{pid}{ready}{alone}")
}

/// `starting again in 2s: reason`
fn again(name: &str, supervision: Option<&Supervision>, now: OffsetDateTime) -> String {
    let reason = supervision.and_then(|supervision| supervision.reason.as_deref());
    let known = format!("gateway `{name}` did not start: ");
    let reason = reason.map(|reason| reason.strip_prefix(&known).unwrap_or(reason));
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    match supervision.and_then(|supervision| supervision.waits(now)) {
        Some(left) => format!("starting again in {}s{reason}", left.as_millis().div_ceil(1000)),
        None => format!("starting again{reason}"),
    }
}

fn why(status: &Status) -> String {
    match &status.last_failure {
        Some(failure) => {
            let (action, at) = (word(failure.action), second(failure.at));
            let stage = match failure.stage.as_str() {
                "" => String::new(),
                stage => format!(" at stage {stage}"),
            };
            format!("{action} failed{stage} ({at}): {}", failure.reason)
        }
        None => String::new(),
    }
}

/// What `kt gateway revert` would do now.
fn go_back(looked: &Looked, versions: &Versions<'_>) -> String {
    let status = &looked.status;
    let command = format!("`kt gateway revert --name {}`", status.name);
    if !matches!(looked.phase, Phase::Running { .. }) {
        return String::new();
    }
    let running = status.observed.as_ref().map(|observed| observed.digest);
    let wanted = status.desired.as_ref().filter(|_| !status.in_sync && status.last_failure.is_some());
    if let (Some(wanted), Some(observed)) = (wanted, &status.observed) {
        return format!(
            "{command} withdraws {} and keeps {}",
            versions.name(Some(wanted)),
            versions.name(Some(observed))
        );
    }
    match status.good.iter().find(|kept| Some(kept.digest) != running) {
        Some(target) if status.source == Source::Local => {
            format!("{command} goes to {}", versions.kept(target))
        }
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
fn kept(kept: &[KeptVersion], versions: &Versions<'_>) -> String {
    const SHOWN: usize = 5;
    let shown = kept.iter().take(SHOWN).map(|kept| versions.kept(kept));
    let mut text = shown.collect::<Vec<_>>().join(", ");
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
