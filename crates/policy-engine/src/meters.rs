//! What `rate-limit` asks of a gateway: counters that outlive packs. The engine says what is counted against which
//! limit; the gateway keeps the counts and knows the time.

use std::time::Duration;

/// Kept by the gateway, for as long as it runs.
pub trait Meters: Send + Sync {
    /// The counter of `rule` for one client; `None`: the one that all share of whom nothing is known. The same words
    /// give the same counter, under every pack.
    fn id(&self, rule: &str, whose: Option<&[u8]>) -> MeterId;

    /// Counts every claim, or, where one of them has no room, none.
    ///
    /// # Errors
    /// A claim has no room.
    fn take(&self, claims: &[Claim]) -> Result<Vec<Level>, Exhausted>;
}

/// One counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MeterId(pub u64, pub u64);

/// A request's share of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub meter: MeterId,
    pub window: Duration,
    /// So much may be counted in any stretch of time as long as the window.
    pub limit: u64,
    /// 0: counted later, when it is known ([`Charge`]); now there only must be room for one.
    pub amount: u64,
}

/// How far a limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    pub limit: u64,
    pub remaining: u64,
    /// Until nothing of what is counted now counts any more.
    pub reset: Duration,
}

/// A claim without room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Its position.
    pub claim: usize,
    /// Until there is room, if nobody else comes; never zero.
    pub retry_after: Duration,
    pub level: Level,
}

/// A counter to which the tokens of the answer are to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    pub meter: MeterId,
    pub window: Duration,
}

/// What the limits of a pack say about one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metered {
    /// Of the limits on requests, the one with the least room.
    pub requests: Option<Level>,
    /// Of the limits on tokens, the one with the least room.
    pub tokens: Option<Level>,
    /// To be done once the tokens are known; also where the limit is only shadowed.
    pub charges: Vec<Charge>,
}

// === impl Metered ===

impl Metered {
    pub(crate) fn add(&mut self, other: Self) {
        self.requests = tighter(self.requests, other.requests);
        self.tokens = tighter(self.tokens, other.tokens);
        self.charges.extend(other.charges);
    }
}

pub(crate) fn tighter(one: Option<Level>, other: Option<Level>) -> Option<Level> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}
