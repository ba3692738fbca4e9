//! Replies that their client does not take, noticed from outside of them.
//!
//! hyper asks a reply for its next piece when the client has room for it, and never while it has none: a reply that is
//! not asked cannot end itself, and would hold its provider call and its place for as long as the client likes. So each
//! says by when it must be asked again, and whoever drives it ends it then: the task of its HTTP/2 stream, which resets
//! that stream alone, or the HTTP/1 connection, whose only reply it is.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::time::Instant;

use super::alarm::Alarm;

/// By when the reply that is on its way must be asked for more.
#[derive(Debug, Clone)]
pub(super) struct Taking(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    /// How long a client may take nothing.
    stall: Duration,
    /// Of an HTTP/2 stream. Over HTTP/1 the socket tells whether anything is taken.
    is_stream: bool,
    since: Instant,
    /// Milliseconds after `since`; `NEVER` while no reply is on its way.
    due: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// One reply's side of it; nothing is due any more when it is dropped.
#[derive(Debug)]
pub(super) struct Taken(Taking);

/// Spawns the HTTP/2 streams of a connection, and ends those that are not taken.
#[derive(Debug, Clone)]
pub(super) struct ClientStreams {
    pub(super) stall: Duration,
}

tokio::task_local! {
    /// Of the stream whose task runs.
    static STREAM: Taking;
}

// === impl Taking ===

impl Taking {
    pub(super) fn of_connection(stall: Duration) -> Self {
        Self::new(stall, false)
    }

    fn new(stall: Duration, is_stream: bool) -> Self {
        let due = AtomicU64::new(NEVER);
        Self(Arc::new(Watched { stall, is_stream, since: Instant::now(), due }))
    }

    /// For a reply to a request of this connection.
    pub(super) fn begin(&self) -> Taken {
        Taken(STREAM.try_with(Clone::clone).unwrap_or_else(|_| self.clone()))
    }

    /// Ready when the reply has not been asked in time.
    pub(super) fn poll_overdue(&self, alarm: &mut Alarm, context: &mut Context<'_>) -> Poll<()> {
        match self.0.due.load(Ordering::Relaxed) {
            NEVER => Poll::Pending,
            due => alarm.poll(self.0.since + Duration::from_millis(due), context),
        }
    }
}

// === impl Taken ===

impl Taken {
    /// A piece was handed over. `ends_at`: when the reply as a whole must be over.
    pub(super) fn gave(&self, ends_at: Option<Instant>) {
        let now = self.0.0.is_stream.then(Instant::now);
        self.asked(now, ends_at);
    }

    /// There is nothing to hand over before `until`, at the latest.
    pub(super) fn waits(&self, until: Instant, ends_at: Instant) {
        self.asked(self.0.0.is_stream.then_some(until), Some(ends_at));
    }

    fn asked(&self, again: Option<Instant>, ends_at: Option<Instant>) {
        let Watched { stall, since, due, .. } = self.0.0.as_ref();
        let first = match (again, ends_at) {
            (Some(again), Some(ends_at)) => Some(again.min(ends_at)),
            (again, ends_at) => again.or(ends_at),
        };
        let at = first.map(|first| (first + *stall).saturating_duration_since(*since).as_millis());
        let at = at.map_or(NEVER, |at| u64::try_from(at).unwrap_or(NEVER));
        due.store(at, Ordering::Relaxed);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.0.due.store(NEVER, Ordering::Relaxed);
    }
}

// === impl ClientStreams ===

impl<F> Executor<F> for ClientStreams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let taking = Taking::new(self.stall, true);
        let watched = taking.clone();
        TokioExecutor::new().execute(STREAM.scope(taking, async move {
            let mut stream = pin!(stream);
            let mut alarm = Alarm::default();
            poll_fn(|context| {
                if stream.as_mut().poll(context).is_ready() {
                    return Poll::Ready(());
                }
                let overdue = watched.poll_overdue(&mut alarm, context);
                if overdue.is_ready() {
                    tracing::debug!("a client takes nothing of its stream, which is reset");
                }
                overdue
            })
            .await;
        }));
    }
}
