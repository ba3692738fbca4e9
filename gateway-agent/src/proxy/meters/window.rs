//! A count over the last stretch of time as long as a window. Time is cut into slots; a slot counts as a whole until
//! all of it is out of the window, so never is more let through than the limit, wherever one looks.

use std::time::Duration;

/// Slots that lie in a window as a whole; what is counted is forgotten this share of a window late, at most.
const SLOTS: u32 = 16;
/// Those and the one that has begun.
const KEPT: usize = 17;

#[derive(Debug, Clone)]
pub(super) struct Window {
    slot: Duration,
    /// The number of the slot that was last counted in.
    newest: u64,
    /// By number, round and round.
    counts: [u64; KEPT],
}

// === impl Window ===

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let slot = (length / SLOTS).max(Duration::from_nanos(1));
        Self { slot, newest: 0, counts: [0; KEPT] }
    }

    /// Counts `amount` where there is room for it, or for one if it is zero; or says how long there is none.
    pub(super) fn take(&mut self, now: Duration, limit: u64, amount: u64) -> Result<(), Duration> {
        self.forget(now);
        let wanted = amount.max(1);
        let mut counted = self.sum();
        if counted.saturating_add(wanted) <= limit {
            self.add_here(amount);
            return Ok(());
        }
        // a limit that was lowered below what one takes is never met; then it is as if all must go
        for number in self.oldest()..=self.newest {
            counted = counted.saturating_sub(self.at(number));
            if counted.saturating_add(wanted) <= limit || number == self.newest {
                return Err(self.gone_at(number).saturating_sub(now).max(Duration::from_nanos(1)));
            }
        }
        Err(self.slot)
    }

    pub(super) fn add(&mut self, now: Duration, amount: u64) {
        self.forget(now);
        self.add_here(amount);
    }

    /// Undoes a [`Window::take`] of this moment.
    pub(super) fn give_back(&mut self, now: Duration, amount: u64) {
        self.forget(now);
        let newest = self.newest;
        if let Some(count) = self.counts.get_mut(place(newest)) {
            *count = count.saturating_sub(amount);
        }
    }

    pub(super) fn count(&mut self, now: Duration) -> u64 {
        self.forget(now);
        self.sum()
    }

    /// Until nothing that is counted now is any more.
    pub(super) fn empty_in(&self, now: Duration) -> Duration {
        let last = (self.oldest()..=self.newest).rev().find(|number| self.at(*number) > 0);
        last.map_or(Duration::ZERO, |number| self.gone_at(number).saturating_sub(now))
    }

    /// Empties the slots that time has left behind.
    fn forget(&mut self, now: Duration) {
        let current = self.number(now);
        let passed = current.saturating_sub(self.newest).min(KEPT as u64);
        for number in (current + 1).saturating_sub(passed)..=current {
            if passed > 0
                && let Some(count) = self.counts.get_mut(place(number))
            {
                *count = 0;
            }
        }
        // another thread may have looked at the time a moment later and been here before
        self.newest = self.newest.max(current);
    }

    fn number(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.slot.as_nanos()).unwrap_or(u64::MAX)
    }

    /// When a slot lies outside of the window as a whole.
    fn gone_at(&self, number: u64) -> Duration {
        let nanos = self.slot.as_nanos().saturating_mul(u128::from(number) + KEPT as u128);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn oldest(&self) -> u64 {
        self.newest.saturating_sub(u64::from(SLOTS))
    }

    fn at(&self, number: u64) -> u64 {
        self.counts.get(place(number)).copied().unwrap_or_default()
    }

    fn add_here(&mut self, amount: u64) {
        let newest = self.newest;
        if let Some(count) = self.counts.get_mut(place(newest)) {
            *count = count.saturating_add(amount);
        }
    }

    fn sum(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % KEPT as u64).unwrap_or_default()
}
