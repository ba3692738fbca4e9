//! What is known of one target, in atomic words that every request of every worker may touch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy_config::schema::{CircuitBreaker, TargetId};
use policy_engine::routing::{Admission, Breaker, RetryBudget};

use super::quiet::Quiet;

/// Its circuit breaker, the budget of attempts after its failures, whose turn it is, and when of it was spoken last.
#[derive(Debug)]
pub(in crate::proxy) struct Lane {
    breaker: AtomicU64,
    budget: AtomicU64,
    turns: AtomicU64,
    failures: Quiet,
    moves: Quiet,
}

/// The right to call a target once. Dropped without a word, as with a client that left, it tells nothing of the target.
#[derive(Debug)]
pub(in crate::proxy) struct Permit<'a> {
    lane: &'a Lane,
    target: &'a TargetId,
    is_probe: bool,
    is_told: bool,
    begun: u64,
}

/// What is owed to a target's breaker at the end of a stream whose head was there. Dropped without a word it tells
/// nothing, as a permit does.
#[derive(Debug)]
pub(in crate::proxy) struct StreamPermit {
    lane: Arc<Lane>,
    target: TargetId,
}

// === impl Lane ===

impl Lane {
    /// Refused for as long as the target is to be left alone. `now` is in milliseconds, as everywhere here.
    pub(in crate::proxy) fn admit<'a>(
        &'a self,
        target: &'a TargetId,
        now: u64,
    ) -> Result<Permit<'a>, Duration> {
        let mut word = self.breaker.load(Ordering::Acquire);
        loop {
            let is_probe = match Breaker::from_word(word).admit(now) {
                Admission::Refused(wait) => return Err(wait),
                Admission::Call => false,
                Admission::Probe(next) => {
                    let taken = self.breaker.compare_exchange(
                        word,
                        next.to_word(),
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    );
                    if let Err(changed) = taken {
                        word = changed;
                        continue;
                    }
                    true
                }
            };
            return Ok(Permit { lane: self, target, is_probe, is_told: false, begun: now });
        }
    }

    /// A request came whose first target this is.
    pub(in crate::proxy) fn count_request(&self, now: u64) {
        // Where nothing is owed, nothing is written: the word stays in every worker's cache.
        let _ =
            change(&self.budget, |word| RetryBudget::from_word(word).earned(now).map(RetryBudget::to_word));
    }

    /// Whether a request that failed here may be made elsewhere.
    pub(in crate::proxy) fn may_go_on(&self, now: u64) -> bool {
        change(&self.budget, |word| RetryBudget::from_word(word).spent(now).map(RetryBudget::to_word))
            .is_some()
    }

    /// How many requests came before, of those that begin to choose here.
    pub(in crate::proxy) fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    /// It is left alone, or one probe asks whether it is over.
    pub(in crate::proxy) fn is_open(&self) -> bool {
        !matches!(Breaker::from_word(self.breaker.load(Ordering::Acquire)), Breaker::Closed { .. })
    }

    /// What the log is told of calls that failed.
    pub(in crate::proxy) fn failures(&self) -> &Quiet {
        &self.failures
    }

    /// And of requests that went on elsewhere.
    pub(in crate::proxy) fn moves(&self) -> &Quiet {
        &self.moves
    }

    fn turn_breaker(&self, target: &TargetId, next: impl Fn(Breaker) -> Breaker) {
        let changed = change(&self.breaker, |word| {
            let after = next(Breaker::from_word(word)).to_word();
            (after != word).then_some(after)
        });
        let Some((before, after)) =
            changed.map(|(before, after)| (Breaker::from_word(before), Breaker::from_word(after)))
        else {
            return;
        };
        match (before, after) {
            (Breaker::Closed { .. }, Breaker::Open { .. }) => {
                tracing::warn!(%target, "a target failed too often in a row; it is left alone for the cooldown");
            }
            (Breaker::HalfOpen, Breaker::Closed { .. }) => tracing::info!(%target, "a target answers again"),
            _ => {}
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            breaker: AtomicU64::new(Breaker::new().to_word()),
            budget: AtomicU64::new(RetryBudget::new().to_word()),
            turns: AtomicU64::new(0),
            failures: Quiet::default(),
            moves: Quiet::default(),
        }
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// The target answered; also with a refusal of the request.
    pub(in crate::proxy) fn succeeded(mut self) {
        self.is_told = true;
        self.lane.turn_breaker(self.target, |breaker| breaker.succeeded(self.is_probe));
    }

    /// The head of a stream is there. A probe has its answer; whether the target serves is known at the stream's end.
    pub(in crate::proxy) fn streams(mut self, lane: &Arc<Lane>) -> StreamPermit {
        if self.is_probe {
            self.is_told = true;
            self.lane.turn_breaker(self.target, |breaker| breaker.succeeded(true));
        }
        StreamPermit { lane: Arc::clone(lane), target: self.target.clone() }
    }

    /// It did not, by its own fault.
    pub(in crate::proxy) fn failed(mut self, now: u64, settings: &CircuitBreaker) {
        self.is_told = true;
        self.lane.turn_breaker(self.target, |breaker| breaker.failed(self.is_probe, now, settings));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe && !self.is_told {
            self.lane.turn_breaker(self.target, |breaker| breaker.abandoned(true, self.begun));
        }
    }
}

// === impl StreamPermit ===

impl StreamPermit {
    /// The stream came to its end.
    pub(in crate::proxy) fn succeeded(self) {
        self.lane.turn_breaker(&self.target, |breaker| breaker.succeeded(false));
    }

    /// The provider broke it off, or fell silent.
    pub(in crate::proxy) fn failed(self, now: u64, settings: &CircuitBreaker) {
        self.lane.turn_breaker(&self.target, |breaker| breaker.failed(false, now, settings));
    }
}

/// Before and after; `None` where `next` has nothing to write.
fn change(word: &AtomicU64, next: impl Fn(u64) -> Option<u64>) -> Option<(u64, u64)> {
    let mut before = word.load(Ordering::Acquire);
    loop {
        let after = next(before)?;
        match word.compare_exchange_weak(before, after, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Some((before, after)),
            Err(changed) => before = changed,
        }
    }
}
