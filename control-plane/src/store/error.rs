//! How storage fails: what the caller can act on, with the constraint's meaning instead of its name.

use std::error::Error as StdError;

use service_kit::failpoint::Injected;

/// A failed read or write. `Display` never holds SQL; the source, for the log, may.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// Somebody else was faster, or the rule of a constraint was broken.
    #[error("{what}: expected {expected}, found {found}")]
    Conflict { what: &'static str, expected: String, found: String },
    /// The database is away, too slow or out of connections; trying again may help.
    #[error("the database cannot be reached or does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// What is stored cannot be read by this program.
    #[error("what is stored in {column} cannot be read")]
    Corrupt {
        column: &'static str,
        #[source]
        source: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A bug: a statement was refused for a reason no caller can act on.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
}

/// Reads a stored value into its type.
pub trait Column<T> {
    fn column(self, column: &'static str) -> Result<T, StoreError>;
}

// === impl StoreError ===

impl StoreError {
    pub(crate) fn conflict(what: &'static str, expected: impl ToString, found: impl ToString) -> Self {
        Self::Conflict { what, expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) const fn corrupt(column: &'static str) -> Self {
        Self::Corrupt { column, source: None }
    }

    /// Nobody asked the database: it is known to be away.
    pub(crate) const fn away() -> Self {
        Self::Unavailable(sqlx::Error::PoolClosed)
    }

    /// True when the whole transaction may succeed if it is run again: it lost against another one.
    pub(crate) fn lost_a_race(&self) -> bool {
        let (Self::Unavailable(error) | Self::Refused(error)) = self else { return false };
        let Some(code) = error.as_database_error().and_then(|error| error.code()) else { return false };
        // serialization_failure, deadlock_detected
        matches!(&*code, "40001" | "40P01")
    }
}

/// As if the connection had broken at this step.
impl From<Injected> for StoreError {
    fn from(injected: Injected) -> Self {
        Self::Unavailable(sqlx::Error::Io(injected.into()))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::RowNotFound) {
            return Self::NotFound { what: "row" };
        }
        let Some(database) = error.as_database_error() else {
            return match error {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                    Self::Corrupt { column: "a row", source: Some(Box::new(error)) }
                }
                _ => Self::Unavailable(error),
            };
        };
        if let Some((what, expected, found)) = database.constraint().and_then(broken_rule) {
            return Self::conflict(what, expected, found);
        }
        let code = database.code();
        let code = code.as_deref().unwrap_or_default();
        // Connections, resources, shutdown, a broken disk, cancelled by a limit, lock not available, lost races, a
        // server that is a standby since.
        let passing = ["08", "53", "57", "58", "55P03", "40", "25P03", "25006"]
            .iter()
            .any(|class| code.starts_with(class));
        if passing { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}

impl<T, E: StdError + Send + Sync + 'static> Column<T> for Result<T, E> {
    fn column(self, column: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Corrupt { column, source: Some(Box::new(source)) })
    }
}

impl<T> Column<T> for Option<T> {
    fn column(self, column: &'static str) -> Result<T, StoreError> {
        self.ok_or(StoreError::corrupt(column))
    }
}

/// What a broken constraint means: what, expected, found.
fn broken_rule(constraint: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match constraint {
        "fleets_pkey" => ("fleet", "a new name", "one of that name"),
        "gateways_name" => ("gateway", "a new name", "one of that name"),
        "config_revisions_digest" => ("config", "new bytes", "a revision with the same bytes"),
        "config_revisions_pkey" => ("config", "a new revision", "one of that number"),
        "rollouts_one_open" => ("fleet", "no open rollout", "an open rollout"),
        "desired_versions_generation" => ("gateway", "a higher generation", "one that is not"),
        "desired_versions_pkey" => ("gateway", "no desired version", "one"),
        "activations_pkey" => ("activation", "a new generation", "one of that number"),
        "config_revisions_immutable" | "history_immutable" => ("row", "no change", "a change"),
        _ => return None,
    })
}
