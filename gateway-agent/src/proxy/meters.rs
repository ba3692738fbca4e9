//! The counters behind `rate-limit`: kept by the gateway and not by a pack, so they live through every swap. Each
//! counts over a sliding window; together they have a bounded number, and no lock is shared by all.

mod window;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use policy_engine::{Charge, Claim, Exhausted, Level, MeterId, Meters};
use tokio::time::Instant;

use self::window::Window;

/// All counters of one gateway.
pub(super) struct GatewayMeters {
    begun: Instant,
    /// Two keys of this process: nobody outside can make two names meet.
    hashers: [RandomState; 2],
    shards: Vec<Mutex<Shard>>,
}

#[derive(Default)]
struct Shard {
    counters: HashMap<MeterId, Counter, Hashed>,
}

struct Counter {
    window: Window,
    /// When it was last asked.
    touched: Duration,
}

/// An id is two hashes already: one chooses the shard, the other the place in it.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed;

#[derive(Default)]
struct Taken(u64);

const SHARDS: usize = 64;
/// Counters of one shard; in all 65 536. A client that makes up names drives out the stillest, and no more.
const MAX_COUNTERS: usize = 1024;
/// Driven out at a time, so that a flood of names does not search for each of them.
const DRIVEN_OUT: usize = MAX_COUNTERS / 8;

// === impl GatewayMeters ===

impl GatewayMeters {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            hashers: [RandomState::new(), RandomState::new()],
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Counts what became known after the answer.
    pub(super) fn charge(&self, charges: &[Charge], amount: u64) {
        let now = self.begun.elapsed();
        for charge in charges {
            if let Some(mut shard) = self.shard(charge.meter) {
                shard.counter(charge.meter, charge.window, now).add(now, amount);
            }
        }
    }

    fn shard(&self, meter: MeterId) -> Option<MutexGuard<'_, Shard>> {
        let MeterId(first, _) = meter;
        let at = usize::try_from(first % SHARDS as u64).unwrap_or_default();
        // Nothing that is done under the lock can leave a counter half changed.
        self.shards.get(at).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take_one(&self, claim: &Claim, now: Duration) -> Result<Level, (Level, Duration)> {
        let Some(mut shard) = self.shard(claim.meter) else {
            return Ok(Level { limit: claim.limit, remaining: claim.limit, reset: Duration::ZERO });
        };
        let window = shard.counter(claim.meter, claim.window, now);
        let taken = window.take(now, claim.limit, claim.amount);
        let level = Level {
            limit: claim.limit,
            remaining: claim.limit.saturating_sub(window.count(now)),
            reset: window.empty_in(now),
        };
        taken.map(|()| level).map_err(|retry_after| (level, retry_after))
    }

    fn give_back(&self, claims: &[Claim], now: Duration) {
        for claim in claims {
            if let Some(mut shard) = self.shard(claim.meter) {
                shard.counter(claim.meter, claim.window, now).give_back(now, claim.amount);
            }
        }
    }
}

impl Meters for GatewayMeters {
    fn id(&self, rule: &str, whose: Option<&[u8]>) -> MeterId {
        let [first, second] = &self.hashers;
        MeterId(first.hash_one((rule, whose)), second.hash_one((rule, whose)))
    }

    fn take(&self, claims: &[Claim]) -> Result<Vec<Level>, Exhausted> {
        let now = self.begun.elapsed();
        let mut levels = Vec::with_capacity(claims.len());
        for (at, claim) in claims.iter().enumerate() {
            match self.take_one(claim, now) {
                Ok(level) => levels.push(level),
                Err((level, retry_after)) => {
                    self.give_back(claims.get(..at).unwrap_or_default(), now);
                    return Err(Exhausted { claim: at, retry_after, level });
                }
            }
        }
        Ok(levels)
    }
}

// === impl Shard ===

impl Shard {
    fn counter(&mut self, meter: MeterId, window: Duration, now: Duration) -> &mut Window {
        if self.counters.len() >= MAX_COUNTERS && !self.counters.contains_key(&meter) {
            self.drive_out();
        }
        let counter = self
            .counters
            .entry(meter)
            .or_insert_with(|| Counter { window: Window::new(window), touched: now });
        counter.touched = counter.touched.max(now);
        &mut counter.window
    }

    fn drive_out(&mut self) {
        let mut touched: Vec<Duration> = self.counters.values().map(|counter| counter.touched).collect();
        let (_, last, _) = touched.select_nth_unstable(DRIVEN_OUT.min(self.counters.len().saturating_sub(1)));
        let (last, mut left) = (*last, DRIVEN_OUT);
        self.counters.retain(|_, counter| {
            let goes = counter.touched <= last && left > 0;
            left -= usize::from(goes);
            !goes
        });
    }
}

// === impl Hashed ===

impl BuildHasher for Hashed {
    type Hasher = Taken;

    fn build_hasher(&self) -> Taken {
        Taken::default()
    }
}

impl std::hash::Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }
}

#[cfg(test)]
mod tests;
