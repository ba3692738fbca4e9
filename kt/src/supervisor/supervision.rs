//! How a supervisor stands: the owner notes it as it goes, and the door tells it also while the owner is busy.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What it is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Somebody waits for a start.
    Starting,
    Running,
    /// It ended unasked: it is started again, or will be at `next_try`.
    Restarting,
    /// It finishes its requests.
    Stopping,
}

/// `{state, pid, reason, restarts, next_try}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Supervision {
    pub(crate) state: State,
    /// The process that serves, or ends.
    pub(crate) pid: Option<u32>,
    /// Why it is to be started again.
    pub(crate) reason: Option<String>,
    /// How often it was started again unasked.
    pub(crate) restarts: u64,
    /// RFC 3339 UTC; `null` while nothing is waited for.
    pub(crate) next_try: Option<String>,
}

// === impl Supervision ===

impl Supervision {
    pub(crate) const fn new() -> Self {
        Self { state: State::Starting, pid: None, reason: None, restarts: 0, next_try: None }
    }

    /// The same supervisor, elsewhere on its way.
    pub(super) fn go(&mut self, state: State, pid: Option<u32>) {
        *self = Self { state, pid, reason: None, restarts: self.restarts, next_try: None };
    }

    /// It is started again at `at`.
    pub(crate) fn again(&mut self, why: &str, at: OffsetDateTime) {
        self.go(State::Restarting, None);
        self.restarts += 1;
        self.reason = Some(why.to_owned());
        self.next_try = at.format(&Rfc3339).ok();
    }

    /// What was waited for is tried.
    pub(super) fn try_now(&mut self) {
        self.next_try = None;
    }

    /// Until the next try, seen at `now`.
    pub(crate) fn waits(&self, now: OffsetDateTime) -> Option<Duration> {
        let at = OffsetDateTime::parse(self.next_try.as_deref()?, &Rfc3339).ok()?;
        Duration::try_from(at - now).ok().filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_told_until_it_is_tried() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut told = Supervision::new();
        told.go(State::Running, Some(7));
        told.again("ended by signal 9", now + Duration::from_secs(2));
        assert_eq!((told.state, told.pid, told.restarts), (State::Restarting, None, 1));
        assert_eq!(told.next_try.as_deref(), Some("1970-01-01T00:00:02Z"));
        assert_eq!(told.waits(now), Some(Duration::from_secs(2)));
        assert_eq!(told.waits(now + Duration::from_secs(3)), None, "it is late, not negative");
        told.try_now();
        assert_eq!((told.waits(now), told.reason.as_deref()), (None, Some("ended by signal 9")));
        told.go(State::Running, Some(8));
        assert_eq!((told.reason, told.restarts), (None, 1));
    }
}
