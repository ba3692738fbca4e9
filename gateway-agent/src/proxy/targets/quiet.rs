//! What would be said for each of many requests is said once a second, with how much went unsaid.

use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds between two words.
const EVERY: u64 = 1000;

/// One kind of news of one target.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Quiet {
    next: AtomicU64,
    unsaid: AtomicU64,
}

// === impl Quiet ===

impl Quiet {
    /// `Some` if it may be said now: how often it was not since it was said last. `now` is in milliseconds.
    pub(in crate::proxy) fn speaks(&self, now: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(EVERY);
        let may = now >= next
            && self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !may {
            self.unsaid.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_one_a_second_is_said_and_the_others_are_counted() {
        let quiet = Quiet::default();
        let said: Vec<_> = (0..2500).filter_map(|now| Some((now, quiet.speaks(now)?))).collect();
        assert_eq!(said, [(0, 0), (1000, 999), (2000, 999)]);
        assert_eq!(quiet.speaks(60_000), Some(499));
    }
}
