//! Connections: accepted until the drain begins whatever goes wrong with one, bounded in number, and closed when
//! they do not begin, when nobody with a credential uses them, or when they leave an answer unread.

mod overdue;
mod stream;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use service_kit::drain::DrainWatcher;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(crate) use overdue::Patience;
use overdue::{Facts, overdue};
pub(crate) use stream::Connection;

/// More than there may be sessions. Each costs a socket and some tens of KiB.
const MOST: usize = 24_000;
/// Of the files that this process may open, those that are not for connections: the database's, logs, the admin port.
const OTHER_FILES: usize = 256;
/// However few files there are.
const FEWEST: usize = 64;
/// Pause after a failed accept: the cause (no more descriptors) ends when a connection does.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const SWEEP: Duration = Duration::from_millis(500);

/// The open connections of this replica.
#[derive(Debug)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    patience: Patience,
    most: usize,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    by_number: BTreeMap<u64, Entry>,
    /// Those that may be nobody's, oldest first; some of them have turned out to be somebody's.
    strangers: VecDeque<u64>,
}

#[derive(Debug)]
struct Entry {
    state: Arc<State>,
    /// Dropped with the entry, which closes the connection.
    _close: oneshot::Sender<()>,
}

/// Who is at the other end of a connection, as its calls see it.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    address: IpAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    opened: Instant,
    heard: AtomicBool,
    admitted: AtomicBool,
    calls: Mutex<Calls>,
    unread: Mutex<HashMap<u64, Instant>>,
    answers: AtomicU64,
}

/// Calls of somebody with a valid credential.
#[derive(Debug)]
struct Calls {
    under_way: u32,
    /// When the last one ended.
    ended: Instant,
}

/// A connection is in use by one more call, until this is dropped.
#[derive(Debug)]
pub(crate) struct InUse {
    state: Arc<State>,
}

/// An answer that is not read to its end, until it is dropped.
#[derive(Debug)]
pub(crate) struct Unread {
    number: u64,
    state: Arc<State>,
}

/// Accepts until the drain begins or nobody takes connections any more.
pub(crate) async fn accept(
    listener: TcpListener,
    connections: Arc<Connections>,
    taken: mpsc::Sender<io::Result<Connection>>,
    drain: DrainWatcher,
) {
    let mut sweep = interval(SWEEP.min(connections.patience.handshake));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            () = drain.signaled() => return,
            () = taken.closed() => return,
            _ = sweep.tick() => {
                connections.sweep(Instant::now());
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                failing = false;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was refused");
                }
                let connection = connections.open(stream, address.ip());
                if taken.send(Ok(connection)).await.is_err() {
                    return;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "connections cannot be accepted at the moment; trying on");
                }
                failing = true;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

// === impl Connections ===

impl Connections {
    pub(crate) fn new(patience: Patience) -> Arc<Self> {
        Self::with_most(patience, most_by_files())
    }

    fn with_most(patience: Patience, most: usize) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), patience, most })
    }

    fn open(self: &Arc<Self>, stream: TcpStream, address: IpAddr) -> Connection {
        let state = Arc::new(State::new(Instant::now()));
        let (close, closed) = oneshot::channel();
        let number = self.lock().add(Entry { state: state.clone(), _close: close }, self.most);
        Connection::new(stream, Peer { address, state }, closed, number, self.clone())
    }

    fn forget(&self, number: u64) {
        let mut open = self.lock();
        open.by_number.remove(&number);
        open.gauge();
    }

    fn sweep(&self, now: Instant) {
        let patience = self.patience;
        let mut open = self.lock();
        open.by_number.retain(|_, entry| match overdue(entry.state.facts(), patience, now) {
            None => true,
            Some(why) => {
                closed("overdue", why.as_str());
                false
            }
        });
        let Open { by_number, strangers, .. } = &mut *open;
        strangers.retain(|number| by_number.get(number).is_some_and(|entry| entry.state.is_strange()));
        open.gauge();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Open ===

impl Open {
    /// When there are too many, the oldest that is nobody's yet goes, so that whoever has a credential gets in
    /// however many come without; and the new one itself when all are somebody's.
    fn add(&mut self, entry: Entry, most: usize) -> u64 {
        let number = self.next;
        self.next += 1;
        self.by_number.insert(number, entry);
        self.strangers.push_back(number);
        while self.by_number.len() > most {
            let Some(oldest) = self.strangers.pop_front() else { break };
            if self.by_number.get(&oldest).is_some_and(|entry| entry.state.is_strange()) {
                self.by_number.remove(&oldest);
                closed("too_many", "stranger");
            }
        }
        self.gauge();
        number
    }

    fn gauge(&self) {
        let count = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        metrics::gauge!(crate::metrics::CONNECTIONS).set(f64::from(count));
    }
}

// === impl Peer ===

impl Peer {
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }

    /// Somebody with a valid credential uses the connection, until this is dropped.
    pub(crate) fn admit(&self) -> InUse {
        self.state.lock_calls().under_way += 1;
        self.state.admitted.store(true, Ordering::Relaxed);
        InUse { state: self.state.clone() }
    }

    /// An answer is ready; it is unread until this is dropped.
    pub(crate) fn answered(&self) -> Unread {
        let number = self.state.answers.fetch_add(1, Ordering::Relaxed);
        self.state.lock_unread().insert(number, Instant::now());
        Unread { number, state: self.state.clone() }
    }
}

