//! What may be said to the Activator, and what may be read of it.

use std::sync::Arc;

use fleet_core::ids::{BootId, OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, NackReason, Offer};
use instance::documents::Finding;
use instance::{Action, HistoryRecord};
use policy_config::ConfigDigest;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::record::Record;

/// Everything that can happen to what runs.
#[derive(Debug)]
pub enum Event {
    Offered(Offered),
    /// Somebody on this host wants another pack.
    Ordered(Order),
    /// A pinned gateway goes back to its control plane.
    Unpinned(Unpin),
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

/// An order of this host. It is carried out to its end, whether or not whoever gave it still waits.
#[derive(Debug)]
pub struct Order {
    pub asked: Asked,
    pub change: LocalChange,
    pub answer: oneshot::Sender<Result<HistoryRecord, OrderError>>,
}

/// The order that ends what broke the glass.
#[derive(Debug)]
pub struct Unpin {
    pub asked: Asked,
    pub answer: oneshot::Sender<Result<(), OrderError>>,
}

/// Who wants it, and why; for the history.
#[derive(Debug, Clone)]
pub struct Asked {
    pub action: Action,
    pub actor: String,
    pub reason: Option<String>,
    /// Also where packs come from a control plane; the gateway is then pinned.
    pub break_glass: bool,
}

#[derive(Debug, Clone)]
pub enum LocalChange {
    /// These bytes, read on this host.
    Load(Vec<u8>),
    /// Back to the newest good pack below; after a failed load, to what runs.
    Revert,
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("refused at stage {}: {}", .0.stage, .0.reason)]
    Refused(NackReason),
    #[error("there is no good pack to go back to")]
    NothingToRevert,
    #[error("the packs of this gateway come from a control plane")]
    Managed,
    #[error("the gateway is stopping")]
    Stopping,
    /// And the history does not tell of it.
    #[error("{error}")]
    Untold { error: Box<OrderError>, warning: Box<Finding> },
}

/// The door to the Activator; clones share it.
#[derive(Debug, Clone)]
pub struct ActivatorHandle {
    pub(super) boot: BootId,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) record: watch::Receiver<Arc<Record>>,
    pub(super) remarks: Arc<[String]>,
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

    /// What the start found spoiled on the disk, and what it did about it.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The same, with one more.
    pub fn with_remark(&self, remark: String) -> Self {
        let remarks = self.remarks.iter().cloned().chain([remark]).collect();
        Self { remarks, ..self.clone() }
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

    /// Gives an order and waits for the outcome.
    ///
    /// # Errors
    /// Why it was not carried out.
    pub async fn order(&self, asked: Asked, change: LocalChange) -> Result<HistoryRecord, OrderError> {
        let (answer, outcome) = oneshot::channel();
        let order = Event::Ordered(Order { asked, change, answer });
        self.send(order).await.map_err(|_| OrderError::Stopping)?;
        outcome.await.unwrap_or(Err(OrderError::Stopping))
    }

    /// Gives a pinned gateway back to its control plane; another one stays as it is.
    ///
    /// # Errors
    /// It is not durable, or the gateway is stopping.
    pub async fn unpin(&self, asked: Asked) -> Result<(), OrderError> {
        let (answer, outcome) = oneshot::channel();
        let unpin = Event::Unpinned(Unpin { asked, answer });
        self.send(unpin).await.map_err(|_| OrderError::Stopping)?;
        outcome.await.unwrap_or(Err(OrderError::Stopping))
    }
}

// === impl OrderError ===

impl OrderError {
    /// With what was said of the history, if it does not tell of it.
    pub(super) fn told(self, told: Result<(), Finding>) -> Self {
        match told {
            Ok(()) => self,
            Err(warning) => Self::Untold { error: Box::new(self), warning: Box::new(warning) },
        }
    }
}

// === impl Asked ===

impl Asked {
    /// Nothing is said but who and what.
    pub fn by(actor: impl Into<String>, action: Action) -> Self {
        Self { action, actor: actor.into(), reason: None, break_glass: false }
    }
}
