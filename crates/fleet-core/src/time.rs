//! A point in time as a plain value; nobody here can ask for the present one.

use std::time::Duration;

/// Microseconds since 1970-01-01T00:00:00Z, as Postgres keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    pub micros: i64,
}

// === impl Timestamp ===

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        u64::try_from(self.micros.saturating_sub(earlier.micros))
            .map_or(Duration::ZERO, Duration::from_micros)
    }

    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self { micros: self.micros.saturating_add(micros) }
    }
}