// === impl State ===

impl State {
    fn new(opened: Instant) -> Self {
        Self {
            opened,
            heard: AtomicBool::new(false),
            admitted: AtomicBool::new(false),
            calls: Mutex::new(Calls { under_way: 0, ended: opened }),
            unread: Mutex::default(),
            answers: AtomicU64::new(0),
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            opened: self.opened,
            heard: self.heard.load(Ordering::Relaxed),
            admitted: self.admitted.load(Ordering::Relaxed),
            quiet: self.lock_calls().quiet(),
            unread: self.lock_unread().values().min().copied(),
        }
    }

    fn is_strange(&self) -> bool {
        !self.admitted.load(Ordering::Relaxed)
    }

    fn lock_calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_unread(&self) -> MutexGuard<'_, HashMap<u64, Instant>> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Calls ===

impl Calls {
    fn quiet(&self) -> Option<Instant> {
        (self.under_way == 0).then_some(self.ended)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut calls = self.state.lock_calls();
        calls.under_way = calls.under_way.saturating_sub(1);
        calls.ended = Instant::now();
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.state.lock_unread().remove(&self.number);
    }
}

fn closed(cause: &'static str, what: &'static str) {
    metrics::counter!(crate::metrics::CONNECTIONS_CLOSED, "cause" => cause, "what" => what).increment(1);
}

/// As many as the files of this process allow.
fn most_by_files() -> usize {
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(1_024, |(soft, _)| soft);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    files.saturating_sub(OTHER_FILES).clamp(FEWEST, MOST)
}

/// The peer was gone before it was accepted; nothing is wrong here.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(admitted: bool) -> (Entry, oneshot::Receiver<()>) {
        let (close, closed) = oneshot::channel();
        let state = Arc::new(State::new(Instant::now()));
        state.admitted.store(admitted, Ordering::Relaxed);
        (Entry { state, _close: close }, closed)
    }

    #[test]
    fn of_too_many_the_oldest_stranger_goes_and_never_somebody() {
        let mut open = Open::default();
        let mut closed = Vec::new();
        for admitted in [true, false, false, true] {
            let (entry, receiver) = entry(admitted);
            open.add(entry, 3);
            closed.push(receiver);
        }
        let is_closed = |closed: &mut Vec<oneshot::Receiver<()>>| -> Vec<bool> {
            closed
                .iter_mut()
                .map(|receiver| receiver.try_recv() == Err(oneshot::error::TryRecvError::Closed))
                .collect()
        };
        assert_eq!(is_closed(&mut closed), [false, true, false, false]);
        let (second, receiver) = entry(false);
        open.add(second, 3);
        closed.push(receiver);
        assert_eq!(is_closed(&mut closed), [false, true, true, false, false]);
        for entry in open.by_number.values() {
            entry.state.admitted.store(true, Ordering::Relaxed);
        }
        let (newest, receiver) = entry(false);
        open.add(newest, 3);
        closed.push(receiver);
        assert_eq!(is_closed(&mut closed), [false, true, true, false, false, true]);
        assert_eq!(open.by_number.len(), 3);
    }
}
