//! SIGHUP: the policy file is read again and passes the same stages as ever.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use instance::{Action, HistoryRecord};
use service_kit::drain::{DrainWatcher, Hangups};
use tokio::time::Instant;

use super::AppError;
use crate::activation::handle::{Asked, LocalChange, OrderError};
use crate::activation::live::LivePolicy;
use crate::activation::local_source::{self, LocalSourceError};
use crate::admin::{Admin, FILE_WITHIN};

/// Until the drain begins; a SIGHUP that comes after it waits in what is answered.
pub(super) async fn reload_on_hangup(
    mut hangups: Hangups,
    policy_file: Option<PathBuf>,
    admin: Arc<Admin>,
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
        if let Err(error) = reload(path, &admin).await {
            let version = live.snapshot().map(|policy| policy.version.to_string());
            tracing::error!(version, "reload failed, the old policy serves on");
            for line in error.to_string().lines() {
                tracing::error!("{line}");
            }
        }
    }
}

/// Reads the policy file again and applies it, in its turn among the reloads of the door: what was read later is
/// applied later.
pub(crate) async fn reload(path: &Path, admin: &Admin) -> Result<HistoryRecord, AppError> {
    let asked = Asked::by("SIGHUP", Action::Reload);
    let turn = admin.turn().await;
    let started = Instant::now();
    match read(path).await {
        Ok(source) => {
            let loaded = admin.activator().order(asked, LocalChange::Load(source)).await;
            loaded.map_err(|error| not_loaded(path, error))
        }
        Err(error) => {
            drop(turn);
            // The log says it where the history does not.
            let _ = admin.tell_failed(&asked, started, &error.to_string()).await;
            Err(error)
        }
    }
}

/// A disk that does not answer keeps neither the threads that serve nor the reloads of others.
async fn read(path: &Path) -> Result<Vec<u8>, AppError> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || local_source::read(&file));
    match tokio::time::timeout(FILE_WITHIN, reading).await {
        Ok(Ok(read)) => Ok(read?),
        Ok(Err(_)) => Err(not_loaded(path, OrderError::Stopping)),
        Err(_) => {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer");
            Err(LocalSourceError::Unreadable { path: path.to_owned(), error }.into())
        }
    }
}

pub(super) fn not_loaded(path: &Path, error: OrderError) -> AppError {
    match error {
        OrderError::Refused(reason) => AppError::Refused { path: path.to_owned(), reason },
        OrderError::Untold { error, .. } => not_loaded(path, *error),
        error @ (OrderError::NothingToRevert | OrderError::Managed | OrderError::Stopping) => {
            AppError::NotLoaded { path: path.to_owned(), error: Box::new(error) }
        }
    }
}
