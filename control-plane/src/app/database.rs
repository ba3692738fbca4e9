//! Where the store's Postgres comes from: somebody else's, by URL, or a private cluster that lives with us.

use pg_private::{Cluster, Options};
use sqlx::postgres::PgConnectOptions;

use super::start_error::StartError;
use crate::settings::{Database as Choice, Settings};
use crate::store::{Store, StoreOptions};

/// The database while it is used.
#[derive(Debug)]
pub(super) struct Database {
    options: StoreOptions,
    private: Option<Cluster>,
}

/// Within the data directory.
const CLUSTER_DIR: &str = "postgres";
/// Every cluster has it from the start.
const DATABASE: &str = "postgres";
/// Each costs the server some megabytes; sessions share them.
const POOL: u32 = 16;
/// The pool, the listener, and room for an administrator.
const PRIVATE_CONNECTIONS: u16 = 32;

// === impl Database ===

impl Database {
    /// Starts the private cluster, or reads the URL.
    pub(super) async fn start(settings: &Settings) -> Result<Self, StartError> {
        match &settings.database {
            Choice::Url(url) | Choice::Disposable(url) => {
                let options = options(url.expose().parse().map_err(|_| StartError::DatabaseUrl)?);
                Ok(Self { options, private: None })
            }
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
                Ok(Self { options: options(connect), private: Some(cluster) })
            }
        }
    }

    pub(super) async fn open(&self) -> Result<Store, StartError> {
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

fn options(connect: PgConnectOptions) -> StoreOptions {
    StoreOptions { connect, max_connections: POOL }
}

/// True when the cluster's server runs as another user, who must be able to pass through the data directory.
pub(super) fn is_run_by_another_user(settings: &Settings) -> bool {
    matches!(settings.database, Choice::Private) && nix::unistd::geteuid().is_root()
}
