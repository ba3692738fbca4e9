//! How long a client connection may keep the gateway waiting, kept at the socket.
//!
//! hyper has one timeout for "no request yet" and "half a request head". They are different things
//! here: a kept-alive connection may rest, a head that has begun must end. A client that takes no
//! byte of its response is given up as well. Of HTTP/2 this keeps the preface alone; `ending` has the rest.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::ProxyTimeouts;
use super::alarm::Alarm;
use super::lines::{HeadFault, HeadLines};

/// What an HTTP/2 client says first, all of it within the time of a head; whatever differs from it is HTTP/1 to the
/// server.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client whose head was refused is still listened to, and how much it may send, bytes: a connection that is
/// closed with bytes unread is reset, and the answer with it.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: usize = 512 * 1024;

/// A stream that fails with `TimedOut` when its peer keeps us waiting.
pub(super) struct Patience<S> {
    stream: S,
    activity: Activity,
    header_read: Duration,
    idle: Duration,
    write_stall: Duration,
    opening: Opening,
    reading: Option<Deadline>,
    /// Wakes for `reading`.
    alarm: Alarm,
    lines: HeadLines,
    farewell: Option<Farewell>,
    /// Until when the client must take something.
    writing: Option<Pin<Box<Sleep>>>,
}

/// The requests of one connection; shared with their responses.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(Arc<Requests>);

#[derive(Debug, Default)]
struct Requests {
    /// Being served now.
    serving: AtomicUsize,
    /// Ever begun: tells the head that is awaited now from the one before.
    begun: AtomicUsize,
    /// Over HTTP/2, of which this was seen.
    is_http2: AtomicBool,
    /// Bytes that the client took, over HTTP/2.
    taken: AtomicUsize,
}

/// Counts one request until its response has its last byte.
#[derive(Debug)]
pub(super) struct ActiveRequest(Activity);

/// What the first bytes say about the protocol.
enum Opening {
    Unknown { seen: usize },
    Http1,
    Http2,
}

/// After the answer to a head that was refused.
struct Farewell {
    until: Pin<Box<Sleep>>,
    left: usize,
    is_shut: bool,
}

#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    awaits: Awaits,
    /// Requests begun when it was set; one more and it is about a head that has long ended.
    begun: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Request,
    RestOfHead,
}

/// The answer to a head that did not end. It has no id, because no request came to be.
const HEAD_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\nconnection: close\r\n\
content-length: 111\r\n\r\n{\"error\":{\"type\":\"validation_error\",\"message\":\"the request head did not arrive in \
time\",\"code\":\"head_timeout\"}}";

// === impl Activity ===

impl Activity {
    pub(super) fn begin(&self) -> ActiveRequest {
        self.0.serving.fetch_add(1, Ordering::AcqRel);
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        ActiveRequest(self.clone())
    }

    pub(super) fn is_http2(&self) -> bool {
        self.0.is_http2.load(Ordering::Acquire)
    }

    /// Bytes that the client took, over HTTP/2; wraps.
    pub(super) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    pub(super) fn is_serving(&self) -> bool {
        self.0.serving.load(Ordering::Acquire) > 0
    }

    pub(super) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Acquire)
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.0.serving.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Patience ===

impl<S> Patience<S> {
    pub(super) fn new(stream: S, activity: Activity, timeouts: &ProxyTimeouts) -> Self {
        Self {
            stream,
            activity,
            header_read: timeouts.header_read,
            idle: timeouts.idle,
            write_stall: timeouts.write_stall,
            opening: Opening::Unknown { seen: 0 },
            reading: None,
            alarm: Alarm::default(),
            lines: HeadLines::default(),
            farewell: None,
            writing: None,
        }
    }

    /// # Errors
    /// A head is refused.
    fn saw(&mut self, bytes: &[u8]) -> Result<(), HeadFault> {
        if let Opening::Unknown { seen } = self.opening {
            let awaited = PREFACE.get(seen..).unwrap_or_default();
            let common = awaited.len().min(bytes.len());
            self.opening = match seen + common {
                _ if awaited.get(..common) != bytes.get(..common) => Opening::Http1,
                whole if whole == PREFACE.len() => {
                    self.activity.0.is_http2.store(true, Ordering::Release);
                    Opening::Http2
                }
                seen => Opening::Unknown { seen },
            };
            if matches!(self.opening, Opening::Http1) {
                // It looked like the preface so far.
                self.lines.look(PREFACE.get(..seen).unwrap_or_default())?;
            }
        }
        if matches!(self.opening, Opening::Http1) { self.lines.look(bytes) } else { Ok(()) }
    }

    /// Called when there is nothing to read: is that still fine?
    fn poll_read_patience(&mut self, context: &mut Context<'_>) -> Poll<Awaits> {
        // A client that has not taken its last answer does not rest either.
        if matches!(self.opening, Opening::Http2) || self.activity.is_serving() || self.writing.is_some() {
            self.reading = None;
            return Poll::Pending;
        }
        let (idle, begun) = (self.idle, self.activity.begun());
        self.reading.take_if(|deadline| deadline.begun != begun);
        let deadline = *self.reading.get_or_insert_with(|| Deadline::new(idle, Awaits::Request, begun));
        self.alarm.poll(deadline.at, context).map(|()| deadline.awaits)
    }

    fn poll_write_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let stall = self.write_stall;
        let until = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        ready!(until.as_mut().poll(context));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))
    }
}

