//! Real gateways while the database is away: they serve, they restart, they catch up.
#![cfg(test)]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tests::cut_link::CutLink;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::operator::push_request;
use tests::plane::{PATIENCE, Plane};
use tokio::time::Instant;

use tests::scripted_agent::{Agent, hello};

use crate::support::{Load, Outage, assert_away, push_until_served, until_away, until_in_sync};

/// How long dead connections to the database take to be noticed.
const FOUND_OUT: Duration = Duration::from_secs(3);
/// How often a control plane looks for news unasked.
const POLL: Duration = Duration::from_secs(2);
const NAMES: [&str; 3] = ["edge-1", "edge-2", "edge-3"];

async fn fleet() -> (Fleet, CutLink) {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    let fleet = Fleet::start_on(plane, &NAMES).await;
    push_until_served(&fleet, "0.1.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.1.0").await;
    (fleet, link)
}

/// Loses what a gateway keeps but its credential.
fn wipe(fleet: &Fleet, name: &str) {
    let dir = fleet.home().join("gateways").join(name);
    fs::remove_dir_all(dir.join("packs")).unwrap();
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file.starts_with("standing") {
            fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_serve_and_those_that_restart_are_served_from_memory() {
    let (mut fleet, link) = fleet().await;
    let assigned = fleet.plane.gateway(FLEET, "edge-2").await.desired.unwrap().generation;
    let told = fleet.plane.whole_history().await.len();
    let load = Load::on(fleet.chat_url("edge-1"));

    Outage::Silent.begin(&link);
    until_away(&fleet.plane, true).await;
    fleet.stop_gateway("edge-2").await;
    fleet.start_gateway("edge-2").await;
    fleet.stop_gateway("edge-3").await;
    wipe(&fleet, "edge-3");
    fleet.start_gateway("edge-3").await;
    // From nowhere but the memory of the control plane.
    fleet.until_serves("edge-3", "0.1.0").await;
    fleet.until_serves("edge-2", "0.1.0").await;
    assert!(fleet.record("edge-3").unconfirmed.is_some(), "nothing is confirmed that is not durable");

    link.pass();
    until_in_sync(&fleet.plane, &NAMES, "0.1.0").await;
    eventually("its report is confirmed", PATIENCE, async || {
        if fleet.record("edge-3").unconfirmed.is_none() { Ok(()) } else { Err("not yet") }
    })
    .await;
    assert_eq!(fleet.plane.gateway(FLEET, "edge-2").await.desired.unwrap().generation, assigned);
    let events = fleet.plane.whole_history().await;
    let again: Vec<_> = events
        .iter()
        .skip(told)
        .filter(|event| event.gateway == "prod/edge-2" && event.outcome == "active")
        .collect();
    assert!(again.is_empty(), "who was in sync activated again: {again:?}");
    push_until_served(&fleet, "0.2.0", &NAMES).await;
    until_in_sync(&fleet.plane, &NAMES, "0.2.0").await;
    let served = load.served().await;
    assert!(served > 50, "only {served} requests were served meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off_proves_nothing_and_its_gateways_catch_up() {
    let (fleet, link) = fleet().await;
    let database = Arc::clone(&fleet.plane.database);
    let url = database.url.clone();
    let other = Plane::start_on(database, &url, |_| {}).await;
    let load = Load::on(fleet.chat_url("edge-1"));
    let list = proto::v1::ListGatewaysRequest { fleet: FLEET.into(), ..Default::default() };
    fleet.plane.gateways().list_gateways(list.clone()).await.unwrap();

    Outage::Refused.begin(&link);
    until_away(&fleet.plane, true).await;
    other.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    let refused = fleet.plane.configs().push_config(push_request(FLEET, "x")).await;
    assert_away(&refused.expect_err("it cannot know"));
    let stale = fleet.plane.gateways().list_gateways(list.clone()).await.unwrap();
    assert!(stale.metadata().contains_key("x-kt-stale-since"));
    let desired = |answer: &proto::v1::ListGatewaysResponse| {
        answer.gateways.iter().map(|one| one.desired.clone().unwrap().version).collect::<Vec<_>>()
    };
    assert_eq!(desired(stale.get_ref()), ["0.1.0"; 3]);
    eventually("the other one assigns it", PATIENCE, async || {
        let fresh = other.gateways().list_gateways(list.clone()).await.unwrap();
        assert!(!fresh.metadata().contains_key("x-kt-stale-since"));
        let desired = desired(fresh.get_ref());
        if desired == ["0.2.0"; 3] { Ok(()) } else { Err(desired) }
    })
    .await;
    for name in NAMES {
        fleet.until_serves(name, "0.1.0").await;
    }

    link.pass();
    for name in NAMES {
        fleet.until_serves(name, "0.2.0").await;
    }
    until_in_sync(&other, &NAMES, "0.2.0").await;

    // Whoever listens for news is cut off as well, and nobody is told: they come by polling, once that can be done.
    link.lose();
    let lost = Instant::now();
    let mut push = push_request(FLEET, &fleet.provider.pack("0.3.0", CHAIN));
    push.rollout.as_mut().expect("an order").supersede = true;
    other.configs().push_config(push).await.unwrap();
    for name in NAMES {
        fleet.until_serves(name, "0.3.0").await;
    }
    eprintln!("news that were lost arrived after {:?}", lost.elapsed());
    assert!(lost.elapsed() < FOUND_OUT + POLL + Duration::from_secs(1), "{:?}", lost.elapsed());
    load.served().await;
    other.end().await;
}

/// A herd of agents that all wait for the same lock leaves connections to operators.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_that_attaches_starves_nobody() {
    let plane = Plane::start().await;
    plane.create_fleet(FLEET).await;
    let mut credentials = Vec::new();
    for number in 0..30 {
        credentials.push(plane.enroll(FLEET, &format!("edge-{number}")).await);
    }
    let mut lock = plane.database.pool.begin().await.unwrap();
    sqlx::query("lock table gateways in exclusive mode").execute(&mut *lock).await.unwrap();
    let herd = join_all(credentials.iter().map(|credential| Agent::attach(&plane, credential, hello())));
    let operator = async {
        eventually("the herd waits for the lock", PATIENCE, async || {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks where not granted
                 and database = (select oid from pg_database where datname = current_database())",
            )
            .fetch_one(&plane.database.pool)
            .await
            .unwrap();
            // As many as attach at a time.
            if waiting >= 3 { Ok(()) } else { Err(waiting) }
        })
        .await;
        for _ in 0..5 {
            let mut fleets = plane.fleets();
            let list = fleets.list_fleets(proto::v1::ListFleetsRequest::default());
            let answer = tokio::time::timeout(Duration::from_secs(2), list).await;
            assert_eq!(answer.expect("it is not starved").unwrap().into_inner().fleets.len(), 1);
        }
        lock.rollback().await.unwrap();
    };
    let (herd, ()) = tokio::join!(herd, operator);
    assert!(herd.iter().all(|agent| !agent.welcome.session_id.is_empty()));
    plane.end().await;
}
