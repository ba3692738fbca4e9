//! `status.json`: the standing as this process told it last, for whoever asks while the gateway is down.

use std::path::Path;
use std::time::Duration;

use instance::documents::{KeptVersion, LinkStatus, Status, Version};
use instance::{Place, durable};
use service_kit::drain::DrainWatcher;
use tokio::sync::watch;

use super::steering::Facts;
use crate::activation::handle::ActivatorHandle;
use crate::activation::record::{KeptPack, Record};

/// Between two writes; a burst of changes is told once.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes whenever what is told has changed, until the drain begins; then what is still to be told.
pub(super) async fn run(
    place: Place,
    handle: ActivatorHandle,
    facts: Facts,
    mut connected: watch::Receiver<bool>,
    drain: DrainWatcher,
) {
    let mut records = handle.watch();
    let mut told = None;
    let mut failing = false;
    loop {
        let record = records.borrow_and_update().clone();
        let now = status(&record, &facts);
        if told.as_ref() != Some(&now) {
            match write(&place.last_status(), &now).await {
                Ok(()) => failing = false,
                Err(error) if failing => tracing::debug!(%error, "status.json still cannot be written"),
                Err(error) => {
                    tracing::warn!(%error, "status.json cannot be written");
                    failing = true;
                }
            }
            told = Some(now);
        }
        if drain.is_draining() {
            return;
        }
        tokio::select! {
            () = drain.signaled() => continue,
            () = tokio::time::sleep(PAUSE) => {}
        }
        tokio::select! {
            () = drain.signaled() => {}
            changed = records.changed() => if changed.is_err() { return },
            changed = connected.changed() => if changed.is_err() { return },
        }
    }
}

async fn write(path: &Path, status: &Status) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(status)?;
    text.push(b'\n');
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || durable::write_unsynced(&path, &text))
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// What this process would answer now.
pub(crate) fn status(record: &Record, facts: &Facts) -> Status {
    let observed = record.active_pack().map(version);
    let kept = |pack: &KeptPack| KeptVersion { version: pack.version.to_string(), digest: pack.digest };
    Status {
        name: facts.name.clone(),
        source: facts.source,
        running: true,
        pid: Some(std::process::id()),
        listen: Some(facts.listen.to_string()),
        ready: facts.readiness.is_ready() && facts.live.snapshot().is_some(),
        pinned: record.pinned,
        desired: observed.clone(),
        observed,
        in_sync: true,
        good: record.kept.iter().filter(|pack| pack.good).map(kept).collect(),
        withdrawn: Vec::new(),
        last_failure: None,
        remarks: facts.remarks.clone(),
        control_plane: facts.link.as_ref().map(|(url, fleet)| LinkStatus {
            url: url.clone(),
            fleet: fleet.clone(),
            connected: *facts.connected.borrow(),
        }),
        agent_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    }
}

fn version(pack: &KeptPack) -> Version {
    Version {
        generation: pack.assigned.map(|(_, generation)| generation.0),
        version: Some(pack.version.to_string()),
        digest: pack.digest,
        at: pack.since.wall,
    }
}
