//! The counters against a list of everything that ever happened, under threads, and against a client that makes up names.

#![cfg(test)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policy_engine::{Charge, Claim, MeterId, Meters};
use proptest::prelude::*;

use super::window::Window;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn claim(meter: MeterId, limit: u64) -> Claim {
    Claim { meter, window: MINUTE, limit, amount: 1 }
}

/// Every event that was counted, with its time.
#[derive(Default)]
struct Naive(Vec<(Duration, u64)>);

impl Naive {
    /// What counts at a time: all of the slots that reach into the window, told from the events themselves.
    fn count(&self, now: Duration, window: Duration) -> u64 {
        let slot = (window / 16).as_nanos();
        let current = now.as_nanos() / slot;
        let counts = |at: &Duration| at.as_nanos() / slot + 16 >= current;
        self.0.iter().filter(|(at, _)| counts(at)).map(|(_, amount)| amount).sum()
    }

    fn within(&self, from: Duration, length: Duration) -> u64 {
        self.0.iter().filter(|(at, _)| *at >= from && *at < from + length).map(|(_, amount)| amount).sum()
    }
}

/// Waits in milliseconds, then a request (0) or so many tokens.
fn steps() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((prop_oneof![0..50u64, 0..4000u64, 50_000..200_000u64], 0..30u64), 1..200)
}

proptest! {
    #[test]
    fn a_window_counts_as_a_list_of_all_events_would(steps in steps(), limit in 1..40u64, seconds in 1..90u64) {
        let length = Duration::from_secs(seconds);
        let (mut window, mut naive, mut now) = (Window::new(length), Naive::default(), Duration::ZERO);
        for (wait, tokens) in steps {
            now += Duration::from_millis(wait);
            let before = naive.count(now, length);
            prop_assert_eq!(window.count(now), before);
            if tokens > 0 {
                window.add(now, tokens);
                naive.0.push((now, tokens));
                continue;
            }
            match window.take(now, limit, 1) {
                Ok(()) => {
                    prop_assert!(before < limit);
                    naive.0.push((now, 1));
                }
                Err(retry_after) => {
                    prop_assert!(before >= limit);
                    let then = now + retry_after;
                    prop_assert!(naive.count(then, length) < limit, "there is room when it was said to be");
                    let sooner = then - Duration::from_nanos(1);
                    prop_assert!(sooner < now || naive.count(sooner, length) >= limit, "and no earlier");
                }
            }
            let empty = now + window.empty_in(now);
            prop_assert_eq!(naive.count(empty, length), 0);
        }
    }

    #[test]
    fn no_stretch_as_long_as_the_window_holds_more_than_the_limit(
        waits in proptest::collection::vec(0..3000u64, 1..300), limit in 1..20u64,
    ) {
        let length = Duration::from_secs(10);
        let (mut window, mut naive, mut now) = (Window::new(length), Naive::default(), Duration::ZERO);
        for wait in waits {
            now += Duration::from_millis(wait);
            if window.take(now, limit, 1).is_ok() {
                naive.0.push((now, 1));
            }
        }
        for (from, _) in &naive.0 {
            prop_assert!(naive.within(*from, length) <= limit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_for_one_name_and_comes_back_with_time() {
    let meters = GatewayMeters::new();
    let (jane, john) = (meters.id("r", Some(b"jane")), meters.id("r", Some(b"john")));
    for left in [1, 0] {
        assert_eq!(meters.take(&[claim(jane, 2)]).unwrap()[0].remaining, left);
    }
    let exhausted = meters.take(&[claim(jane, 2)]).unwrap_err();
    assert!(exhausted.retry_after > MINUTE && exhausted.retry_after <= MINUTE + MINUTE / 16);
    assert_eq!((exhausted.claim, exhausted.level.remaining), (0, 0));
    assert!(meters.take(&[claim(john, 2)]).is_ok());
    assert_ne!(meters.id("r", None), meters.id("r", Some(b"")), "no name is not an empty name");

    // another limit for the same counter holds at once, for what was counted before
    assert_eq!(meters.take(&[claim(jane, 5)]).unwrap()[0].remaining, 2);
    assert!(meters.take(&[claim(jane, 1)]).is_err());

    tokio::time::advance(exhausted.retry_after).await;
    assert!(meters.take(&[claim(jane, 2)]).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_one_limit_refuses_is_counted_by_none() {
    let meters = GatewayMeters::new();
    let (global, jane) = (meters.id("global", None), meters.id("consumer", Some(b"jane")));
    let both = [claim(global, 10), claim(jane, 1)];
    assert!(meters.take(&both).is_ok());
    for _ in 0..20 {
        assert_eq!(meters.take(&both).unwrap_err().claim, 1);
    }
    assert_eq!(meters.take(&[claim(global, 10)]).unwrap()[0].remaining, 8);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_counted_when_they_are_known() {
    let meters = GatewayMeters::new();
    let meter = meters.id("tokens", None);
    let ask = [Claim { meter, window: MINUTE, limit: 100, amount: 0 }];
    let charge = [Charge { meter, window: MINUTE }];
    for _ in 0..3 {
        assert_eq!(meters.take(&ask).unwrap()[0].remaining, 100, "to ask costs nothing");
    }
    meters.charge(&charge, 99);
    assert_eq!(meters.take(&ask).unwrap()[0].remaining, 1);
    meters.charge(&charge, u64::MAX);
    let exhausted = meters.take(&ask).unwrap_err();
    assert_eq!(exhausted.level.remaining, 0);
    tokio::time::advance(exhausted.retry_after).await;
    assert_eq!(meters.take(&ask).unwrap()[0].remaining, 100);
}

#[test]
fn threads_let_no_more_through_than_the_limit() {
    let meters = GatewayMeters::new();
    let meter = meters.id("global", None);
    let passed = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    if meters.take(&[claim(meter, 1000)]).is_ok() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(passed.into_inner(), 1000);
}

#[tokio::test(start_paused = true)]
async fn made_up_names_drive_out_the_stillest_and_take_no_more_memory() {
    let meters = GatewayMeters::new();
    let busy = meters.id("r", Some(b"busy"));
    for name in 0..300_000u32 {
        tokio::time::advance(Duration::from_nanos(1)).await;
        let _ = meters.take(&[claim(meters.id("r", Some(&name.to_le_bytes())), 5)]);
        if name % 1000 == 0 {
            let _ = meters.take(&[claim(busy, 5)]);
        }
    }
    let counters: usize = meters.shards.iter().map(|shard| shard.lock().unwrap().counters.len()).sum();
    assert!((SHARDS * (MAX_COUNTERS - DRIVEN_OUT)..=SHARDS * MAX_COUNTERS).contains(&counters), "{counters}");
    assert!(meters.take(&[claim(busy, 5)]).is_err(), "who goes on asking is not forgotten");
}