impl<S: AsyncWrite + Unpin> Patience<S> {
    fn wrote(&mut self, result: &io::Result<usize>) {
        self.writing = None;
        if let (Opening::Http2, Ok(bytes)) = (&self.opening, result) {
            self.activity.0.taken.fetch_add(*bytes, Ordering::AcqRel);
        }
    }

    /// Tells the client why its connection is closed, if nothing of an earlier answer is left to be sent: its end would
    /// be torn. It is as much as the socket takes at once, which is all of it where the client is not up to something.
    fn say(&mut self, context: &mut Context<'_>, answer: &[u8]) {
        if self.writing.is_none() {
            let _ = Pin::new(&mut self.stream).poll_write(context, answer);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(farewell) = &mut this.farewell {
            return farewell.poll(&mut this.stream, context).map(|()| Err(refused()));
        }
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(context, buffer) {
            let bytes = buffer.filled().get(before..).unwrap_or_default();
            if result.is_ok() && !bytes.is_empty() {
                let seen = this.saw(bytes);
                let begun = this.activity.begun();
                let head_has_begun = this
                    .reading
                    .as_ref()
                    .is_some_and(|deadline| deadline.awaits == Awaits::RestOfHead && deadline.begun == begun);
                let is_serving = this.activity.is_serving();
                if is_serving {
                    this.reading = None;
                } else if !head_has_begun && !matches!(this.opening, Opening::Http2) {
                    this.reading = Some(Deadline::new(this.header_read, Awaits::RestOfHead, begun));
                }
                if let Err(fault) = seen {
                    // Before the answer that is awaited it would be taken for it.
                    if is_serving {
                        return Poll::Ready(Err(refused()));
                    }
                    this.say(context, &fault.answer());
                    buffer.set_filled(before);
                    let farewell = this.farewell.insert(Farewell::new());
                    return farewell.poll(&mut this.stream, context).map(|()| Err(refused()));
                }
            }
            return Poll::Ready(result);
        }
        let awaited = ready!(this.poll_read_patience(context));
        if awaited == Awaits::RestOfHead {
            this.say(context, HEAD_TIMEOUT);
        }
        let what = match awaited {
            Awaits::Request => "no request came",
            Awaits::RestOfHead => "the request head did not end",
        };
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_write(context, bytes) {
            this.wrote(&result);
            return Poll::Ready(result);
        }
        let error = ready!(this.poll_write_patience(context));
        Poll::Ready(Err(error))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_write_vectored(context, bytes) {
            this.wrote(&result);
            return Poll::Ready(result);
        }
        let error = ready!(this.poll_write_patience(context));
        Poll::Ready(Err(error))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the request head is unfit")
}

// === impl Farewell ===

impl Farewell {
    fn new() -> Self {
        Self { until: Box::pin(tokio::time::sleep(FAREWELL)), left: FAREWELL_BYTES, is_shut: false }
    }

    /// Until the client has nothing more to say, or has had its time.
    fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if !self.is_shut && Pin::new(&mut *stream).poll_shutdown(context).is_ready() {
            self.is_shut = true;
        }
        let mut heard = [0; 4096];
        while self.left > 0 {
            let mut heard = ReadBuf::new(&mut heard);
            match Pin::new(&mut *stream).poll_read(context, &mut heard) {
                Poll::Ready(Ok(())) if !heard.filled().is_empty() => {
                    self.left = self.left.saturating_sub(heard.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.until.as_mut().poll(context),
            }
        }
        Poll::Ready(())
    }
}

// === impl Deadline ===

impl Deadline {
    fn new(after: Duration, awaits: Awaits, begun: usize) -> Self {
        Self { at: Instant::now() + after, awaits, begun }
    }
}
