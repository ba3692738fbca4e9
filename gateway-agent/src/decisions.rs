//! Decision events: one JSON line for every request, whatever its outcome.
//!
//! The file has one owner, the writer task. Requests hand their event to a bounded queue and never
//! wait for it: a full queue drops the event and counts it. No prompt, answer or secret is in an
//! event unless the pack says `include_content: true`.

mod event;
mod line;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use service_kit::drain::DrainWatcher;
use tokio::sync::mpsc;

pub use event::{Decision, Ended, Latency, PolicyDecision, Shared, TokenUsage, TraceId, milliseconds};

use crate::metrics::DecisionMetrics;

/// Events that may wait for the writer; beyond it they are dropped and counted.
const QUEUE: usize = 8192;
/// Bytes of content that may wait with them, or are being written.
const HELD: usize = 32 * 1024 * 1024;

/// Where decision events go. It does not keep the writer alive: only a [`DecisionSink`] does, so
/// the writer ends once it was told to drain and the last connection is gone.
#[derive(Clone)]
pub struct DecisionLog {
    queue: mpsc::WeakSender<Box<Decision>>,
    dropped: Arc<AtomicU64>,
    held: Arc<AtomicUsize>,
    metrics: DecisionMetrics,
}

/// The right to write events, held by each connection for as long as it may serve a request.
#[derive(Clone)]
pub struct DecisionSink {
    queue: Option<mpsc::Sender<Box<Decision>>>,
    dropped: Arc<AtomicU64>,
    held: Arc<AtomicUsize>,
    metrics: DecisionMetrics,
}

// === impl DecisionLog ===

impl DecisionLog {
    /// Opens (or makes, 0600) the file and starts its writer. The writer ends after drain was
    /// signalled and every sink is gone, with everything written.
    pub fn open(path: &Path, drain: &DrainWatcher) -> io::Result<Self> {
        Self::open_with_limit(path, drain, writer::ROTATE_AT)
    }

    /// As `open`, rotating once the file holds this many bytes.
    pub fn open_with_limit(path: &Path, drain: &DrainWatcher, rotate_at: u64) -> io::Result<Self> {
        let (queue, events) = mpsc::channel(QUEUE);
        let log = Self {
            queue: queue.downgrade(),
            dropped: Arc::new(AtomicU64::new(0)),
            held: Arc::new(AtomicUsize::new(0)),
            metrics: DecisionMetrics::new(),
        };
        let file = writer::EventFile::open(path, rotate_at)?;
        let told = drain.clone();
        drain.spawn("decision log", writer::run(file, queue, events, log.clone(), told));
        Ok(log)
    }

    /// Events lost since the start: the queue was full, or the file could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A right to write. After the writer has ended it counts every event as dropped.
    pub fn sink(&self) -> DecisionSink {
        DecisionSink {
            queue: self.queue.upgrade(),
            dropped: Arc::clone(&self.dropped),
            held: Arc::clone(&self.held),
            metrics: self.metrics.clone(),
        }
    }

    /// Content that waits no more.
    fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn count_written(&self, events: u64) {
        self.metrics.written.increment(events);
    }

    fn count_dropped(&self, events: u64) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
        self.metrics.dropped.increment(events);
    }
}

// === impl DecisionSink ===

impl DecisionSink {
    /// Hands the event to the writer; never waits.
    pub fn record(&self, decision: Box<Decision>) {
        let content = decision.content();
        let has_room = content == 0 || self.reserve(content);
        let taken = has_room && self.queue.as_ref().is_some_and(|queue| queue.try_send(decision).is_ok());
        if has_room && !taken {
            self.held.fetch_sub(content, Ordering::AcqRel);
        }
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.dropped.increment(1);
        }
    }

    fn reserve(&self, content: usize) -> bool {
        let more = |held: usize| Some(held.saturating_add(content)).filter(|held| *held <= HELD);
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }
}

#[cfg(test)]
mod tests;
