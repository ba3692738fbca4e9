//! How many calls may be repeated: a fifth of the requests and ten a second, so that a provider that is down does not
//! double the load of the next. The figures are those of Envoy and linkerd.

/// Credit for further attempts, in one atomic word. Times are milliseconds since a moment that the caller keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    /// Thousandths of an attempt.
    credit: u32,
    /// Until when time has been paid for.
    at: u64,
}

const ATTEMPT: u64 = 1000;
/// Of one request.
const SHARE: u64 = ATTEMPT / 5;
/// A millisecond earns ten thousandths: ten attempts a second.
const PER_MILLISECOND: u64 = 10;
/// Ten seconds' worth: what a burst may use.
const MOST: u64 = 100 * ATTEMPT;
const CREDIT_BITS: u32 = 20;

// === impl RetryBudget ===

impl RetryBudget {
    pub const fn new() -> Self {
        Self { credit: MOST as u32, at: 0 }
    }

    /// A request has come; `None` where there is nothing to write down.
    pub fn earned(self, now: u64) -> Option<Self> {
        let credit = self.credit_at(now);
        if u64::from(self.credit) >= MOST {
            return None;
        }
        Some(Self::with(credit + SHARE, now.max(self.at)))
    }

    /// One further attempt; `None` where it may not be made.
    pub fn spent(self, now: u64) -> Option<Self> {
        let left = self.credit_at(now).checked_sub(ATTEMPT)?;
        Some(Self::with(left, now.max(self.at)))
    }

    pub fn to_word(self) -> u64 {
        self.at << CREDIT_BITS | u64::from(self.credit)
    }

    pub fn from_word(word: u64) -> Self {
        Self::with(word & ((1 << CREDIT_BITS) - 1), word >> CREDIT_BITS)
    }

    fn with(credit: u64, at: u64) -> Self {
        Self { credit: u32::try_from(credit.min(MOST)).unwrap_or(u32::MAX), at }
    }

    fn credit_at(self, now: u64) -> u64 {
        let earned = now.saturating_sub(self.at).saturating_mul(PER_MILLISECOND);
        u64::from(self.credit).saturating_add(earned).min(MOST)
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_a_share_and_a_trickle() {
        let mut budget = RetryBudget::new();
        assert_eq!(budget.earned(5), None, "a full budget is not written to");
        let mut spent = 0;
        while let Some(next) = budget.spent(0) {
            budget = next;
            spent += 1;
        }
        assert_eq!(spent, 100);
        for _ in 0..5 {
            budget = budget.earned(0).unwrap();
        }
        budget = budget.spent(0).expect("five requests earn one attempt");
        assert_eq!(budget.spent(99), None);
        budget = budget.spent(100).expect("so does a tenth of a second");
        assert_eq!(budget.spent(100), None);
        assert!(budget.spent(1_000_000).is_some());
    }

    proptest! {
        #[test]
        fn attempts_are_never_more_than_the_figures_allow(
            steps in proptest::collection::vec((0_u64..50, any::<bool>()), 0..2000),
        ) {
            let (mut budget, mut now, mut requests, mut attempts) = (RetryBudget::new(), 0, 0_u64, 0_u64);
            for (wait, again) in steps {
                now += wait;
                requests += 1;
                budget = budget.earned(now).unwrap_or(budget);
                if again && let Some(next) = budget.spent(now) {
                    budget = next;
                    attempts += 1;
                }
                prop_assert_eq!(RetryBudget::from_word(budget.to_word()), budget);
                prop_assert!(attempts * 1000 <= 100_000 + requests * 200 + now * 10);
            }
        }
    }
}
