//! Several control planes on one database, one of them or one database session frozen in its tracks: numbers stay
//! gapless, watchers skip nothing, nobody is moved back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::v1;
use proto::v1::tail_events_response::Item;
use service_kit::drain::{self, DrainWatcher};
use sqlx::PgPool;
use tests::cut_link::{CutLink, Target};
use tests::eventually::eventually;
use tests::http::Http;
use tests::operator::{Operator, push_request};
use tests::plane::PATIENCE;
use tests::process::pid;
use tokio::time::timeout;

use crate::ledger_of_truth::verify;
use crate::rig::{Database, Rig, may_pass};

const REPLICAS: usize = 3;
const PUBLISHERS: usize = 8;
/// At least so many each; they go on until the frozen session is awake again.
const VERSIONS: usize = 4;
/// How long what is frozen stays so.
const FROZEN: Duration = Duration::from_secs(2);
/// For a look at the sessions; whoever is frozen may hold a lock that it needs.
const LOOK: Duration = Duration::from_secs(1);
const SLEEPS_OVER: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_at_every_replica_and_a_session_frozen_in_mid_transaction() {
    let rig = Rig::start(Database::Shared, REPLICAS, 1).await;
    let (_trigger, tasks) = drain::channel();
    let tails: Vec<Tail> = rig.planes.iter().map(|plane| Tail::at(plane.operator(), &tasks)).collect();
    // Each of them is there before the first publisher is.
    until_told(&tails, rig.operator().whole_history().await.len()).await;
    let awake = Arc::new(AtomicBool::new(false));
    let published: Vec<_> = (0..REPLICAS * PUBLISHERS)
        .map(|number| {
            let operator = rig.planes[number % REPLICAS].operator();
            tasks.spawn("publisher", publish(operator, number, Arc::clone(&awake)))
        })
        .collect();
    if std::env::var_os("DATABASE_URL").is_some_and(|url| !url.is_empty()) {
        eprintln!("no session is frozen: the server of DATABASE_URL is not ours");
    } else {
        freeze_a_transaction(&rig.pool()).await;
        eprintln!("a session was frozen for {FROZEN:?} in mid-transaction");
    }
    awake.store(true, Ordering::SeqCst);
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
    let events = rig.operator().whole_history().await.len();
    until_told(&tails, events).await;
    let expected: Vec<u64> = (1..=u64::try_from(events).unwrap()).collect();
    let mut again = 0;
    for tail in &tails {
        assert_eq!(tail.seen(), expected, "a watcher skipped or repeated something");
        again += tail.opened() - 1;
    }
    eprintln!(
        "replicas: {} publishers at {REPLICAS} replicas; {verified}; {REPLICAS} watchers from before the first push \
         saw all in order, {again} times on a new stream",
        REPLICAS * PUBLISHERS
    );
}

/// Stores version after version of one of four configs; answers what it was told.
async fn publish(operator: Operator, number: usize, enough: Arc<AtomicBool>) -> Vec<(String, u64)> {
    let mut told = Vec::new();
    let mut version = 0;
    while version < VERSIONS || !enough.load(Ordering::SeqCst) {
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
        version += 1;
    }
    told
}

/// A session stopped with SIGSTOP; dropped, it is awake again, also when the test failed.
struct Frozen(Pid);

impl Frozen {
    fn freeze(session: Pid) -> Self {
        kill(session, Signal::SIGSTOP).expect("it is of our own server");
        Self(session)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// Stops a database session that has written and not committed, and wakes it again; one that had committed before it
/// stood still does not count.
async fn freeze_a_transaction(pool: &PgPool) {
    eventually("a session stands still in mid-transaction", PATIENCE, async || {
        let found: Option<(i32, String)> = sqlx::query_as(
            "select pid, backend_xid::text from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and backend_xid is not null limit 1",
        )
        .fetch_optional(pool)
        .await
        .map_err(|error| error.to_string())?;
        let (session, transaction) = found.ok_or_else(|| "no transaction".to_owned())?;
        let frozen = Frozen::freeze(pid(u32::try_from(session).expect("a pid")));
        still_in(pool, session, &transaction).await?;
        tokio::time::sleep(FROZEN).await;
        still_in(pool, session, &transaction).await?;
        drop(frozen);
        Ok::<(), String>(())
    })
    .await;
}

async fn still_in(pool: &PgPool, session: i32, transaction: &str) -> Result<(), String> {
    let found: Option<Option<String>> = timeout(
        LOOK,
        sqlx::query_scalar("select backend_xid::text from pg_stat_activity where pid = $1")
            .bind(session)
            .fetch_optional(pool),
    )
    .await
    .map_err(|_| "it holds a lock of the server itself".to_owned())?
    .map_err(|error| error.to_string())?;
    match found.flatten() {
        Some(found) if found == transaction => Ok(()),
        other => Err(format!("{session} was in {transaction} and is in {other:?}")),
    }
}

/// A watcher of the history, from the beginning and for as long as there is news.
struct Tail(Arc<Mutex<Watched>>);

#[derive(Default)]
struct Watched {
    /// The numbers of the events, in the order they came.
    seen: Vec<u64>,
    opened: usize,
}

impl Tail {
    fn at(operator: Operator, tasks: &DrainWatcher) -> Self {
        let watched = Arc::<Mutex<Watched>>::default();
        tasks.spawn("tail", follow(operator, Arc::clone(&watched)));
        Self(watched)
    }

    fn seen(&self) -> Vec<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seen.clone()
    }

    fn opened(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).opened
    }
}

