//! How long to wait before trying again: doubling up to a cap, with full jitter, so that a fleet that lost
//! its control plane does not come back in step. It only computes; the caller sleeps.

use std::time::Duration;

/// An endless iterator of delays, each drawn evenly from zero to `min(cap, base × 2ⁿ)`.
///
/// Jitter applies from the first delay on. The same seed gives the same delays, so a failing test repeats.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    attempt: u32,
    random: fastrand::Rng,
}

// === impl Backoff ===

impl Backoff {
    /// `base` bounds the first delay, `cap` bounds all of them.
    pub fn full_jitter(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, attempt: 0, random: fastrand::Rng::with_seed(seed) }
    }

    /// Starts again at `base`. Call it after a stable period, not on the first success: a peer that
    /// accepts and then dies would otherwise be called in a tight loop.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    fn ceiling(&self) -> Duration {
        let factor = 2_u32.checked_pow(self.attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    /// Never `None`.
    fn next(&mut self) -> Option<Duration> {
        let ceiling = self.ceiling();
        self.attempt = self.attempt.saturating_add(1);
        Some(ceiling.mul_f64(self.random.f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn every_delay_stays_below_its_doubling_ceiling_and_the_cap() {
        for seed in 0..200 {
            for (attempt, delay) in Backoff::full_jitter(BASE, CAP, seed).take(80).enumerate() {
                let doubled = BASE.saturating_mul(2_u32.saturating_pow(attempt as u32));
                assert!(delay <= doubled.min(CAP), "seed {seed}, attempt {attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn delays_of_many_seeds_fill_the_whole_range_from_the_first_try_on() {
        let first: Vec<Duration> =
            (0..400).filter_map(|seed| Backoff::full_jitter(BASE, CAP, seed).next()).collect();
        assert!(first.iter().any(|delay| *delay < BASE / 5));
        assert!(first.iter().any(|delay| *delay > BASE * 4 / 5));
    }

    #[test]
    fn the_same_seed_repeats_and_a_reset_starts_small_again() {
        let one: Vec<_> = Backoff::full_jitter(BASE, CAP, 7).take(20).collect();
        let two: Vec<_> = Backoff::full_jitter(BASE, CAP, 7).take(20).collect();
        assert_eq!(one, two);

        let mut backoff = Backoff::full_jitter(BASE, CAP, 7);
        assert_eq!(backoff.by_ref().take(40).count(), 40);
        backoff.reset();
        assert!(backoff.next().is_some_and(|delay| delay <= BASE));
    }
}
