//! Where the store's Postgres comes from: somebody else's, by URL, or a private cluster that lives with us.

use std::time::Duration;

use pg_private::{Cluster, Options};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::start_error::StartError;
use crate::settings::{Database as Choice, DatabaseUrl, Settings};
use crate::store::lane::POOL;
use crate::store::migrate::UnsafeServer;
use crate::store::{Store, StoreOptions};

/// The database while it is used.
#[derive(Debug)]
pub(super) struct Database {
    options: StoreOptions,
    private: Option<Cluster>,
}

/// Within the data directory.
const CLUSTER_DIR: &str = "postgres";
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Every cluster has it from the start.
const DATABASE: &str = "postgres";
/// The pool, the one before it while that closes, the listener, the watch, and room for an administrator.
const PRIVATE_CONNECTIONS: u16 = 48;

// === impl Database ===

impl Database {
    /// Starts the private cluster, or reads the URL.
    pub(super) async fn start(settings: &Settings) -> Result<Self, StartError> {
        match &settings.database {
            Choice::Url(url) => Self::by_url(url, UnsafeServer::Refuse),
            Choice::Disposable(url) => Self::by_url(url, UnsafeServer::Warn),
            Choice::Private => {
                let dir = settings.data_dir.join(CLUSTER_DIR);
                let cluster = Cluster::start(&Options {
                    dir,
                    unsafe_fast: false,
                    max_connections: PRIVATE_CONNECTIONS,
                    bin: None,
                })
                .await?;
                // Without what the environment says of other servers (PGHOST, PGPASSWORD …).
                let connect = PgConnectOptions::new_without_pgpass()
                    .socket(cluster.socket_dir())
                    .username(pg_private::USER)
                    .database(DATABASE);
                Ok(Self { options: options(connect, UnsafeServer::Refuse), private: Some(cluster) })
            }
        }
    }

    fn by_url(url: &DatabaseUrl, unsafe_server: UnsafeServer) -> Result<Self, StartError> {
        let connect = url.expose().parse().map_err(|_| StartError::DatabaseUrl)?;
        Ok(Self { options: options(connect, unsafe_server), private: None })
    }

    /// Connects once by hand: a pool would try again until its patience ends, and hide why.
    pub(super) async fn open(&self) -> Result<Store, StartError> {
        let probe = tokio::time::timeout(CONNECT_WITHIN, self.options.connect.connect()).await;
        probe
            .map_err(|_| StartError::DatabaseSilent(CONNECT_WITHIN))?
            .map_err(StartError::DatabaseAway)?
            .close()
            .await
            .map_err(StartError::DatabaseAway)?;
        Ok(Store::open(self.options.clone()).await?)
    }

    /// Stops the private cluster; somebody else's goes on.
    pub(super) async fn stop(self) {
        let Some(cluster) = self.private else { return };
        if let Err(error) = cluster.stop().await {
            tracing::warn!(%error, "the private Postgres did not stop in order");
        }
    }
}

fn options(connect: PgConnectOptions, unsafe_server: UnsafeServer) -> StoreOptions {
    StoreOptions { connect, max_connections: POOL, unsafe_server }
}
