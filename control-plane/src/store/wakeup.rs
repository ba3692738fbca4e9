//! Tells the tasks of this process to look again: by a signal from within, or by the database's NOTIFY.
//!
//! A wake-up carries nothing; many are one. A gap or a reconnect counts as a wake-up, because something may have
//! been missed.

use std::sync::Arc;
use std::time::Duration;

use service_kit::backoff::Backoff;
use service_kit::drain::DrainWatcher;
use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::time::timeout;

use super::reach::ping;
use super::{Store, StoreError};

/// The signal "look again". Clones share it.
#[derive(Debug, Clone)]
pub struct Wake {
    told: Arc<watch::Sender<()>>,
}

/// One listener's end of [`Wake`].
#[derive(Debug, Clone)]
pub struct WakeListener {
    heard: watch::Receiver<()>,
}

const CHANNEL: &str = "fleet";
/// After so long without a word, the listening connection is asked whether it is still one.
const QUIET: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

// === impl Wake ===

impl Wake {
    pub fn new() -> Self {
        Self { told: Arc::new(watch::Sender::new(())) }
    }

    /// Wakes every listener.
    pub fn tell(&self) {
        self.told.send_replace(());
    }

    pub fn listen(&self) -> WakeListener {
        WakeListener { heard: self.told.subscribe() }
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

// === impl WakeListener ===

impl WakeListener {
    /// Waits until somebody told since the last wait; at once when that was before.
    pub async fn woken(&mut self) {
        if self.heard.changed().await.is_err() {
            // Nobody is left to tell; the timers go on.
            std::future::pending::<()>().await;
        }
    }
}

/// Hints to every replica, at commit, that something changed. Only operator actions and wave steps do this: a
/// transaction that notifies takes a lock of the whole server.
pub(crate) async fn notify(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!("select pg_notify($1, '')", CHANNEL).fetch_one(conn).await?;
    Ok(())
}

/// Turns NOTIFY into [`Wake`] until the drain begins.
pub async fn listen(store: Store, wake: Wake, drain: DrainWatcher) {
    let mut pauses =
        Backoff::full_jitter(Duration::from_millis(100), Duration::from_secs(5), fastrand::u64(..));
    loop {
        if store.away().is_some() {
            pauses.reset();
        }
        let heard = tokio::select! {
            () = drain.signaled() => return,
            ended = listen_once(&store, &wake) => ended,
        };
        match heard {
            Ok(()) => pauses.reset(),
            Err(error) => tracing::debug!(%error, "not listening to the database; polling goes on"),
        }
        let pause = pauses.next().unwrap_or_default();
        tokio::select! {
            () = drain.signaled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Ends when the connection or the database does.
async fn listen_once(store: &Store, wake: &Wake) -> Result<(), StoreError> {
    store.until_there().await;
    tokio::select! {
        ended = forward(store, wake) => ended,
        _ = store.until_away() => Err(StoreError::away()),
    }
}

async fn forward(store: &Store, wake: &Wake) -> Result<(), StoreError> {
    // Not of the store's pool: whoever only listens never learns that the peer is gone, and would keep its place.
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER_LIMIT);
    let pool = pool.connect_lazy_with(store.options.connect.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    wake.tell();
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(heard) => {
                // `None`: the connection was lost, and what was told meanwhile with it.
                let lost = heard?.is_none();
                wake.tell();
                if lost {
                    return Ok(());
                }
            }
            Err(_) => match timeout(ANSWER_LIMIT, ping(&mut listener)).await {
                Ok(answer) => answer?,
                Err(_) => return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
            },
        }
    }
}
