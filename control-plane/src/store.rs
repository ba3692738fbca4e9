//! What is stored and how it is reached: the only module that contains SQL.
//!
//! Stored: configs and their revisions, fleets, gateways, what each should run and said it runs, the life of every
//! assignment, rollouts, history, credentials. Not stored: sessions, offers on their way, counts (they are derived).
//! Writing functions take a connection inside [`Store::in_tx`]; reading ones take the [`Store`]. Rows are private;
//! what leaves is typed. A transaction locks in this order: config, fleet, rollout, `desired_head`, desired versions,
//! activations, gateways, and last of all `history_head`.

pub mod activations;
pub mod answers;
pub mod assign;
pub mod configs;
pub mod desired;
pub mod encode;
pub mod error;
pub mod fleets;
pub mod gateways;
pub mod history;
pub(crate) mod lane;
pub mod migrate;
pub mod placing;
pub mod presence;
pub mod reach;
pub mod rollout_reads;
pub mod rollouts;
pub mod tokens;
pub mod tx;
pub mod wakeup;

use std::sync::Arc;
use std::time::Duration;

use fleet_core::ids::Lineage;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use error::{Column, StoreError};
pub use reach::Away;
use reach::Reach;

/// The database, shared by everything; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Store {
    reach: Reach,
    options: Arc<StoreOptions>,
    lineage: Lineage,
}

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub connect: PgConnectOptions,
    pub max_connections: u32,
    pub unsafe_server: migrate::UnsafeServer,
}

/// One page, and the key that continues it; `None`: this was the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    pub items: Vec<T>,
    pub next: Option<K>,
}

/// How long a caller waits for a connection before the database counts as away.
const ACQUIRE_LIMIT: Duration = Duration::from_secs(5);

// === impl Store ===

impl Store {
    /// Connects, migrates to this program's schema and reads the lineage.
    ///
    /// # Errors
    /// [`migrate::MigrateError`] when the server is away, older than 15, read-only or unsafe, or its schema newer than this
    /// program.
    pub async fn open(options: StoreOptions) -> Result<Self, migrate::MigrateError> {
        let options = StoreOptions { connect: session_settings(options.connect), ..options };
        let pool = pool_of(&options).connect_with(options.connect.clone()).await;
        let pool = pool.map_err(migrate::MigrateError::unreachable)?;
        migrate::check_server(&pool, options.unsafe_server).await?;
        migrate::migrate(&pool).await?;
        let lineage = tokens::lineage_get(&pool).await.map_err(migrate::MigrateError::Store)?;
        Ok(Self { reach: Reach::new(pool), options: Arc::new(options), lineage })
    }

    /// The identity of this database; its generations mean nothing in another one.
    pub const fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// The pool of now: not to be kept, for the database's return brings another.
    pub(crate) fn pool(&self) -> PgPool {
        self.reach.pool()
    }

    /// Closes every connection; what is under way is finished first.
    pub async fn close(&self) {
        self.pool().close().await;
    }
}

fn pool_of(options: &StoreOptions) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(options.max_connections).acquire_timeout(ACQUIRE_LIMIT)
}

/// Limits of every session, and plans made for the values at hand: filters are optional, and one plan for all of
/// them would read the whole history.
fn session_settings(connect: PgConnectOptions) -> PgConnectOptions {
    connect.application_name("kt-control-plane").options([
        ("statement_timeout", "15s"),
        ("lock_timeout", "10s"),
        // Between two statements there is nothing to wait for. Whoever is frozen or cut off there holds locks.
        ("idle_in_transaction_session_timeout", "3s"),
        ("plan_cache_mode", "force_custom_plan"),
        ("timezone", "UTC"),
    ])
}

/// Cuts what was read with `limit + 1` down to a page.
pub(crate) fn page<T, K>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> K) -> Page<T, K> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next }
}
