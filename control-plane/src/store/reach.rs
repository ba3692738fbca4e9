//! Whether the database is there: found out by one task for all, and the pool that goes with it.
//!
//! While it is away the pool is closed, so that nobody waits for it; its return brings a new one. A connection whose
//! peer vanished without a word would keep its place in the old pool for as long as TCP is patient.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, PgPool};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Store, StoreError, pool_of};

/// The database cannot be reached, does not answer, or takes no writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away {
    /// By the clock of this program.
    pub since: OffsetDateTime,
}

/// What everybody sees and one task writes. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    state: Arc<watch::Sender<State>>,
    looks: Arc<Looks>,
}

#[derive(Debug)]
struct State {
    pool: PgPool,
    away: Option<Away>,
    /// How often it went away, and the newest time.
    times: u64,
    newest: Option<Away>,
}

/// Looks at the database are numbered, so that whoever doubts can wait for one that began after the doubt.
#[derive(Debug)]
struct Looks {
    begun: AtomicU64,
    done: watch::Sender<u64>,
    doubt: Notify,
}

/// Asks the database whether it is there, on a connection of its own: a full pool is no outage.
#[derive(Debug)]
pub(crate) struct Probe {
    connect: PgConnectOptions,
    held: Option<PgConnection>,
}

/// How the database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    AsBefore,
    /// The connections from before are dead, and nobody was told: they are of no use to anybody.
    OnNewConnections,
}

/// A look that has begun.
#[derive(Debug)]
#[must_use = "somebody may wait for its end"]
pub(crate) struct Look(u64);

/// An answer that takes longer than this is worth a look at the database.
const DOUBT_AFTER: Duration = Duration::from_millis(250);
/// How long the connection of the last look may be silent before a new one is tried beside it.
const PATIENCE: Duration = Duration::from_millis(800);
/// For an answer that has arrived and was not looked at yet, in a program that is short of time.
const GRACE: Duration = Duration::from_millis(100);
/// How long the database may take to answer on either.
const LIMIT: Duration = Duration::from_secs(2);
/// Longer than any look takes.
const VERDICT_LIMIT: Duration = Duration::from_secs(5);

// === impl Reach ===

impl Reach {
    pub(super) fn new(pool: PgPool) -> Self {
        let looks = Looks { begun: AtomicU64::new(0), done: watch::Sender::new(0), doubt: Notify::new() };
        Self {
            state: Arc::new(watch::Sender::new(State { pool, away: None, times: 0, newest: None })),
            looks: Arc::new(looks),
        }
    }

    pub(super) fn pool(&self) -> PgPool {
        self.state.borrow().pool.clone()
    }
}

// === impl Store ===

impl Store {
    /// Since when the database is away; `None`: it is there, as far as anybody knows.
    pub fn away(&self) -> Option<Away> {
        self.reach.state.borrow().away
    }

