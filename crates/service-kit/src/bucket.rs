//! A bucket that fills with time: so many at once, then so many a second. Pure: the time is passed in.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How much a bucket holds, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub burst: f64,
    pub per_second: f64,
}

#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    held: f64,
    at: Instant,
}

/// Buckets by key. One that is full again says nothing and is forgotten; their number is bounded.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    most: usize,
    held: HashMap<K, Bucket>,
}

// === impl Bucket ===

impl Bucket {
    pub const fn full(rate: Rate, now: Instant) -> Self {
        Self { held: rate.burst, at: now }
    }

    /// One less.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.take_many(1.0, rate, now)
    }

    /// So many less, all or none.
    ///
    /// # Errors
    /// How long until there are so many.
    pub fn take_many(&mut self, many: f64, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.held = self.level(rate, now);
        self.at = now;
        if self.held >= many {
            self.held -= many;
            return Ok(());
        }
        let seconds = (many - self.held) / rate.per_second;
        Err(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// How long until there is one; `None`: there is.
    pub fn wait(&self, rate: Rate, now: Instant) -> Option<Duration> {
        let missing = 1.0 - self.level(rate, now);
        (missing > 0.0)
            .then(|| Duration::try_from_secs_f64(missing / rate.per_second).unwrap_or(Duration::MAX))
    }

    /// One less, also when there is none: what was begun while there was one is paid for afterwards. At most a
    /// whole bucket is owed.
    pub fn owe(&mut self, rate: Rate, now: Instant) {
        self.held = (self.level(rate, now) - 1.0).max(-rate.burst);
        self.at = now;
    }

    fn level(&self, rate: Rate, now: Instant) -> f64 {
        let filled = now.saturating_duration_since(self.at).as_secs_f64() * rate.per_second;
        (self.held + filled).min(rate.burst)
    }
}

// === impl Buckets ===

impl<K: Eq + Hash + Copy> Buckets<K> {
    pub fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, held: HashMap::new() }
    }

    /// One less of this key's.
    ///
    /// # Errors
    /// How long until there is one.
    pub fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        self.of(key, now).take(rate, now)
    }

    /// As [`Bucket::wait`], of this key's.
    pub fn wait(&self, key: K, now: Instant) -> Option<Duration> {
        self.held.get(&key)?.wait(self.rate, now)
    }

    /// As [`Bucket::owe`], of this key's.
    pub fn owe(&mut self, key: K, now: Instant) {
        let rate = self.rate;
        self.of(key, now).owe(rate, now);
    }

    fn of(&mut self, key: K, now: Instant) -> &mut Bucket {
        if self.held.len() >= self.most && !self.held.contains_key(&key) {
            self.make_room(now);
        }
        let rate = self.rate;
        self.held.entry(key).or_insert_with(|| Bucket::full(rate, now))
    }

    /// When all are in use, any one of them starts anew: its owner gains a burst, and memory stays bounded.
    fn make_room(&mut self, now: Instant) {
        let rate = self.rate;
        self.held.retain(|_, bucket| bucket.level(rate, now) < rate.burst);
        if self.held.len() >= self.most
            && let Some(any) = self.held.keys().next().copied()
        {
            self.held.remove(&any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3.0, per_second: 2.0 };

    #[test]
    fn a_burst_then_the_rate_then_the_burst_again() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut bucket = Bucket::full(RATE, start);
        // (when, taken)
        let table = [(0, true), (0, true), (0, true), (0, false), (499, false), (500, true), (501, false)];
        for (millis, taken) in table {
            assert_eq!(bucket.take(RATE, at(millis)).is_ok(), taken, "{millis}");
        }
        assert_eq!(bucket.take(RATE, at(750)).map_err(|wait| wait.as_millis()), Err(250));
        let later = (0..5).filter(|_| bucket.take(RATE, at(60_000)).is_ok()).count();
        assert_eq!(later, 3);
        assert!(bucket.take_many(2.0, RATE, at(61_000)).is_ok());
        assert!(bucket.take_many(2.0, RATE, at(61_000)).is_err());
        // A clock that steps back fills nothing and takes nothing away.
        assert!(bucket.take_many(2.0, RATE, at(59_000)).is_err());
    }

    #[test]
    fn what_is_owed_is_waited_for_and_bounded() {
        let now = Instant::now();
        let mut bucket = Bucket::full(RATE, now);
        // (owed more, milliseconds until there is one)
        for (times, wait) in [(2, None), (1, Some(500)), (1, Some(1_000)), (1_000, Some(2_000))] {
            for _ in 0..times {
                bucket.owe(RATE, now);
            }
            assert_eq!(bucket.wait(RATE, now).map(|wait| wait.as_millis()), wait);
        }
        assert_eq!(bucket.wait(RATE, now + Duration::from_secs(2)), None);
    }

    #[test]
    fn keys_are_apart_and_their_number_is_bounded() {
        let now = Instant::now();
        let mut buckets = Buckets::new(RATE, 4);
        for _ in 0..3 {
            assert!(buckets.take(0, now).is_ok());
        }
        assert!(buckets.take(0, now).is_err());
        assert!(buckets.take(1, now).is_ok());
        assert!(buckets.wait(0, now).is_some() && buckets.wait(1, now).is_none());
        for key in 2..1_000 {
            assert!(buckets.take(key, now).is_ok());
            assert!(buckets.held.len() <= 4);
        }
        // One that is new: whoever is known needs no room.
        assert!(buckets.take(1_000, now + Duration::from_secs(9)).is_ok());
        assert_eq!(buckets.held.len(), 1, "those that filled up again are forgotten");
    }
}
