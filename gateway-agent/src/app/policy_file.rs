//! SIGHUP: the policy file is read again and passes the same stages as ever.

use std::path::{Path, PathBuf};

use instance::{Action, HistoryRecord};
use service_kit::drain::{DrainWatcher, Hangups};

use super::AppError;
use crate::activation::handle::{ActivatorHandle, Asked, LocalChange, OrderError};
use crate::activation::live::LivePolicy;
use crate::activation::local_source;

/// Until the drain begins; a SIGHUP that comes after it waits in what is answered.
pub(super) async fn reload_on_hangup(
    mut hangups: Hangups,
    policy_file: Option<PathBuf>,
    handle: ActivatorHandle,
    live: LivePolicy,
    drain: DrainWatcher,
) -> Hangups {
    loop {
        tokio::select! {
            () = drain.signaled() => return hangups,
            () = hangups.recv() => {}
        }
        let Some(path) = &policy_file else {
            tracing::info!("SIGHUP: nothing to read again, packs come from the control plane");
            continue;
        };
        if let Err(error) = reload(path, &handle).await {
            let version = live.snapshot().map(|policy| policy.version.to_string());
            tracing::error!(version, "reload failed, the old policy serves on");
            for line in error.to_string().lines() {
                tracing::error!("{line}");
            }
        }
    }
}

/// Reads the policy file again and applies it.
pub(super) async fn reload(path: &Path, handle: &ActivatorHandle) -> Result<HistoryRecord, AppError> {
    let source = local_source::read(path)?;
    let asked = Asked::by("SIGHUP", Action::Reload);
    handle.order(asked, LocalChange::Load(source)).await.map_err(|error| not_loaded(path, error))
}

pub(super) fn not_loaded(path: &Path, error: OrderError) -> AppError {
    match error {
        OrderError::Refused(reason) => AppError::Refused { path: path.to_owned(), reason },
        OrderError::Untold { error, .. } => not_loaded(path, *error),
        OrderError::NothingToRevert | OrderError::Managed | OrderError::Stopping => {
            AppError::Defect("activator")
        }
    }
}