    /// Waits until the database is away; at once when it is, or was since this call, however late it is polled. It may
    /// be back already: what was asked of it meanwhile is not answered any more.
    pub fn until_away(&self) -> impl Future<Output = Away> + Send + use<> {
        let reach = self.reach.clone();
        let mut state = reach.state.subscribe();
        let times = state.borrow().times;
        async move {
            let gone = |state: &State| state.away.is_some() || state.times != times;
            let away = state.wait_for(gone).await.ok().and_then(|state| state.newest);
            // The sender lives as long as we do.
            drop(reach);
            match away {
                Some(away) => away,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits until the database is there; at once when it is.
    pub async fn until_there(&self) {
        let mut state = self.reach.state.subscribe();
        let _ = state.wait_for(|state| state.away.is_none()).await;
    }

    /// The result of `work`, unless the database goes away meanwhile: then `work` is dropped where it stands.
    ///
    /// # Errors
    /// Of `work`, or [`StoreError::Unavailable`].
    pub async fn while_there<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            result = work => result,
            _ = self.until_away_after_doubt() => Err(StoreError::away()),
        }
    }

    /// As [`Self::until_away`], for somebody who waits for an answer: it does not come, so somebody looks.
    pub(crate) async fn until_away_after_doubt(&self) -> Away {
        tokio::select! {
            away = self.until_away() => away,
            () = sleep(DOUBT_AFTER) => {
                self.reach.looks.doubt.notify_one();
                self.until_away().await
            }
        }
    }

    /// Whether the database is away, after a look that began now: a statement has just failed.
    pub(crate) async fn look_now(&self) -> Option<Away> {
        let looks = &self.reach.looks;
        let next = looks.begun.load(Ordering::Acquire) + 1;
        looks.doubt.notify_one();
        let mut done = looks.done.subscribe();
        tokio::select! {
            away = self.until_away() => return Some(away),
            _ = done.wait_for(|done| *done >= next) => {}
            () = sleep(VERDICT_LIMIT) => {}
        }
        self.away()
    }

    /// What asks; for the one task that watches.
    pub(crate) fn probe(&self) -> Probe {
        Probe { connect: self.options.connect.clone(), held: None }
    }

    /// Waits until somebody doubts that the database is there.
    pub(crate) async fn doubted(&self) {
        self.reach.looks.doubt.notified().await;
    }

    pub(crate) fn look_begins(&self) -> Look {
        Look(self.reach.looks.begun.fetch_add(1, Ordering::AcqRel) + 1)
    }

    pub(crate) fn look_ends(&self, look: Look) {
        self.reach.looks.done.send_replace(look.0);
    }

    /// Tells everybody that the database is away; whoever waits for a connection is refused.
    pub(crate) fn lost(&self, since: OffsetDateTime) {
        self.reach.state.send_modify(|state| {
            // Closing begins with the call; there is nothing to wait for.
            drop(state.pool.close());
            state.away = Some(Away { since });
            state.newest = state.away;
            state.times += 1;
        });
    }

    /// Tells everybody that it is there again.
    pub(crate) fn found(&self) {
        self.reach.state.send_modify(|state| {
            state.pool = pool_of(&self.options).connect_lazy_with(self.options.connect.clone());
            state.away = None;
        });
    }
}

// === impl Probe ===

impl Probe {
    /// Whether the database answers, and soon, and is one to write to.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(crate) async fn answers(&mut self) -> Result<Answers, StoreError> {
        let deadline = Instant::now() + LIMIT;
        let Some(mut held) = self.held.take() else {
            self.answers_anew(deadline).await?;
            return Ok(Answers::AsBefore);
        };
        let asked = async move { takes_writes(&mut held).await.map(|()| held) };
        tokio::pin!(asked);
        match timeout(PATIENCE, &mut asked).await {
            Ok(Ok(held)) => {
                self.held = Some(held);
                return Ok(Answers::AsBefore);
            }
            // It was told that the connection is over, and so was everybody else.
            Ok(Err(_)) => {
                self.answers_anew(deadline).await?;
                return Ok(Answers::AsBefore);
            }
            Err(_) => {}
        }
        let anew = self.answers_anew(deadline).await;
        match timeout_at(deadline + GRACE, asked).await {
            // It was busy, no more.
            Ok(Ok(held)) => {
                self.held = Some(held);
                Ok(Answers::AsBefore)
            }
            Ok(Err(_)) | Err(_) => anew.map(|()| Answers::OnNewConnections),
        }
    }

    async fn answers_anew(&mut self, deadline: Instant) -> Result<(), StoreError> {
        let fresh = async {
            let mut fresh = self.connect.connect().await?;
            takes_writes(&mut fresh).await?;
            Ok::<_, StoreError>(fresh)
        };
        let fresh = timeout_at(deadline, fresh).await;
        let silent = || StoreError::Unavailable(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        self.held = Some(fresh.unwrap_or_else(|_| Err(silent()))?);
        Ok(())
    }
}

/// A standby answers as well, and so does a primary that an administrator made read-only.
async fn takes_writes(connection: impl sqlx::PgExecutor<'_>) -> Result<(), StoreError> {
    let asked = sqlx::query_scalar!(
        r#"select (pg_is_in_recovery() or current_setting('transaction_read_only')::bool) as "read_only!""#
    );
    if asked.fetch_one(connection).await? {
        let error = io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the database is read-only");
        return Err(StoreError::Unavailable(sqlx::Error::Io(error)));
    }
    Ok(())
}

pub(super) async fn ping(connection: impl sqlx::PgExecutor<'_>) -> Result<(), StoreError> {
    Ok(sqlx::query!("select true as alive").fetch_one(connection).await.map(drop)?)
}

#[cfg(test)]
mod tests {
    use fleet_core::ids::Lineage;
    use uuid::Uuid;

    use super::super::StoreOptions;
    use super::super::migrate::UnsafeServer;
    use super::*;

    #[tokio::test]
    async fn an_outage_that_is_over_is_noticed_by_whoever_looks_late() {
        let connect = PgConnectOptions::new_without_pgpass();
        let options = StoreOptions { connect, max_connections: 1, unsafe_server: UnsafeServer::Refuse };
        let pool = pool_of(&options).connect_lazy_with(options.connect.clone());
        let store = Store {
            reach: Reach::new(pool),
            options: Arc::new(options),
            lineage: Lineage(Uuid::from_u128(1)),
        };
        let (noticed, since) = (store.until_away(), OffsetDateTime::UNIX_EPOCH);
        store.lost(since);
        store.found();
        assert_eq!(timeout(PATIENCE, noticed).await.ok(), Some(Away { since }));
        assert_eq!(store.away(), None);
        assert!(timeout(Duration::from_millis(1), store.until_away()).await.is_err(), "that was before");
    }
}
