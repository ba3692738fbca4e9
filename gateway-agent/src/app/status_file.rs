//! `status.json`: the standing as this process told it last, for whoever asks while the gateway is down.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use instance::documents::Status;
use instance::{Place, durable};
use service_kit::drain::DrainWatcher;

use super::steering::Parts;
use crate::activation::handle::ActivatorHandle;
use crate::admin::Admin;

/// Between two writes; a burst of changes is told once.
const PAUSE: Duration = Duration::from_millis(50);

/// Writes whenever what is told has changed, until the drain begins; then what is still to be told.
pub(super) async fn run(
    place: Place,
    admin: Arc<Admin>,
    parts: Parts,
    handle: ActivatorHandle,
    drain: DrainWatcher,
) {
    let (mut records, mut connected) = (handle.watch(), parts.connected.subscribe());
    let mut told = None;
    let mut failing = false;
    loop {
        records.mark_unchanged();
        connected.mark_unchanged();
        let now = admin.status(&drain);
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

/// Once, of a start that comes to nothing.
pub(super) async fn once(place: &Place, admin: &Admin, drain: &DrainWatcher) {
    if let Err(error) = write(&place.last_status(), &admin.status(drain)).await {
        tracing::warn!(%error, "status.json cannot be written");
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
