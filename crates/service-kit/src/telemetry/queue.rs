//! What waits to be written to the log, and the thread that writes it. A reader that stalls holds up that thread and
//! nobody else: what finds no room is lost and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of lines that may wait.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Lines on their way from many threads to one.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// Of the lines, and of the one that is being written.
    bytes: usize,
    lost: u64,
}

/// One event's way into the queue; takes it with one write.
#[derive(Debug)]
pub(super) struct Entry<'a>(&'a Queue);

// === impl Queue ===

impl Queue {
    pub(super) fn entry(&self) -> Entry<'_> {
        Entry(self)
    }

    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Never ends. What cannot be written (a closed stderr) is nobody's loss.
    pub(super) fn write_to(&self, mut out: impl Write) {
        let mut told = 0;
        loop {
            let line = self.next();
            let _ = out.write_all(&line);
            let lost = self.written(line.len()).filter(|lost| *lost > told);
            if let Some(lost) = lost {
                // There is room now.
                tracing::warn!(
                    lost = lost - told,
                    "lines of this log were lost: whoever reads it is too slow"
                );
                told = lost;
            }
        }
    }

    /// Until nothing waits, or for this long.
    pub(super) fn wait_until_written(&self, within: Duration) {
        let waiting = self.emptied.wait_timeout_while(self.lock(), within, |waiting| waiting.bytes > 0);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.bytes + line.len() > MOST_BYTES {
            waiting.lost += 1;
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.to_vec());
        drop(waiting);
        self.filled.notify_one();
    }

    fn next(&self) -> Vec<u8> {
        let waiting = self.filled.wait_while(self.lock(), |waiting| waiting.lines.is_empty());
        waiting.unwrap_or_else(PoisonError::into_inner).lines.pop_front().unwrap_or_default()
    }

    /// `Some` once nothing waits: how many were lost.
    fn written(&self, bytes: usize) -> Option<u64> {
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        let is_empty = waiting.lines.is_empty();
        let lost = is_empty.then_some(waiting.lost);
        drop(waiting);
        if is_empty {
            self.emptied.notify_all();
        }
        lost
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
