//! Credentials that fail: an address that guesses is heard so often and no more, while what was good here passes,
//! and what was just found bad is refused from memory. Pure: the time is passed in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::Instant;

use service_kit::bucket::{Buckets, Rate};

/// Failures that one address may make. A fleet whose credentials were all replaced comes from few addresses, and
/// enrols anew after one failure a gateway.
const FAILURES: Rate = Rate { burst: 200.0, per_second: 50.0 };
/// Addresses with failures that are remembered.
const ADDRESSES: usize = 4_096;
/// Credentials that were good here: more than there are sessions.
const GOOD: usize = 32_768;
/// Credentials that were bad a moment ago.
const BAD: usize = 4_096;
/// A bad credential does not become good; a replica of the database that lags may make it seem bad.
const BAD_FOR: Duration = Duration::from_secs(5);

/// Of a credential that is presented.
pub(super) type Sha256 = [u8; 32];

/// What to do with a credential before it is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It was good here.
    Good,
    /// Nobody knows it yet, and its address may fail once more.
    Unknown,
    /// It was bad a moment ago.
    KnownBad,
    /// Its address failed too often; again after this.
    TooOften(Duration),
}

#[derive(Debug)]
pub(super) struct Failures {
    addresses: Buckets<IpAddr>,
    good: HashMap<Sha256, ()>,
    bad: HashMap<Sha256, Instant>,
}

// === impl Failures ===

impl Failures {
    pub(super) fn new() -> Self {
        Self { addresses: Buckets::new(FAILURES, ADDRESSES), good: HashMap::new(), bad: HashMap::new() }
    }

    /// Asked before the look-up, which costs the address nothing unless it fails: a whole host of gateways may come
    /// at once to a replica that knows none of them yet. What was unknown is asked about again when its turn comes.
    pub(super) fn look(&self, from: IpAddr, credential: Sha256, now: Instant) -> Look {
        if self.good.contains_key(&credential) {
            return Look::Good;
        }
        if self.bad.get(&credential).is_some_and(|at| now.saturating_duration_since(*at) < BAD_FOR) {
            return Look::KnownBad;
        }
        self.addresses.wait(one_host(from), now).map_or(Look::Unknown, Look::TooOften)
    }

    /// It is somebody's.
    pub(super) fn succeeded(&mut self, credential: Sha256) {
        if !self.good.contains_key(&credential) {
            bounded(&mut self.good, GOOD);
            self.good.insert(credential, ());
        }
    }

    /// It is nobody's.
    pub(super) fn failed(&mut self, from: IpAddr, credential: Sha256, now: Instant) {
        self.good.remove(&credential);
        self.addresses.owe(one_host(from), now);
        if self.bad.len() >= BAD {
            self.bad.retain(|_, at| now.saturating_duration_since(*at) < BAD_FOR);
        }
        bounded(&mut self.bad, BAD);
        self.bad.insert(credential, now);
    }
}

/// Whoever may use one loopback address may use millions of them.
fn one_host(from: IpAddr) -> IpAddr {
    let from = from.to_canonical();
    if from.is_loopback() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { from }
}

/// Room for one more; any one of them has to go.
fn bounded<V>(map: &mut HashMap<Sha256, V>, most: usize) {
    if map.len() >= most
        && let Some(any) = map.keys().next().copied()
    {
        map.remove(&any);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn hash(number: u32) -> Sha256 {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        hash
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    #[tokio::test(start_paused = true)]
    async fn a_guesser_is_stopped_and_what_was_good_passes() {
        let now = Instant::now();
        let mut failures = Failures::new();
        let good = hash(0);
        assert_eq!(failures.look(HERE, good, now), Look::Unknown);
        failures.succeeded(good);
        let looked_up = (1..10_000)
            .filter(|number| {
                let guess = hash(*number);
                let up = failures.look(HERE, guess, now) == Look::Unknown;
                if up {
                    failures.failed(HERE, guess, now);
                }
                up
            })
            .count();
        assert_eq!(looked_up, 200);
        assert!(matches!(failures.look(HERE, hash(20_000), now), Look::TooOften(_)));
        assert_eq!(failures.look(HERE, good, now), Look::Good);
        for same in [
            Ipv4Addr::new(127, 1, 2, 3).into(),
            Ipv6Addr::LOCALHOST.into(),
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into(),
        ] {
            assert!(matches!(failures.look(same, hash(20_000), now), Look::TooOften(_)), "{same}");
        }
        assert_eq!(failures.look(THERE, hash(20_000), now), Look::Unknown);
        let later = now + Duration::from_secs(1);
        assert_eq!(failures.look(HERE, hash(20_000), later), Look::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_credential_repeated_is_looked_up_once_in_a_while() {
        let now = Instant::now();
        let mut failures = Failures::new();
        let bad = hash(7);
        assert_eq!(failures.look(HERE, bad, now), Look::Unknown);
        failures.failed(HERE, bad, now);
        for _ in 0..10_000 {
            assert_eq!(failures.look(HERE, bad, now), Look::KnownBad);
        }
        assert_eq!(
            failures.look(HERE, hash(8), now),
            Look::Unknown,
            "others of the address are not locked out"
        );
        assert_eq!(failures.look(HERE, bad, now + BAD_FOR), Look::Unknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_credential_that_was_replaced_is_good_no_more() {
        let now = Instant::now();
        let mut failures = Failures::new();
        failures.succeeded(hash(1));
        failures.failed(HERE, hash(1), now);
        assert_eq!(failures.look(HERE, hash(1), now), Look::KnownBad);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_thousand_unknown_ones_at_once_are_looked_up_when_none_fails() {
        let now = Instant::now();
        let mut failures = Failures::new();
        for number in 0..10_000 {
            assert_eq!(failures.look(HERE, hash(number), now), Look::Unknown);
        }
        // As many failures at once are paid for: not for ever, but for longer than one.
        for number in 0..10_000 {
            failures.failed(HERE, hash(number), now);
        }
        assert_eq!(failures.look(HERE, hash(20_000), now), Look::TooOften(Duration::from_millis(4_020)));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let now = Instant::now();
        let mut failures = Failures::new();
        for number in 0..100_000 {
            failures.succeeded(hash(number));
            failures.failed(HERE, hash(1_000_000 + number), now);
        }
        assert!(failures.good.len() <= GOOD && failures.bad.len() <= BAD);
    }
}
