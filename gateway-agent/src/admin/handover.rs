//! `POST /keeptrusts/handover`: this process lets go of the gateway's directory for a newcomer that takes over, and
//! learns whether that one is still there.
//!
//! The door only carries the message; what is let go of, and taken back, is the app's.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use instance::documents::ErrorCode;
use service_kit::drain::DrainWatcher;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::errors::Refusal;

/// A newcomer asks for the directory.
#[derive(Debug)]
pub struct HandOver {
    /// Told once the directory is free. Dropped untold, the newcomer is refused.
    pub released: oneshot::Sender<()>,
    /// Resolves, by its sender's drop, when the newcomer's connection has ended.
    pub gone: oneshot::Receiver<()>,
}

/// Where newcomers ask, one at a time.
pub(super) struct Desk {
    /// `None`: nobody supervises this process.
    wishes: Option<mpsc::Sender<HandOver>>,
    turn: Arc<Semaphore>,
}

/// What the newcomer reads when the directory is free.
const RELEASED: &[u8] = b"{\"released\":true}\n";

/// The one line, and then nothing until this process ends or the newcomer does.
pub(super) struct OpenBody {
    line: Option<Bytes>,
    drained: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    _gone: oneshot::Sender<()>,
    /// One hand-over at a time.
    _turn: OwnedSemaphorePermit,
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(wishes: Option<mpsc::Sender<HandOver>>) -> Self {
        Self { wishes, turn: Arc::new(Semaphore::new(1)) }
    }

    /// Waits until the app has let go, for as long as the newcomer does.
    pub(super) async fn ask(&self, drain: &DrainWatcher) -> Result<OpenBody, Refusal> {
        let refused = |why: &str| Refusal::new(ErrorCode::Stopping, why);
        let Some(wishes) = &self.wishes else {
            return Err(Refusal::invalid(
                "this process is not supervised by `kt`: there is no listening socket that a new process could share; \
                 end it and start the gateway anew",
            ));
        };
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return Err(refused("this gateway is being handed over already"));
        };
        let (released, is_released) = oneshot::channel();
        let (here, gone) = oneshot::channel();
        let told = async {
            wishes.send(HandOver { released, gone }).await.ok()?;
            is_released.await.ok()
        };
        match told.await {
            Some(()) => Ok(OpenBody::new(here, turn, drain.clone())),
            None => Err(refused("this gateway does not hand over now; ask again")),
        }
    }
}

// === impl OpenBody ===

impl OpenBody {
    fn new(gone: oneshot::Sender<()>, turn: OwnedSemaphorePermit, drain: DrainWatcher) -> Self {
        Self {
            line: Some(Bytes::from_static(RELEASED)),
            drained: Box::pin(async move { drain.signaled().await }),
            _gone: gone,
            _turn: turn,
        }
    }
}

impl Body for OpenBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(line) = self.line.take() {
            return Poll::Ready(Some(Ok(Frame::data(line))));
        }
        ready!(self.drained.as_mut().poll(context));
        Poll::Ready(None)
    }
}
