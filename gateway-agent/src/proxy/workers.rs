//! One thread a core, each with a runtime, a provider client and connections of its own: a request never leaves the
//! thread that accepted its bytes, so no core waits for another's lock or wakes another's thread.
//!
//! One acceptor hands each connection to the worker that has the fewest.

use std::io;
use std::net::{IpAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use service_kit::drain::{DrainHold, DrainWatcher};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::MissedTickBehavior;

use super::accept::{self, Connection};
use super::patience::Activity;
use super::taking::Taking;
use super::upstream::SWEEP_EVERY;
use super::{Heir, Proxy};
use crate::decisions::DecisionSink;

/// Threads of one worker for what blocks: large bodies under inspection, names that are resolved.
const BLOCKING_THREADS: usize = 64;

/// All workers of one data plane. Dropped, each ends with its last connection.
pub(super) struct Workers {
    each: Vec<Handle>,
    drain: DrainWatcher,
}

/// The acceptor's side of one worker.
struct Handle {
    /// Holds no more than there are seats for connections.
    queue: mpsc::UnboundedSender<Arrival>,
    load: Arc<AtomicUsize>,
}

/// A connection on its way to its worker, counted by the drain from the first moment on.
struct Arrival {
    stream: StdStream,
    peer: IpAddr,
    purpose: Purpose,
    hold: DrainHold,
    _loaded: Loaded,
}

/// What a worker does with a connection.
pub(super) enum Purpose {
    Serve {
        seat: OwnedSemaphorePermit,
    },
    /// There are more than are served: it is told so.
    TurnAway {
        seat: OwnedSemaphorePermit,
    },
}

/// One connection of one worker.
struct Loaded(Arc<AtomicUsize>);

/// What a worker thread has.
struct Worker {
    proxy: Arc<Proxy>,
    heir: Heir,
    decisions: DecisionSink,
    drain: DrainWatcher,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

// === impl Workers ===

impl Workers {
    /// # Errors
    /// The host has no more threads or descriptors.
    pub(super) fn start(proxy: &Proxy, heir: &Heir, drain: &DrainWatcher) -> io::Result<Self> {
        let each = (0..proxy.settings.workers.max(1)).map(|_| {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .thread_name("data plane, blocking")
                .build()?;
            let (queue, arrivals) = mpsc::unbounded_channel();
            let (proxy, heir) = (Arc::new(proxy.of_worker()), heir.clone());
            // Held while connections may still come, so that each of them finds the writer of decisions alive.
            let decisions = proxy.decisions.sink();
            let worker = Worker { proxy, heir, decisions, drain: drain.clone(), arrivals };
            // Detached: the drain counts it.
            drain.spawn_thread("data plane", move || worker.run(&runtime))?;
            Ok(Handle { queue, load: Arc::default() })
        });
        Ok(Self { each: each.collect::<io::Result<_>>()?, drain: drain.clone() })
    }

    /// Gives the connection to the least busy worker.
    ///
    /// # Errors
    /// No worker lives.
    pub(super) fn hand(&self, stream: TcpStream, peer: IpAddr, purpose: Purpose) -> Result<(), NoWorker> {
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection was lost on its way to its worker");
                return Ok(());
            }
        };
        let living = self.each.iter().filter(|worker| !worker.queue.is_closed());
        let worker = living.min_by_key(|worker| worker.load.load(Ordering::Relaxed)).ok_or(NoWorker)?;
        worker.load.fetch_add(1, Ordering::Relaxed);
        let loaded = Loaded(Arc::clone(&worker.load));
        let hold = self.drain.hold("client connection");
        let arrival = Arrival { stream, peer, purpose, hold, _loaded: loaded };
        worker.queue.send(arrival).map_err(|_| NoWorker)
    }
}

/// Every worker thread has ended, which is a defect.
#[derive(Debug, thiserror::Error)]
#[error("no thread of the data plane lives")]
pub(super) struct NoWorker;

impl Drop for Loaded {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Worker ===

impl Worker {
    fn run(mut self, runtime: &Runtime) {
        runtime.block_on(async {
            // The runtime lives as long as somebody has a sender.
            let (alive, mut served) = mpsc::channel::<()>(1);
            let mut sweeping = tokio::time::interval(SWEEP_EVERY);
            sweeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let arrival = tokio::select! {
                    biased;
                    arrival = self.arrivals.recv() => arrival,
                    _ = sweeping.tick() => {
                        self.proxy.upstream.sweep();
                        continue;
                    }
                };
                let Some(arrival) = arrival else { break };
                let Arrival { stream, peer, purpose, hold, _loaded } = arrival;
                let stream = match TcpStream::from_std(stream) {
                    Ok(stream) => stream,
                    Err(error) => {
                        tracing::debug!(%error, "a connection was lost on its way to its worker");
                        continue;
                    }
                };
                let (proxy, heir, alive) = (Arc::clone(&self.proxy), self.heir.clone(), alive.clone());
                match purpose {
                    Purpose::Serve { seat } => {
                        let connection = Connection {
                            peer,
                            activity: Activity::default(),
                            taking: Taking::of_connection(proxy.settings.timeouts.write_stall),
                            decisions: self.decisions.clone(),
                            drain: self.drain.clone(),
                        };
                        hold.spawn(async move {
                            let _until_the_end = (alive, _loaded, seat);
                            accept::serve(stream, proxy, connection, heir).await;
                        });
                    }
                    Purpose::TurnAway { seat } => {
                        hold.spawn(async move {
                            let _until_the_end = (alive, _loaded, seat);
                            accept::turn_away(stream).await;
                        });
                    }
                }
            }
            drop(alive);
            // Nobody sends: it ends when the last connection has.
            served.recv().await;
        });
    }
}
