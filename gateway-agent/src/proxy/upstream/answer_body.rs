//! The body of a provider's answer, which carries the connection that it comes by.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::lines::{Line, Lines};

/// Dropped before its end, it hangs up, unless the rest is there already.
pub(in crate::proxy) struct AnswerBody {
    /// `None` only while it is dropped.
    incoming: Option<Incoming>,
    /// `None` for one of the streams of an HTTP/2 connection, and once the connection is free.
    by: Option<(Line, Arc<Lines>)>,
}

// === impl AnswerBody ===

impl AnswerBody {
    pub(super) fn new(incoming: Incoming, by: Option<(Line, &Arc<Lines>)>) -> Self {
        let by = by.map(|(line, lines)| (line, Arc::clone(lines)));
        Self { incoming: Some(incoming), by }
    }

    /// The body has ended: its connection is free, if it may be used again.
    fn release(&mut self, context: &mut Context<'_>) {
        if let Some((mut line, lines)) = self.by.take()
            && line.is_ready(context)
        {
            lines.keep(line);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let mut polled = Pin::new(&mut *incoming).poll_frame(context);
        if polled.is_pending()
            && let Some((line, _)) = &mut this.by
        {
            line.drive(context);
            polled = Pin::new(&mut *incoming).poll_frame(context);
        }
        match &polled {
            Poll::Ready(Some(Err(_))) => this.by = None,
            Poll::Ready(_) if incoming.is_end_stream() || matches!(polled, Poll::Ready(None)) => {
                this.release(context);
            }
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map(Incoming::size_hint).unwrap_or_default()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // The connection sees that nobody reads any more: it passes over the rest, if it has it, or closes.
        self.incoming = None;
        self.release(&mut Context::from_waker(Waker::noop()));
    }
}
