//! `POST /keeptrusts/handover`: this process lets go of the gateway's directory for a newcomer that takes over, and
//! learns whether that one is still there. (`door` replaces this first thin version.)

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use service_kit::drain::DrainWatcher;
use tokio::sync::oneshot;

/// A newcomer asks for the directory.
#[derive(Debug)]
pub struct HandOver {
    /// Told once the directory is free. Dropped untold, the newcomer is refused.
    pub released: oneshot::Sender<()>,
    /// Resolves, by its sender's drop, when the newcomer's connection has ended.
    pub gone: oneshot::Receiver<()>,
}

pub(super) struct OpenBody {
    line: Option<Bytes>,
    drained: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    _gone: oneshot::Sender<()>,
}

impl OpenBody {
    pub(super) fn new(gone: oneshot::Sender<()>, drain: DrainWatcher) -> Self {
        Self {
            line: Some(Bytes::from_static(b"{\"released\":true}\n")),
            drained: Box::pin(async move { drain.signaled().await }),
            _gone: gone,
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
