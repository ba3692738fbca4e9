//! Response bodies on their way to the client, whole or streamed. What a request holds (its policy,
//! its place among those in flight, its record) is held here until the last byte.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use policy_engine::{Inspection, StreamInspector};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::inspect::Exchange;
use super::patience::ActiveRequest;
use super::provider_answer::ENCODED;
use super::record::{Phase, Record};
use super::reply::{Refusal, error_event};
use super::upstream::UpstreamFailure;
use crate::activation::live::ActivePolicy;
use crate::decisions::Ended;
use crate::metrics::GaugeHold;

/// The body of every response of the data plane.
pub(super) struct ReplyBody {
    content: Content,
    holds: Holds,
}

/// What is sent.
pub(super) enum Content {
    Whole(Option<Bytes>),
    Stream(Box<Relay>),
}

/// Let go with the body: when it was sent, or when the client hung up.
pub(super) struct Holds {
    /// `None` for probes.
    pub(super) record: Option<Record>,
    pub(super) policy: Option<Arc<ActivePolicy>>,
    pub(super) _place: Option<OwnedSemaphorePermit>,
    pub(super) _counted: GaugeHold,
    pub(super) _active: ActiveRequest,
}

/// One provider stream, inspected as it passes. Dropping it ends the provider call.
pub(super) struct Relay {
    provider: Option<Incoming>,
    /// `None` once the stream is over, or the inspector is out of order.
    inspector: Option<StreamInspector>,
    exchange: Exchange,
    /// Compressed: it passes unread, where nobody guards it.
    is_encoded: bool,
    target: String,
    /// Longest silence of the provider.
    silence: Duration,
    quiet_until: Pin<Box<Sleep>>,
    ends_at: Instant,
}

/// Why a stream ended before the provider said so.
enum Cut {
    Broken,
    Silent,
    PolicyFailed,
}

// === impl ReplyBody ===

impl ReplyBody {
    pub(super) fn new(content: Content, holds: Holds) -> Self {
        Self { content, holds }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let next = match (&mut this.content, &mut this.holds.record) {
            (Content::Whole(bytes), record) => {
                if let Some(record) = record {
                    record.ended(Ended::Complete);
                }
                bytes.take()
            }
            (Content::Stream(relay), Some(record)) => match relay.poll_next(context, record) {
                Poll::Ready(next) => next,
                Poll::Pending => return Poll::Pending,
            },
            (Content::Stream(_), None) => None,
        };
        if let (Some(bytes), Some(record)) = (&next, &mut this.holds.record) {
            record.sends();
            record.response_content(bytes);
        }
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

// === impl Relay ===

impl Relay {
    /// `silence` bounds every gap between two pieces, `total` the whole stream.
    pub(super) fn new(
        provider: Incoming,
        exchange: Exchange,
        target: String,
        silence: Duration,
        total: Duration,
    ) -> Self {
        let engine = exchange.engine();
        let inspector = Some(engine.stream_inspector(exchange.endpoint, Arc::clone(&exchange.around)));
        let now = Instant::now();
        Self {
            provider: Some(provider),
            inspector,
            exchange,
            is_encoded: false,
            target,
            silence,
            quiet_until: Box::pin(tokio::time::sleep_until(now + silence)),
            ends_at: now + total,
        }
    }

    pub(super) fn encoded(self, is_encoded: bool) -> Self {
        Self { is_encoded, ..self }
    }

    fn poll_next(&mut self, context: &mut Context<'_>, record: &mut Record) -> Poll<Option<Bytes>> {
        loop {
            let Some(provider) = &mut self.provider else { return Poll::Ready(None) };
            let frame = match Pin::new(provider).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending if self.quiet_until.as_mut().poll(context).is_ready() => {
                    return Poll::Ready(Some(self.cut(&Cut::Silent, record)));
                }
                Poll::Pending => return Poll::Pending,
            };
            let data = match frame {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    // Trailers speak of the provider's connection.
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    tracing::warn!(target = %self.target, %error, "a provider stream broke off");
                    return Poll::Ready(Some(self.cut(&Cut::Broken, record)));
                }
                None => return Poll::Ready(self.finish(record)),
            };
            self.heard();
            match self.inspect(data, record) {
                Ok(data) if self.is_stopped() => {
                    let rest = self.finish(record);
                    let joined = [data, rest.unwrap_or_default()].concat();
                    return Poll::Ready((!joined.is_empty()).then(|| Bytes::from(joined)));
                }
                // Held back for now: the provider has more to say.
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(data)),
                Err(cut) => return Poll::Ready(Some(self.cut(&cut, record))),
            }
        }
    }

    fn heard(&mut self) {
        let quiet_until = (Instant::now() + self.silence).min(self.ends_at);
        self.quiet_until.as_mut().reset(quiet_until);
    }

    fn inspect(&mut self, data: Bytes, record: &mut Record) -> Result<Bytes, Cut> {
        if self.is_encoded {
            return Ok(data);
        }
        let Some(inspector) = &mut self.inspector else { return Err(Cut::PolicyFailed) };
        let began = Instant::now();
        // An inspector that panicked is not asked again: the stream ends here.
        let passed = catch_unwind(AssertUnwindSafe(|| inspector.push(data)));
        record.inspected(Phase::Output, began.elapsed());
        passed.map_err(|_| Cut::PolicyFailed)
    }

    fn is_stopped(&self) -> bool {
        self.inspector.as_ref().is_some_and(StreamInspector::is_ended)
    }

    /// The provider's end, or a policy's.
    fn finish(&mut self, record: &mut Record) -> Option<Bytes> {
        let inspector = self.inspector.take()?;
        let began = Instant::now();
        let finished = catch_unwind(AssertUnwindSafe(|| inspector.finish()));
        record.inspected(Phase::Output, began.elapsed());
        let Ok((rest, inspection)) = finished else {
            return Some(self.cut(&Cut::PolicyFailed, record));
        };
        let engine = self.exchange.engine();
        let is_unread = self.is_encoded && engine.inspects_responses();
        let inspection = if is_unread { engine.unread_response(ENCODED) } else { inspection };
        self.provider = None;
        record.ended(ended_by(&inspection));
        record.decided(Phase::Output, &inspection);
        (!rest.is_empty()).then_some(rest)
    }

    /// Hangs up on the provider and tells the client why. What was held back is not sent.
    fn cut(&mut self, cut: &Cut, record: &mut Record) -> Bytes {
        self.provider = None;
        let number = self.inspector.take().map_or(0, |inspector| inspector.next_number());
        record.ended(Ended::UpstreamFailed);
        let target = self.target.clone();
        let refusal = match cut {
            Cut::Broken => UpstreamFailure::Broken { target }.into(),
            Cut::Silent => UpstreamFailure::TimedOut { target, what: "go on with its response" }.into(),
            Cut::PolicyFailed => {
                record.ended(Ended::Blocked);
                Refusal::PolicyFailed
            }
        };
        error_event(self.exchange.endpoint, &refusal, number)
    }
}

fn ended_by(inspection: &Inspection) -> Ended {
    if inspection.block.is_some() { Ended::Blocked } else { Ended::Complete }
}
