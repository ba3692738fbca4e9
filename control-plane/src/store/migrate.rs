//! Brings the schema up to this program's, one replica at a time, and refuses what it cannot work on.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migrator};

use super::StoreError;

/// The migrations, embedded.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// The oldest PostgreSQL this program works on, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

/// What to do about a server that confirms before it has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsafeServer {
    Refuse,
    /// Its data is worth nothing to anybody, as a test's.
    Warn,
}

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("cannot reach the database; is PostgreSQL running, and does DATABASE_URL name it?")]
    Unreachable(#[source] StoreError),
    #[error("PostgreSQL {found} is too old; version 15 or newer is needed")]
    ServerTooOld { found: String },
    #[error(
        "PostgreSQL runs with {settings}, so that a crash loses versions that were confirmed; set it to on \
         (ALTER SYSTEM, then restart PostgreSQL), or name another server in DATABASE_URL"
    )]
    Unsafe { settings: String },
    #[error(
        "the database is read-only (a standby, or default_transaction_read_only); name the primary in DATABASE_URL"
    )]
    ReadOnly,
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

/// Refuses a server that is too old, and one that may lose what it confirmed, unless that is `allowed`.
pub(super) async fn check_server(pool: &PgPool, allowed: UnsafeServer) -> Result<(), MigrateError> {
    let server = sqlx::query!(
        r#"select current_setting('server_version_num')::int as "number!",
                  current_setting('server_version') as "name!",
                  current_setting('fsync') as "fsync!",
                  current_setting('full_page_writes') as "full_page_writes!",
                  current_setting('synchronous_commit') as "synchronous_commit!",
                  (pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool) as "read_only!""#
    )
    .fetch_one(pool)
    .await
    .map_err(MigrateError::unreachable)?;
    if server.number < OLDEST_SERVER {
        return Err(MigrateError::ServerTooOld { found: server.name });
    }
    if server.read_only {
        return Err(MigrateError::ReadOnly);
    }
    let settings = [
        ("fsync", server.fsync),
        ("full_page_writes", server.full_page_writes),
        ("synchronous_commit", server.synchronous_commit),
    ];
    let off: Vec<&str> =
        settings.into_iter().filter(|(_, value)| value == "off").map(|(setting, _)| setting).collect();
    if off.is_empty() {
        return Ok(());
    }
    let settings = off.iter().map(|setting| format!("{setting}=off")).collect::<Vec<_>>().join(", ");
    match allowed {
        UnsafeServer::Refuse => Err(MigrateError::Unsafe { settings }),
        UnsafeServer::Warn => {
            tracing::warn!(%settings, "PostgreSQL may lose confirmed versions at a crash, and somebody allowed that");
            Ok(())
        }
    }
}
