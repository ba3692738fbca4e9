//! Ending without cutting work off: whoever works holds a [`DrainHold`], and the program ends when none is
//! held or the deadline has passed. This is also the one door for spawning, so no task is ever uncounted.
//!
//! The count has one owner, the channel; it must not know what the held work is, only its name.

mod signals;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use signals::{Hangups, Signal, hangups, run_until_signal, run_until_terminated};

/// Starts the drain and waits for its end. Dropping it without [`DrainTrigger::start`] starts nothing.
#[derive(Debug)]
pub struct DrainTrigger {
    shared: Arc<Shared>,
}

/// Tells of the drain and counts the work in flight.
#[derive(Clone, Debug)]
pub struct DrainWatcher {
    shared: Arc<Shared>,
}

/// One piece of work in flight, until it is dropped.
#[must_use = "work is counted only while its hold is alive"]
#[derive(Debug)]
pub struct DrainHold {
    name: &'static str,
    shared: Arc<Shared>,
}

/// The deadline passed; these were still held: sorted names, each with how many times.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct StillBusy {
    pub held: Vec<(&'static str, usize)>,
}

#[derive(Debug)]
struct Shared {
    draining: watch::Sender<bool>,
    /// The same, to be read by many threads at once without a lock.
    begun: AtomicBool,
    held: Mutex<BTreeMap<&'static str, usize>>,
    idle: Notify,
}

/// The two ends of one drain.
pub fn channel() -> (DrainTrigger, DrainWatcher) {
    let shared = Arc::new(Shared {
        draining: watch::Sender::new(false),
        begun: AtomicBool::new(false),
        held: Mutex::default(),
        idle: Notify::new(),
    });
    (DrainTrigger { shared: shared.clone() }, DrainWatcher { shared })
}

// === impl DrainTrigger ===

impl DrainTrigger {
    /// Tells every watcher to finish. Calling it again changes nothing.
    pub fn start(&self) {
        self.shared.begun.store(true, Ordering::Release);
        self.shared.draining.send_replace(true);
    }

    /// Waits until nothing is held.
    ///
    /// # Errors
    /// [`StillBusy`] names what is still held when `deadline`, counted from now, has passed.
    pub async fn drained(&self, deadline: Duration) -> Result<(), StillBusy> {
        let idle = async {
            loop {
                let notified = self.shared.idle.notified();
                tokio::pin!(notified);
                // Enlisted before the look, or the last drop between look and wait would be missed.
                notified.as_mut().enable();
                if self.shared.names().is_empty() {
                    return;
                }
                notified.await;
            }
        };
        if tokio::time::timeout(deadline, idle).await.is_ok() {
            return Ok(());
        }
        let held = self.shared.names();
        if held.is_empty() { Ok(()) } else { Err(StillBusy { held }) }
    }
}

// === impl DrainWatcher ===

impl DrainWatcher {
    pub fn is_draining(&self) -> bool {
        self.shared.begun.load(Ordering::Acquire)
    }

    /// Waits for the start of the drain; at once when it has begun. For ever when nobody starts it.
    pub async fn signaled(&self) {
        // The sender lives in the shared state that `self` keeps alive, so waiting cannot fail.
        let _ = self.shared.draining.subscribe().wait_for(|draining| *draining).await;
    }

    /// Counts work in flight under this name until the hold is dropped.
    pub fn hold(&self, name: &'static str) -> DrainHold {
        *self.shared.lock().entry(name).or_default() += 1;
        DrainHold { name, shared: self.shared.clone() }
    }

    /// Spawns a task that is counted from now until it ends, is aborted or panics.
    ///
    /// A task that serves for ever must itself end on [`DrainWatcher::signaled`].
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.hold(name).spawn(future)
    }

    /// Starts a thread that is counted from now until it ends or panics. The same is asked of it as of a task.
    ///
    /// # Errors
    /// The host gives no more threads.
    pub fn spawn_thread(
        &self,
        name: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<std::thread::JoinHandle<()>> {
        let hold = self.hold(name);
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _hold = hold;
            work();
        })
    }
}

// === impl DrainHold ===

impl DrainHold {
    /// Spawns a task that this hold counts until it ends, is aborted or panics. So work is counted on its way from one
    /// runtime to another as well.
    #[expect(clippy::disallowed_methods, reason = "this is the one door through which tasks are spawned")]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::task::spawn(async move {
            let _hold = self;
            future.await
        })
    }
}

impl Drop for DrainHold {
    fn drop(&mut self) {
        let mut held = self.shared.lock();
        if let Some(count) = held.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                held.remove(self.name);
            }
        }
        if held.is_empty() {
            self.shared.idle.notify_waiters();
        }
    }
}

// === impl StillBusy ===

impl fmt::Display for StillBusy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("still busy at the deadline:")?;
        for (index, (name, count)) in self.held.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma} {name} ×{count}")?;
        }
        Ok(())
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> Vec<(&'static str, usize)> {
        self.lock().iter().map(|(name, count)| (*name, *count)).collect()
    }
}

#[cfg(test)]
mod tests;
