//! Response bodies on their way to the client, whole or streamed. What a request holds (its policy,
//! its place among those in flight, its record) is held here until the last byte.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use policy_engine::{Inspection, StreamInspector};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use super::inspect::{Exchange, INLINE_INSPECTION};
use super::patience::ActiveRequest;
use super::provider_answer::ENCODED;
use super::record::{Phase, Record};
use super::reply::{Refusal, error_event};
use super::taking::Taken;
use super::targets::{StreamPermit, Targets};
use super::upstream::{AnswerBody, UpstreamFailure};
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
    /// With the request's place; `None` for probes.
    pub(super) record: Option<Record>,
    pub(super) policy: Option<Arc<ActivePolicy>>,
    pub(super) taken: Taken,
    pub(super) _counted: GaugeHold,
    pub(super) _active: ActiveRequest,
}

/// What came of a part of a stream, unless a policy broke on it, and how long that took.
type Worked = (Option<Inspected>, Duration);

enum Inspected {
    Piece(Box<StreamInspector>, Bytes),
    End(Bytes, Box<Inspection>),
}

/// One provider stream, inspected as it passes. Dropping it ends the provider call.
pub(super) struct Relay {
    provider: Option<AnswerBody>,
    /// `None` once the stream is over, while it works elsewhere, or if it is out of order.
    inspector: Option<Box<StreamInspector>>,
    working: Option<JoinHandle<Worked>>,
    exchange: Exchange,
    /// Compressed: it passes unread, where nobody guards it.
    is_encoded: bool,
    target: String,
    /// Longest silence of the provider.
    silence: Duration,
    quiet_until: Pin<Box<Sleep>>,
    ends_at: Instant,
    /// Who is told how it ended.
    watched: Option<(StreamPermit, Arc<Targets>)>,
}

/// Why a stream ended before the provider said so.
enum Cut {
    Broken,
    Silent,
    Endless,
    PolicyFailed,
}

// === impl ReplyBody ===

