//! A whole gateway inside another program, on port 0 if it likes: what tests of fleets start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use instance::HistoryRecord;
use service_kit::clock::Clock;
use service_kit::drain;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::policy_file::reload;
use super::{Addresses, AppError, Launch, bind};
use crate::activation::handle::ActivatorHandle;
use crate::activation::live::{ActivePolicy, LivePolicy};
use crate::activation::record::Record;
use crate::admin::Admin;
use crate::settings::Settings;

/// A gateway that serves. Dropping it stops it as a signal would, without waiting for the end.
pub struct Gateway {
    addresses: Addresses,
    handle: ActivatorHandle,
    live: LivePolicy,
    policy_file: Option<PathBuf>,
    admin: Arc<Admin>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), AppError>>,
}

// === impl Gateway ===

impl Gateway {
    /// # Errors
    /// As [`bind`].
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, AppError> {
        let bound = bind(settings, Launch::default(), clock).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (addresses, handle, live) =
            (bound.addresses, bound.steering.handle().clone(), bound.live.clone());
        let admin = bound.steering.admin();
        let policy_file = bound.steering.parts().settings.policy_file().map(ToOwned::to_owned);
        let (_trigger, watcher) = drain::channel();
        let ended = watcher.spawn(
            "gateway",
            bound.serve(
                async {
                    // Dropping the sender is an order as well.
                    let _ = stopped.await;
                    None
                },
                std::future::pending(),
            ),
        );
        Ok(Self { addresses, handle, live, policy_file, admin, stop, ended })
    }

    /// Of the data plane.
    pub fn address(&self) -> SocketAddr {
        self.addresses.data
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What is in force now.
    pub fn policy(&self) -> Option<Arc<ActivePolicy>> {
        self.live.snapshot()
    }

    pub fn record(&self) -> Arc<Record> {
        self.handle.record()
    }

    /// Whom to order, as its door does.
    pub fn activator(&self) -> &ActivatorHandle {
        &self.handle
    }

    /// Wakes whenever the record changed.
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.handle.watch()
    }

    /// What SIGHUP does. `None`: this gateway's packs come from a control plane.
    ///
    /// # Errors
    /// The file cannot be read, or a stage refused it.
    pub async fn reload(&self) -> Option<Result<HistoryRecord, AppError>> {
        match &self.policy_file {
            Some(path) => Some(reload(path, &self.admin).await),
            None => None,
        }
    }

    /// Drains and waits for the end.
    ///
    /// # Errors
    /// It had ended without being told to.
    pub async fn stop(self) -> Result<(), AppError> {
        // It may have ended by itself; then the outcome below says so.
        let _ = self.stop.send(());
        self.ended.await.unwrap_or(Err(AppError::Defect("gateway")))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(self) -> Result<(), AppError> {
        let _keep_serving = self.stop;
        self.ended.await.unwrap_or(Err(AppError::Defect("gateway")))
    }
}
