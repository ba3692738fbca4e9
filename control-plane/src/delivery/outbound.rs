//! The sending half of one stream: bounded, and patient for a while only.

use std::time::Duration;

use proto::v1;
use proto::v1::to_agent::Message;
use service_kit::failpoint::Injected;
use tokio::sync::mpsc;
use tonic::Status;

use crate::api::call_error::CallError;
use crate::api::status;
use crate::operations::OperationError;

/// Messages that wait for the peer to read; more than one offer with its parcel is never under way.
pub(crate) const CAPACITY: usize = 8;

/// How long a peer may leave its messages unread.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the peer of a session reads.
#[derive(Debug)]
pub(crate) struct Outbound {
    sender: mpsc::Sender<Result<v1::ToAgent, Status>>,
}

/// Why a stream ends; both are the peer's doing or ours, never an error of the program.
#[derive(Debug)]
pub(crate) enum End {
    /// The peer hung up, or everything was said.
    Quiet,
    Told(Status),
}

// === impl Outbound ===

impl Outbound {
    pub(crate) const fn new(sender: mpsc::Sender<Result<v1::ToAgent, Status>>) -> Self {
        Self { sender }
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), End> {
        match self.sender.send_timeout(Ok(v1::ToAgent { message: Some(message) }), PATIENCE).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Quiet),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(CallError::SlowReader(PATIENCE).into()),
        }
    }

    /// Says the last word, unless the peer reads nothing any more.
    pub(crate) async fn end(self, end: End) {
        match end {
            End::Quiet => {}
            End::Told(status) => {
                let _ = self.sender.send_timeout(Err(status), Duration::from_secs(1)).await;
            }
        }
    }

    /// Waits until the peer is gone.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }
}

// === impl End ===

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        Self::Told(status::refuse(error))
    }
}

/// As if the peer had hung up.
impl From<Injected> for End {
    fn from(_: Injected) -> Self {
        Self::Quiet
    }
}

impl From<OperationError> for End {
    fn from(error: OperationError) -> Self {
        Self::Told(status::refuse(error))
    }
}
