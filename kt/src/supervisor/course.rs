//! What is next after a gateway ended: pure, with the time passed in.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// The first start after an end comes at once, the next after this and so on, doubling.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// A killed gateway serves again within 10 s, also after it was killed often.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Whoever ran this long begins anew.
const STEADY: Duration = Duration::from_secs(60);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Exit(i32),
    Signal(i32),
}

/// The start after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) after: Duration,
    /// The first of a row is told in the history, or one that cannot start would fill it.
    pub(super) is_told: bool,
}

/// How often a gateway has ended of late.
#[derive(Debug, Clone, Default)]
pub(super) struct Course {
    in_a_row: u32,
}

// === impl Course ===

impl Course {
    /// It ended after it `ran` so long.
    pub(super) fn next(&mut self, ran: Duration) -> Next {
        if ran >= STEADY {
            self.in_a_row = 0;
        }
        let after = match self.in_a_row.checked_sub(1) {
            None => Duration::ZERO,
            Some(doubled) => {
                FIRST_PAUSE.saturating_mul(2_u32.checked_pow(doubled).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
            }
        };
        let is_told = self.in_a_row == 0;
        self.in_a_row = self.in_a_row.saturating_add(1);
        Next { after, is_told }
    }

    /// Somebody asked for a start, which counts as no end.
    pub(super) fn anew(&mut self) {
        self.in_a_row = 0;
    }
}

// === impl Ended ===

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exit(code),
            (None, Some(signal)) => Self::Signal(signal),
            // Neither is what no kernel says of an ended process.
            (None, None) => Self::Exit(-1),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(out, "ended with exit code {code}"),
            Self::Signal(signal) => write!(out, "ended by signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(course: &mut Course, ran: Duration, times: usize) -> Vec<u128> {
        (0..times).map(|_| course.next(ran).after.as_millis()).collect()
    }

    #[test]
    fn the_first_start_comes_at_once_and_no_pause_is_long() {
        let mut course = Course::default();
        let short = Duration::from_secs(1);
        assert_eq!(pauses(&mut course, short, 8), [0, 250, 500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(pauses(&mut course, short, 100).last(), Some(&5000));
        assert_eq!(pauses(&mut course, STEADY, 2), [0, 0], "who ran for a minute begins anew");
        assert_eq!(pauses(&mut course, short, 2), [250, 500]);
        course.anew();
        assert_eq!(pauses(&mut course, short, 1), [0]);
    }

    #[test]
    fn the_first_of_a_row_is_told() {
        let mut course = Course::default();
        assert!(course.next(Duration::ZERO).is_told);
        assert!(!course.next(Duration::ZERO).is_told);
        assert!(course.next(STEADY).is_told);
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(Ended::from(ExitStatus::from_raw(9)).to_string(), "ended by signal 9");
        assert_eq!(Ended::from(ExitStatus::from_raw(2 << 8)).to_string(), "ended with exit code 2");
    }
}