impl ReplyBody {
    pub(super) fn new(content: Content, mut holds: Holds) -> Self {
        // Nobody asks for the pieces of a body that has none.
        if let (Content::Whole(None), Some(record)) = (&content, &mut holds.record) {
            record.ended(Ended::Complete);
        }
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
        let Holds { record, taken, .. } = &mut this.holds;
        let next = match (&mut this.content, record) {
            (Content::Whole(bytes), record) => {
                if let Some(record) = record {
                    record.ended(Ended::Complete);
                }
                taken.gave(None);
                bytes.take()
            }
            (Content::Stream(relay), Some(record)) => match relay.poll_next(context, record) {
                Poll::Ready(next) => {
                    taken.gave(Some(relay.ends_at));
                    next
                }
                Poll::Pending => {
                    taken.waits(relay.quiet_until.deadline(), relay.ends_at);
                    return Poll::Pending;
                }
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

impl Drop for ReplyBody {
    /// Of a stream whose client left, what was decided so far is told.
    fn drop(&mut self) {
        if let (Content::Stream(relay), Some(record)) = (&mut self.content, &mut self.holds.record) {
            relay.abandon(record);
        }
    }
}

// === impl Relay ===

impl Relay {
    /// `silence` bounds every gap between two pieces, `total` the whole stream.
    pub(super) fn new(
        provider: AnswerBody,
        exchange: Exchange,
        target: String,
        (silence, total): (Duration, Duration),
        watched: Option<(StreamPermit, Arc<Targets>)>,
    ) -> Self {
        let engine = exchange.engine();
        let inspector = engine.stream_inspector(exchange.endpoint, Arc::clone(&exchange.around));
        let now = Instant::now();
        Self {
            provider: Some(provider),
            inspector: Some(Box::new(inspector)),
            working: None,
            exchange,
            is_encoded: false,
            target,
            silence,
            quiet_until: Box::pin(tokio::time::sleep_until(now + silence)),
            ends_at: now + total,
            watched,
        }
    }

    pub(super) fn encoded(self, is_encoded: bool) -> Self {
        Self { is_encoded, ..self }
    }

    fn poll_next(&mut self, context: &mut Context<'_>, record: &mut Record) -> Poll<Option<Bytes>> {
        loop {
            let worked = match &mut self.working {
                Some(working) => {
                    let worked = ready!(Pin::new(working).poll(context));
                    self.working = None;
                    self.heard();
                    worked.unwrap_or_default()
                }
                None if self.provider.is_none() => return Poll::Ready(None),
                None => match ready!(self.poll_piece(context)) {
                    Err(cut) => return Poll::Ready(Some(self.cut(&cut, record))),
                    Ok(piece) => match self.inspect(piece) {
                        Some(worked) => worked,
                        None => continue,
                    },
                },
            };
            if let Some(given) = self.go_on(worked, record) {
                return Poll::Ready(given);
            }
        }
    }

    /// What the provider says next; `None` at its end.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cut>> {
        loop {
            let Some(provider) = &mut self.provider else { return Poll::Ready(Ok(None)) };
            let frame = match Pin::new(provider).poll_frame(context) {
                Poll::Ready(frame) => frame,
                Poll::Pending if self.quiet_until.as_mut().poll(context).is_ready() => {
                    return Poll::Ready(Err(Cut::Silent));
                }
                Poll::Pending => return Poll::Pending,
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                None => return Poll::Ready(Ok(None)),
                Some(Ok(Ok(data))) => {
                    let is_over = self.heard() >= self.ends_at;
                    return Poll::Ready(if is_over { Err(Cut::Endless) } else { Ok(Some(data)) });
                }
                // Trailers speak of the provider's connection.
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => {
                    tracing::debug!(target = %self.target, %error, "a provider stream broke off");
                    return Poll::Ready(Err(Cut::Broken));
                }
            }
        }
    }

    /// Now.
    fn heard(&mut self) -> Instant {
        let now = Instant::now();
        self.quiet_until.as_mut().reset((now + self.silence).min(self.ends_at));
        now
    }

    /// The piece or the end of the stream; `None`: it is much, and so looked at off the worker thread.
    fn inspect(&mut self, piece: Option<Bytes>) -> Option<Worked> {
        let Some(inspector) = self.inspector.take() else { return Some(Worked::default()) };
        let piece = match piece {
            Some(data) if self.is_encoded => {
                return Some((Some(Inspected::Piece(inspector, data)), Duration::ZERO));
            }
            piece => piece,
        };
        let size = inspector.held() + piece.as_ref().map_or(0, Bytes::len);
        if size <= INLINE_INSPECTION {
            return Some(work(inspector, piece));
        }
        self.working = Some(tokio::task::spawn_blocking(move || work(inspector, piece)));
        None
    }

    /// What to send of it. `None`: it is held back for now, and the provider has more to say.
    fn go_on(&mut self, (inspected, took): Worked, record: &mut Record) -> Option<Option<Bytes>> {
        record.inspected(Phase::Output, took);
        let (data, rest, inspection) = match inspected {
            // An inspector that panicked is not asked again: the stream ends here.
            None => return Some(Some(self.cut(&Cut::PolicyFailed, record))),
            Some(Inspected::End(rest, inspection)) => (Bytes::new(), rest, inspection),
            Some(Inspected::Piece(inspector, data)) if inspector.is_ended() => {
                let (rest, inspection) = inspector.finish();
                (data, rest, Box::new(inspection))
            }
            Some(Inspected::Piece(inspector, data)) => {
                self.inspector = Some(inspector);
                return (!data.is_empty()).then_some(Some(data));
            }
        };
        let engine = self.exchange.engine();
        let is_unread = self.is_encoded && engine.inspects_responses();
        let inspection = if is_unread { Box::new(engine.unread_response(ENCODED)) } else { inspection };
        self.provider = None;
        if let Some((permit, _)) = self.watched.take() {
            permit.succeeded();
        }
        record.ended(ended_by(&inspection));
        record.decided(Phase::Output, &inspection);
        let joined = if data.is_empty() { rest } else { Bytes::from([data, rest].concat()) };
        Some((!joined.is_empty()).then_some(joined))
    }

    /// Hangs up on the provider and tells the client why. What was held back is not sent.
    fn cut(&mut self, cut: &Cut, record: &mut Record) -> Bytes {
        self.provider = None;
        let number = self.abandon(record);
        record.ended(Ended::UpstreamFailed);
        // A stream that was given all the time there is has not failed.
        let is_targets_fault = match cut {
            Cut::Broken => true,
            Cut::Silent => Instant::now() < self.ends_at,
            Cut::Endless | Cut::PolicyFailed => false,
        };
        if let Some((permit, targets)) = self.watched.take().filter(|_| is_targets_fault) {
            permit.failed(targets.now(), self.exchange.engine().circuit_breaker());
        }
        let target = self.target.clone();
        let failure = match cut {
            Cut::Broken => Some(UpstreamFailure::Broken { target }),
            Cut::Silent => Some(UpstreamFailure::TimedOut { target, what: "go on with its response" }),
            Cut::Endless => Some(UpstreamFailure::TimedOut { target, what: "end its stream" }),
            Cut::PolicyFailed => None,
        };
        let refusal = match failure {
            Some(failure) => {
                record.tell(self.exchange.lane(&self.target), &failure);
                failure.into()
            }
            None => {
                record.ended(Ended::Blocked);
                Refusal::PolicyFailed
            }
        };
        error_event(self.exchange.endpoint, &refusal, number)
    }

    /// Tells what was decided so far, unless the end has. Gives the number of the next event.
    fn abandon(&mut self, record: &mut Record) -> u64 {
        let Some(inspector) = self.inspector.take() else { return 0 };
        let number = inspector.next_number();
        record.decided(Phase::Output, &inspector.abandon());
        number
    }
}

fn work(mut inspector: Box<StreamInspector>, piece: Option<Bytes>) -> Worked {
    let began = Instant::now();
    let inspect = || match piece {
        Some(piece) => {
            let data = inspector.push(piece);
            Inspected::Piece(inspector, data)
        }
        None => {
            let (rest, inspection) = inspector.finish();
            Inspected::End(rest, Box::new(inspection))
        }
    };
    let inspected = catch_unwind(AssertUnwindSafe(inspect)).ok();
    (inspected, began.elapsed())
}

fn ended_by(inspection: &Inspection) -> Ended {
    if inspection.block.is_some() { Ended::Blocked } else { Ended::Complete }
}
