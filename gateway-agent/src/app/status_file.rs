//! `status.json`: the standing as this process told it last, for whoever asks while the gateway is down.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use instance::documents::{KeptVersion, LinkStatus, Source as SourceWord, Status, Version};
use instance::{Place, durable};
use service_kit::drain::DrainWatcher;

use super::steering::Parts;
use crate::activation::handle::ActivatorHandle;
use crate::activation::record::{KeptPack, Record};
use crate::settings::Source;

/// Between two writes; a burst of changes is told once.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes whenever what is told has changed, until the drain begins; then what is still to be told.
pub(super) async fn run(place: Place, handle: ActivatorHandle, parts: Parts, drain: DrainWatcher) {
    let (mut records, mut connected) = (handle.watch(), parts.connected.subscribe());
    let mut told = None;
    let mut failing = false;
    loop {
        let record = records.borrow_and_update().clone();
        let now = status(&record, &parts, *connected.borrow_and_update());
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
fn status(record: &Record, parts: &Parts, connected: bool) -> Status {
    let settings = &parts.settings;
    let ready = parts.readiness.is_ready() && parts.live.snapshot().is_some();
    let told = small_status(settings.name.as_str(), settings.source_word(), parts.listen, ready, record);
    let control_plane = match &settings.source {
        Source::ControlPlane(source) => {
            Some(LinkStatus { url: source.url.to_string(), fleet: source.fleet.to_string(), connected })
        }
        Source::File(_) | Source::Stored(_) => None,
    };
    Status { control_plane, ..told }
}

/// (`activation::status` replaces this first thin version.)
pub(crate) fn small_status(
    name: &str,
    source: SourceWord,
    listen: SocketAddr,
    ready: bool,
    record: &Record,
) -> Status {
    let observed = record.active_pack().map(version);
    let kept = |pack: &KeptPack| KeptVersion { version: pack.version.to_string(), digest: pack.digest };
    Status {
        name: name.to_owned(),
        source,
        running: true,
        pid: Some(std::process::id()),
        listen: Some(listen.to_string()),
        ready,
        pinned: record.pinned,
        desired: observed.clone(),
        in_sync: observed.is_some(),
        observed,
        good: record.kept.iter().filter(|pack| pack.good).map(kept).collect(),
        withdrawn: Vec::new(),
        last_failure: None,
        remarks: Vec::new(),
        control_plane: None,
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
