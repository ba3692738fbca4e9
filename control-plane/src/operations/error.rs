//! How an operation is refused: with the data that an answer needs. `api/status.rs` alone turns it into a status.

use policy_config::{Finding, LintReport};

use crate::store::StoreError;
use crate::store::tx::AsStoreError;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `fleet`, `config`, `revision`, `gateway`, `rollout`.
        what: &'static str,
        name: String,
        /// What there is, for "did you mean"; may be cut short.
        known: Vec<String>,
    },
    /// A new thing has the name of an existing one.
    #[error("{what} `{name}` exists already")]
    AlreadyExists { what: &'static str, name: String },
    #[error("{field}: {problem}")]
    Invalid { field: &'static str, problem: String },
    /// Lint or the compiler found errors.
    #[error("the pack has errors")]
    Lint(LintReport),
    /// The order does not fit how things stand.
    #[error("{}", .0.message)]
    Precondition(Box<Precondition>),
    /// Somebody else did something in between or the key was used for another request.
    #[error("{}", .0.message)]
    Conflict(Box<Conflict>),
    #[error("the system's random source cannot be read")]
    NoRandomness(#[source] std::io::Error),
    /// A part of this program broke down; its log has the place.
    #[error("a defect of this control plane stopped the work; nothing was changed")]
    Defect,
    #[error(transparent)]
    Store(StoreError),
}

/// An order that does not fit how things stand, and what would make it fit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Precondition {
    /// Stable word such as `version_reused`.
    pub code: &'static str,
    pub message: String,
    pub hint: String,
    pub expected: Option<String>,
    pub found: Option<String>,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

// === impl OperationError ===

impl OperationError {
    pub(crate) fn precondition(code: &'static str, message: String, hint: &str) -> Self {
        Self::Precondition(Box::new(Precondition {
            code,
            message,
            hint: hint.to_owned(),
            ..Precondition::default()
        }))
    }

    /// Stable word for history and errors.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::AlreadyExists { .. } => "already_exists",
            Self::Invalid { .. } => "invalid",
            Self::Lint(_) => "lint",
            Self::Precondition(precondition) => precondition.code,
            Self::Conflict(conflict) => conflict.code,
            Self::Store(StoreError::Unavailable(_)) => "unavailable",
            Self::Store(_) | Self::NoRandomness(_) | Self::Defect => "internal",
        }
    }
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl AsStoreError for OperationError {
    fn as_store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Invalid { .. }
            | Self::Lint(_)
            | Self::Precondition(_)
            | Self::Conflict(_)
            | Self::NoRandomness(_)
            | Self::Defect => None,
        }
    }
}
