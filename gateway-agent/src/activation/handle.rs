//! What may be said to the Activator, and what may be read of it.

use std::sync::Arc;

use fleet_core::ids::{BootId, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason, Offer};
use policy_config::ConfigDigest;
use policy_config::schema::PackVersion;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::record::Record;

/// Everything that can happen to what runs.
#[derive(Debug)]
pub enum Event {
    Offered(Offered),
    /// A policy file of this host was read.
    LocalFile {
        source: Vec<u8>,
        answer: oneshot::Sender<Result<LocalOutcome, NackReason>>,
    },
    /// The control plane has recorded the answer to this offer.
    Confirmed {
        offer: OfferId,
    },
}

/// An offer of the control plane, with its bytes when they came along.
#[derive(Debug)]
pub struct Offered {
    pub session: SessionId,
    pub offer: Offer,
    /// `None`: the bytes should be on this disk.
    pub source: Option<Vec<u8>>,
    pub received: Instant,
    /// Where the answer to a mere question goes; answers to assignments go into the record.
    pub validated: mpsc::Sender<Validated>,
}

/// The answer to an offer that was only asked about.
#[derive(Debug)]
pub struct Validated {
    pub offer: OfferId,
    pub digest: ConfigDigest,
    pub acknowledgement: Acknowledgement,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalOutcome {
    Activated(PackVersion),
    /// The file is what runs.
    NoChange,
}

/// The door to the Activator; clones share it.
#[derive(Debug, Clone)]
pub struct ActivatorHandle {
    pub(super) boot: BootId,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) record: watch::Receiver<Arc<Record>>,
}

/// The Activator has ended, because the gateway stops.
#[derive(Debug, thiserror::Error)]
#[error("the gateway is stopping")]
pub struct Stopping;

// === impl ActivatorHandle ===

impl ActivatorHandle {
    /// This start of the process.
    pub fn boot(&self) -> BootId {
        self.boot
    }

    /// What is remembered now.
    pub fn record(&self) -> Arc<Record> {
        self.record.borrow().clone()
    }

    /// Wakes whenever the record changed.
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.record.clone()
    }

    /// # Errors
    /// The gateway is stopping.
    pub async fn send(&self, event: Event) -> Result<(), Stopping> {
        self.events.send(event).await.map_err(|_| Stopping)
    }

    /// Applies a policy file of this host and waits for the outcome.
    ///
    /// # Errors
    /// The outer one: the gateway is stopping. The inner one: the stage that refused.
    pub async fn apply_file(&self, source: Vec<u8>) -> Result<Result<LocalOutcome, NackReason>, Stopping> {
        let (answer, outcome) = oneshot::channel();
        self.send(Event::LocalFile { source, answer }).await?;
        outcome.await.map_err(|_| Stopping)
    }
}
