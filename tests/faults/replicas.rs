//! Several control planes on one database, one of them or one database session frozen in its tracks: numbers stay
//! gapless, watchers skip nothing, nobody is moved back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use proto::v1;
use proto::v1::tail_events_response::Item;
use service_kit::drain;
use sqlx::PgPool;
use tests::eventually::eventually;
use tests::fleet::FLEET;
use tests::http::Http;
use tests::operator::{Operator, push_request};
use tests::plane::PATIENCE;
use tests::process::pid;

use crate::ledger_of_truth::verify;
use crate::rig::{Database, Rig, may_pass};

const REPLICAS: usize = 3;
const PUBLISHERS: usize = 8;
const VERSIONS: usize = 4;
/// How long what is frozen stays so.
const FROZEN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_at_every_replica_and_a_session_frozen_in_mid_transaction() {
    let rig = Rig::start(Database::Shared, REPLICAS, 1).await;
    let (_trigger, tasks) = drain::channel();
    let published: Vec<_> = (0..REPLICAS * PUBLISHERS)
        .map(|number| {
            let operator = rig.planes[number % REPLICAS].operator();
            tasks.spawn("publisher", publish(operator, number))
        })
        .collect();
    let frozen = freeze_a_transaction(&rig.pool()).await;
    eprintln!("{frozen} session frozen for {FROZEN:?} in mid-transaction");
    let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for publisher in published {
        for (config, revision) in publisher.await.expect("a publisher does not panic") {
            told.entry(config).or_default().push(revision);
        }
    }
    for (config, mut revisions) in told {
        revisions.sort_unstable();
        let expected: Vec<u64> = (1..=u64::try_from(revisions.len()).unwrap()).collect();
        assert_eq!(revisions, expected, "{config}: a number twice or none");
    }
    let verified = verify(&rig).await;
    let events = rig.operator().events(v1::EventFilter::default()).await.len();
    for plane in &rig.planes {
        let seen = tail(&plane.operator(), events).await;
        let expected: Vec<u64> = (1..=u64::try_from(events).unwrap()).collect();
        assert_eq!(seen, expected, "a watcher skipped or repeated something");
    }
    eprintln!("replicas: {} publishers at {REPLICAS} replicas; {verified}", REPLICAS * PUBLISHERS);
}

/// Stores version after version of one of four configs; answers what it was told.
async fn publish(operator: Operator, number: usize) -> Vec<(String, u64)> {
    let mut told = Vec::new();
    for version in 0..VERSIONS {
        let name = format!("config-{}", number % 4);
        let source = tests::operator::pack(&format!("{number}.{version}.0"))
            .replace("name: local-dev", &format!("name: {name}"));
        let request = v1::PushConfigRequest {
            rollout: None,
            idempotency_key: format!("{number}-{version}"),
            ..push_request("", &source)
        };
        let answer = loop {
            match operator.configs().push_config(request.clone()).await {
                Ok(answer) => break answer.into_inner(),
                Err(status) if may_pass(&status) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(status) => panic!("a push was refused: {status}"),
            }
        };
        told.push((answer.config, answer.revision));
    }
    told
}

/// Stops a database session that has written and not committed, and wakes it again. Not on a server of others.
async fn freeze_a_transaction(pool: &PgPool) -> usize {
    let session: i32 = eventually("a session in mid-transaction", PATIENCE, async || {
        let found: Result<Option<i32>, sqlx::Error> = sqlx::query_scalar(
            "select pid from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and backend_xid is not null limit 1",
        )
        .fetch_optional(pool)
        .await;
        found.map_err(|error| error.to_string())?.ok_or_else(|| "none".to_owned())
    })
    .await;
    let session = pid(u32::try_from(session).expect("a pid"));
    if kill(session, Signal::SIGSTOP).is_err() {
        return 0;
    }
    tokio::time::sleep(FROZEN).await;
    kill(session, Signal::SIGCONT).expect("it was ours a moment ago");
    1
}

async fn tail(operator: &Operator, wanted: usize) -> Vec<u64> {
    let request = v1::TailEventsRequest { filter: None, cursor: Some(0) };
    let mut stream = operator.history().tail_events(request).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while seen.len() < wanted {
        let next = tokio::time::timeout(PATIENCE, stream.message()).await.expect("in time").unwrap();
        if let Some(Item::Event(event)) = next.expect("the tail goes on").item {
            seen.push(event.cursor);
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_moves_nobody_back() {
    let mut rig = Rig::start(Database::Shared, 2, 2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (_trigger, tasks) = drain::channel();
    let watched: Vec<_> = rig
        .gateways
        .iter()
        .map(|gateway| tasks.spawn("watcher", versions_served(gateway.url(), Arc::clone(&stop))))
        .collect();
    rig.planes[0].process.as_ref().unwrap().freeze();
    for _ in 0..5 {
        let source = rig.next_pack();
        let mut request = push_request(FLEET, &source);
        request.rollout.as_mut().unwrap().supersede = true;
        let pushed = rig.planes[1].operator().configs().push_config(request).await.unwrap().into_inner();
        rig.truth.acknowledged.insert(pushed.revision, pushed.digest);
        until_served(&rig, 1, &pushed.version).await;
    }
    rig.planes[0].process.as_ref().unwrap().thaw();
    rig.until_settled().await;
    stop.store(true, Ordering::SeqCst);
    for watcher in watched {
        let seen = watcher.await.expect("it does not panic");
        assert!(seen.is_sorted(), "a gateway went back: {seen:?}");
        assert_eq!(seen.last(), Some(&6), "{seen:?}");
    }
    eprintln!("a sleeping replica: {}; nobody went back", verify(&rig).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_sleeps_holds_up_nobody_and_catches_up() {
    let mut rig = Rig::start(Database::Shared, 1, 3).await;
    rig.gateways[2].process.as_ref().unwrap().freeze();
    let pushed = rig.publish().await;
    for awake in [0, 1] {
        until_served(&rig, awake, &pushed.version).await;
    }
    let id = pushed.rollout.unwrap().id;
    eventually("only the sleeper is waited for", PATIENCE, async || {
        let counts = rig.operator().rollout(&id).await.counts.unwrap();
        if (counts.active, counts.pending, counts.total) == (2, 1, 3) { Ok(()) } else { Err(counts) }
    })
    .await;
    rig.gateways[2].process.as_ref().unwrap().thaw();
    rig.until_settled().await;
    let rollout = rig.operator().rollout(&id).await;
    assert_eq!((rollout.state(), rollout.counts.unwrap().active), (v1::RolloutState::Succeeded, 3));
    verify(&rig).await;
}

/// The minor versions that a gateway answered under, each change once.
pub async fn versions_served(url: String, stop: Arc<AtomicBool>) -> Vec<u64> {
    let http = Http::new();
    let mut seen = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let answer = http.get(&format!("{url}/v1/models")).await.expect("it serves");
        let version = answer.version().expect("a version").to_owned();
        let minor: u64 = version.split('.').nth(1).unwrap().parse().unwrap();
        if seen.last() != Some(&minor) {
            seen.push(minor);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    seen
}

async fn until_served(rig: &Rig, gateway: usize, version: &str) {
    let url = format!("{}/v1/models", rig.gateways[gateway].url());
    eventually(&format!("gateway {gateway} serves {version}"), PATIENCE, async || {
        let answer = rig.http.get(&url).await.map_err(|error| format!("{error:#}"))?;
        if answer.version() == Some(version) {
            Ok(())
        } else {
            Err(answer.version().map(str::to_owned).unwrap_or_default())
        }
    })
    .await;
}
