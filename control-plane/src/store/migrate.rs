//! Brings the schema up to this program's, one replica at a time, and refuses what it cannot work on.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migrator};

use super::StoreError;

/// The migrations, embedded.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The oldest PostgreSQL this program works on, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot reach the database; is PostgreSQL running, and does DATABASE_URL name it?")]
    Unreachable(#[source] StoreError),
    #[error("PostgreSQL {found} is too old; version 15 or newer is needed")]
    ServerTooOld { found: String },
    #[error("the database was migrated by a newer kt-control-plane (migration {version}); run that version")]
    SchemaTooNew { version: i64 },
    #[error("migration {version} was changed after it ran on this database; it belongs to another build")]
    SchemaDiffers { version: i64 },
    #[error("cannot migrate the database")]
    Failed(#[source] SqlxMigrateError),
    #[error(transparent)]
    Store(StoreError),
}

// === impl MigrateError ===

impl MigrateError {
    pub(super) fn unreachable(error: sqlx::Error) -> Self {
        Self::Unreachable(StoreError::from(error))
    }
}

/// Applies what is missing, under an advisory lock; what other replicas applied meanwhile is left alone.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await.map_err(MigrateError::unreachable)?.detach();
    // A migration may take longer than any query may.
    sqlx::query!(
        "select set_config('statement_timeout', '0', false) as a, set_config('lock_timeout', '0', false) as b"
    )
    .fetch_one(&mut conn)
    .await
    .map_err(MigrateError::unreachable)?;
    MIGRATOR.run(&mut conn).await.map_err(|error| match error {
        SqlxMigrateError::VersionMissing(version) => MigrateError::SchemaTooNew { version },
        SqlxMigrateError::VersionMismatch(version) => MigrateError::SchemaDiffers { version },
        other => MigrateError::Failed(other),
    })
}

/// Refuses a server that is too old; warns about one that may lose what it confirmed.
pub(super) async fn check_server(pool: &PgPool) -> Result<(), MigrateError> {
    let server = sqlx::query!(
        r#"select current_setting('server_version_num')::int as "number!",
                  current_setting('server_version') as "name!",
                  current_setting('fsync') as "fsync!",
                  current_setting('full_page_writes') as "full_page_writes!""#
    )
    .fetch_one(pool)
    .await
    .map_err(MigrateError::unreachable)?;
    if server.number < OLDEST_SERVER {
        return Err(MigrateError::ServerTooOld { found: server.name });
    }
    for (setting, value) in [("fsync", &server.fsync), ("full_page_writes", &server.full_page_writes)] {
        if value == "off" {
            tracing::warn!(
                setting,
                "PostgreSQL runs with {setting}=off: a crash may lose confirmed versions"
            );
        }
    }
    Ok(())
}
