//! A wire message that is not valid: which field, and what is wrong with it.

/// `field` is a path as `offer.digest`; `problem` says what it must be. Never holds the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct WireError {
    pub field: &'static str,
    pub problem: String,
}

// === impl WireError ===

impl WireError {
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }

    pub fn missing(field: &'static str) -> Self {
        Self::new(field, "is required")
    }
}
