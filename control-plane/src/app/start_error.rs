//! Why a control plane does not start or ended: one sentence with what to do, and the exit code.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::data_dir::DataDirError;
use crate::api::ServeError;
use crate::settings::SettingsError;
use crate::store::migrate::MigrateError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Log(#[from] service_kit::telemetry::TelemetryError),
    #[error("{0}")]
    Failpoints(String),
    #[error("{flag}: {address} is taken by another program; stop that one or choose another port")]
    Taken { flag: &'static str, address: SocketAddr },
    #[error("{flag}: cannot listen on {address}: {source}; choose another address")]
    Listen { flag: &'static str, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("DATABASE_URL cannot be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE, or unset it")]
    DatabaseUrl,
    #[error("the database cannot be reached: {}; is it running, and is DATABASE_URL right?", reason(.0))]
    DatabaseAway(sqlx::Error),
    #[error("the database does not answer within {0:?}; is it running, and is DATABASE_URL right?")]
    DatabaseSilent(Duration),
    #[error(transparent)]
    Private(#[from] pg_private::Error),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot start the runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Serve(ServeError),
    #[error("gRPC ended without being asked to")]
    Ended,
}

// === impl StartError ===

impl StartError {
    pub(super) fn listen(flag: &'static str, address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::Taken { flag, address },
            _ => Self::Listen { flag, address, source },
        }
    }

    /// The program's exit code: 1 failed, 2 invalid, 4 not allowed, 5 unreachable, 6 precondition.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Log(_) | Self::Failpoints(_) | Self::DatabaseUrl => 2,
            Self::Taken { .. } => 6,
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 4,
            Self::DataDir(error) => data_dir_code(error),
            Self::Private(error) => private_code(error),
            Self::Migrate(error) => migrate_code(error),
            Self::DatabaseAway(error) => database_code(error),
            Self::DatabaseSilent(_) => 5,
            Self::Listen { .. } | Self::Runtime(_) | Self::Serve(_) | Self::Ended => 1,
        }
    }
}

/// What the server or the network said, which holds neither a password nor SQL.
fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(told) => told.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        _ => "it does not speak as Postgres does".to_owned(),
    }
}

fn database_code(error: &sqlx::Error) -> u8 {
    let code = error.as_database_error().and_then(|told| told.code());
    match code.as_deref() {
        // invalid_authorization, invalid_password
        Some("28000" | "28P01") => 4,
        // invalid_catalog_name
        Some("3D000") => 3,
        _ => 5,
    }
}

fn data_dir_code(error: &DataDirError) -> u8 {
    match error {
        DataDirError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 4,
        DataDirError::TooOpen { .. } | DataDirError::Foreign(_) => 4,
        DataDirError::NotADirectory(_) => 2,
        DataDirError::Io { .. } | DataDirError::NoToken(_) => 1,
    }
}

fn private_code(error: &pg_private::Error) -> u8 {
    use pg_private::Error as E;
    match error {
        E::NotThere(_) | E::SocketPath { .. } => 2,
        E::NotInstalled
        | E::NoTool(_)
        | E::NoUser
        | E::TooOld { .. }
        | E::OtherMajor { .. }
        | E::NetworkDisk { .. }
        | E::AlreadyRunning { .. }
        | E::Lingering { .. } => 6,
        E::Unreachable { .. } => 4,
        E::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => 4,
        E::NotReady { .. } => 5,
        E::Failed { .. } | E::Disk { .. } | E::KeeperGone => 1,
    }
}

fn migrate_code(error: &MigrateError) -> u8 {
    match error {
        MigrateError::Unreachable(_) => 5,
        MigrateError::ServerTooOld { .. }
        | MigrateError::Unsafe { .. }
        | MigrateError::ReadOnly
        | MigrateError::SchemaTooNew { .. }
        | MigrateError::SchemaDiffers { .. } => 6,
        MigrateError::Failed(_) | MigrateError::Store(_) => 1,
    }
}
