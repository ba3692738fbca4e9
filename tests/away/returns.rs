//! Everything returns by itself, and soon.
#![cfg(test)]

use std::time::Duration;

use futures_util::future::join_all;
use tests::cut_link::{CutLink, Stalled};
use tests::fleet::Fleet;
use tests::plane::Plane;
use tokio::time::{Instant, sleep};

use crate::support::{Outage, push_until_served, until_away, until_in_sync};

const WITHIN: Duration = Duration::from_secs(5);
/// What a fault that nobody is told of takes besides; the rest of the time to find it out goes on while the server
/// waits for those who hold its locks.
const FOUND_OUT: Duration = Duration::from_secs(1);
const NAMES: [&str; 2] = ["edge-1", "edge-2"];

/// What is healed, and how.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Away(Outage),
    /// Silent, and when the link is back it knows the connections of before no more.
    AwayAndForgotten,
    /// Too short to be noticed.
    Blink,
    /// Every session is ended by an administrator.
    Terminated,
    /// Every connection is dead and nobody was told; the database is there.
    Forgotten,
}

/// From the end of the fault until a push has reached every gateway and is recorded.
async fn recover(fault: Fault) -> (Fault, Duration) {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    let fleet = Fleet::start_on(plane, &NAMES).await;
    push_until_served(&fleet, "0.1.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.1.0").await;

    let healed = inflict(fault, &fleet, &link).await;
    push_until_served(&fleet, "0.2.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.2.0").await;
    let took = healed.elapsed();
    let events = fleet.plane.whole_history().await;
    assert_eq!(events.iter().filter(|event| event.kind == "config_pushed").count(), 2, "{fault:?}");
    until_away(&fleet.plane, false).await;
    (fault, took)
}

async fn inflict(fault: Fault, fleet: &Fleet, link: &CutLink) -> Instant {
    match fault {
        Fault::Away(outage) => {
            outage.begin(link);
            until_away(&fleet.plane, true).await;
            // Long enough for everybody to wait as long as they ever do.
            sleep(Duration::from_secs(3)).await;
            link.pass();
        }
        Fault::AwayAndForgotten => {
            link.stall(Stalled::Both);
            until_away(&fleet.plane, true).await;
            link.lose();
            link.pass();
        }
        Fault::Blink => {
            link.stall(Stalled::Both);
            sleep(Duration::from_millis(500)).await;
            link.pass();
        }
        Fault::Terminated => {
            let database = &fleet.plane.database;
            let ended: i64 = sqlx::query_scalar(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity
                 where datname = current_database() and application_name = 'kt-control-plane'",
            )
            .fetch_one(&database.pool)
            .await
            .unwrap();
            assert!(ended >= 3, "the pool, the listener and the watch: {ended}");
        }
        Fault::Forgotten => link.lose(),
    }
    Instant::now()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_back_within_five_seconds() {
    let faults = [
        Fault::Away(Outage::Refused),
        Fault::Away(Outage::Silent),
        Fault::Away(Outage::Mute),
        Fault::AwayAndForgotten,
        Fault::Blink,
        Fault::Terminated,
        Fault::Forgotten,
    ];
    let mut took = join_all(faults.map(recover)).await;
    took.sort_by_key(|(_, took)| *took);
    let median = took[took.len() / 2].1;
    eprintln!("back after: p50 {median:?}, max {:?}; {took:?}", took.last().unwrap().1);
    for (fault, took) in took {
        let found_out = if matches!(fault, Fault::Forgotten) { FOUND_OUT } else { Duration::ZERO };
        assert!(took < WITHIN + found_out, "{fault:?} took {took:?}");
    }
}