/// A stream that a replica ended for want of its database is resumed behind the last event, as `kt` does.
async fn follow(operator: Operator, watched: Arc<Mutex<Watched>>) {
    loop {
        let cursor = {
            let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
            watched.opened += 1;
            Some(watched.seen.last().copied().unwrap_or_default())
        };
        let request = v1::TailEventsRequest { filter: None, cursor };
        if let Ok(stream) = operator.history().tail_events(request).await {
            let mut stream = stream.into_inner();
            while let Ok(Some(next)) = stream.message().await {
                if let Some(Item::Event(event)) = next.item {
                    watched.lock().unwrap_or_else(PoisonError::into_inner).seen.push(event.cursor);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_told(tails: &[Tail], events: usize) {
    eventually("every watcher was told all", PATIENCE, async || {
        let told: Vec<usize> = tails.iter().map(|tail| tail.seen().len()).collect();
        if told.iter().all(|told| *told >= events) { Ok(()) } else { Err((told, events)) }
    })
    .await;
}

/// What a replica decided before it fell asleep is sent when it wakes, to a gateway that is its own still and to one
/// that has another by now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_slept_moves_nobody_back() {
    let mut rig = Rig::start(Database::Shared, 2, 2).await;
    let link = CutLink::to(Target::Tcp(rig.planes[0].address())).await;
    rig.add_gateways(1, &format!("http://{}", link.address)).await;
    let (stays, moves) = (0, 2);
    let stop = Arc::new(AtomicBool::new(false));
    let (_trigger, tasks) = drain::channel();
    let watched: Vec<_> = rig
        .gateways
        .iter()
        .map(|gateway| tasks.spawn("watcher", versions_served(gateway.url(), Arc::clone(&stop))))
        .collect();
    // Both offers of the first replica are decided and not sent.
    rig.planes[0].arm("offer.before_send=2*return(delay:4000)");
    let stale = rig.supersede(1).await;
    eventually("two offers are held back", PATIENCE, async || {
        let struck = rig.planes[0].log().lines().filter(|line| line.contains("failpoint struck")).count();
        if struck == 2 { Ok(()) } else { Err(struck) }
    })
    .await;
    rig.planes[0].process.as_ref().unwrap().freeze();
    link.lead_to(Target::Tcp(rig.planes[1].address()));
    for _ in 0..SLEEPS_OVER {
        let pushed = rig.supersede(1).await;
        for awake in [1, moves] {
            rig.gateways[awake].until_serves(&pushed.version, PATIENCE).await;
        }
    }
    let before = rig.gateways[stays].served().await;
    assert_ne!(before, Ok(Some(stale.version.clone())), "it was offered already");
    rig.planes[0].process.as_ref().unwrap().thaw();
    let took = rig.until_settled().await;
    stop.store(true, Ordering::SeqCst);
    let newest = 3 + u64::try_from(SLEEPS_OVER).unwrap();
    for watcher in watched {
        let seen = watcher.await.expect("it does not panic");
        assert!(seen.is_sorted(), "a gateway went back: {seen:?}");
        assert_eq!(seen.last(), Some(&newest), "{seen:?}");
        eprintln!("served: {seen:?}");
    }
    eprintln!("a sleeping replica: {}; nobody went back, all settled after {took:?}", verify(&rig).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_sleeps_holds_up_nobody_and_catches_up() {
    let mut rig = Rig::start(Database::Shared, 1, 3).await;
    rig.gateways[2].process.as_ref().unwrap().freeze();
    let pushed = rig.publish().await;
    for awake in [0, 1] {
        rig.gateways[awake].until_serves(&pushed.version, PATIENCE).await;
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
