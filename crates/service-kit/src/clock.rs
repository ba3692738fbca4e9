//! The only place that reads wall time; everything else is handed a [`Clock`], so a test holds time still.
//!
//! It must not be used to measure how long something took: wall time jumps. Use `tokio::time::Instant`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

/// Tells the present time in UTC. Cloning is cheap; clones of a manual clock share their time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
}

/// The hand of a manual [`Clock`].
#[derive(Clone, Debug)]
pub struct ManualClock {
    time: Arc<Mutex<OffsetDateTime>>,
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<Mutex<OffsetDateTime>>),
}

// === impl Clock ===

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// A clock that stands at `start` until its hand is moved.
    pub fn manual(start: OffsetDateTime) -> (Self, ManualClock) {
        let time = Arc::new(Mutex::new(start));
        (Self { source: Source::Manual(time.clone()) }, ManualClock { time })
    }

    /// The present time, always with offset UTC.
    pub fn now(&self) -> OffsetDateTime {
        match &self.source {
            Source::System => read_system(),
            Source::Manual(time) => *time.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// Puts the clock anywhere, as an operator or a time server may.
    pub fn set(&self, to: OffsetDateTime) {
        *self.time.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let mut time = self.time.lock().unwrap_or_else(PoisonError::into_inner);
        *time += by;
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine for the time")]
fn read_system() -> OffsetDateTime {
    OffsetDateTime::from(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_by_hand_and_for_every_clone() {
        let (clock, hand) = Clock::manual(OffsetDateTime::UNIX_EPOCH);
        let clone = clock.clone();
        assert_eq!(clone.now(), OffsetDateTime::UNIX_EPOCH);
        hand.advance(Duration::from_millis(1500));
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1500));
        assert_eq!(clone.now(), clock.now());
    }

    #[test]
    fn the_system_clock_tells_utc_and_a_year_after_this_was_written() {
        let now = Clock::system().now();
        assert!(now.offset().is_utc());
        assert!(now.year() >= 2026, "{now}");
    }
}
