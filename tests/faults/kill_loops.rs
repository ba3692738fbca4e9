//! Kill -9 of the control plane, of a gateway, of the database (a private cluster, synced to disk) and of all at once,
//! round after round, under load and with publishers that never rest.
//!
//! `KT_CHAOS_ROUNDS` says how many rounds; the seed of the moments is printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use policy_config::ConfigDigest;
use proto::v1;
use service_kit::drain;
use tests::fleet::{CHAIN, KEY, pack};
use tests::operator::{Operator, push_request};
use tests::process::pid;
use tests::programs::PlaneProgram;

use crate::ledger_of_truth::verify;
use crate::load::Load;
use crate::rig::{Database, Rig, may_pass};

const ROUNDS: usize = 8;
const GATEWAYS: usize = 2;
const PUBLISHERS: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Plane,
    Gateway,
    Postgres,
    Everybody,
}

const VICTIMS: [Victim; 4] = [Victim::Plane, Victim::Gateway, Victim::Postgres, Victim::Everybody];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_by_force_nothing_acknowledged_is_lost() {
    let rounds = std::env::var("KT_CHAOS_ROUNDS").ok().and_then(|told| told.parse().ok()).unwrap_or(ROUNDS);
    let seed = std::env::var("KT_CHAOS_SEED").ok().and_then(|told| told.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("KT_CHAOS_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::start(Database::Private, 1, GATEWAYS).await;
    let load = Load::start(&rig.gateways);
    let publishers = Publishers::start(&rig.planes[0].operator(), &rig.provider.url);
    let mut settled = Vec::new();
    for round in 0..rounds {
        let victim = VICTIMS[round % VICTIMS.len()];
        let after = Duration::from_millis(random.u64(0..250));
        settled.push(play(&mut rig, &load, victim, after).await);
        eprintln!(
            "round {round}: {victim:?} killed after {after:?}, settled {:?} after its return",
            settled[round]
        );
    }
    let told = publishers.end().await;
    rig.truth.acknowledged.extend(told.iter().cloned());
    let tally = load.end().await;
    let verified = verify(&rig).await;
    settled.sort();
    eprintln!(
        "kill loops: {rounds} rounds; {} versions acknowledged, 0 lost; {verified}; {} requests served, {} cut by \
         the kill of their gateway; settled p50 {:?}, max {:?}",
        rig.truth.acknowledged.len(),
        tally.served.load(Ordering::SeqCst),
        tally.cut_by_kill.load(Ordering::SeqCst),
        settled[settled.len() / 2],
        settled[settled.len() - 1],
    );
    let lost = tally.lost.lock().unwrap();
    assert!(lost.is_empty(), "{} requests were lost: {:#?}", lost.len(), &lost[..lost.len().min(5)]);
    assert!(!told.is_empty(), "the publishers were answered at least once");
}

/// One push, and a death in the middle of it; answers how long the fleet took once all were back.
async fn play(rig: &mut Rig, load: &Load, victim: Victim, after: Duration) -> Duration {
    let source = rig.next_pack();
    let key = uuid::Uuid::new_v4().to_string();
    // The first try is under way when the blow falls; its answer may be lost.
    let mut request = push_request(tests::fleet::FLEET, &source);
    request.idempotency_key.clone_from(&key);
    let mut configs = rig.operator().configs();
    let (_trigger, tasks) = drain::channel();
    let first = tasks.spawn("first try", async move { configs.push_config(request).await });
    tokio::time::sleep(after).await;
    strike(rig, load, victim);
    rig.revive().await;
    for gateway in &mut rig.gateways {
        gateway.until_ready().await;
    }
    load.health.iter().for_each(|health| health.back());
    rig.planes[0].until_ready().await;
    let _ = first.await;
    rig.publish_as(&source, &key).await;
    rig.until_settled().await
}

fn strike(rig: &mut Rig, load: &Load, victim: Victim) {
    if matches!(victim, Victim::Gateway | Victim::Everybody) {
        let all = if victim == Victim::Everybody { rig.gateways.len() } else { 1 };
        for (gateway, health) in rig.gateways.iter_mut().zip(&load.health).take(all) {
            health.killed();
            gateway.kill();
        }
    }
    if matches!(victim, Victim::Postgres | Victim::Everybody) {
        kill_postgres(&rig.planes[0]);
    }
    if matches!(victim, Victim::Plane | Victim::Everybody) {
        rig.planes[0].kill();
    }
}

fn kill_postgres(plane: &PlaneProgram) {
    let file = plane.dir.join("data/postgres/data/postmaster.pid");
    let text = std::fs::read_to_string(file).expect("the cluster runs");
    let postmaster = text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a pid");
    kill(pid(postmaster), Signal::SIGKILL).expect("it is ours");
}

/// Clients that store version after version, each with a key of its own, until each is acknowledged.
struct Publishers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Vec<(u64, String)>>>,
    _trigger: drain::DrainTrigger,
}

impl Publishers {
    fn start(operator: &Operator, provider: &str) -> Self {
        let (trigger, tasks) = drain::channel();
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let publish = |_| {
            let (operator, stop, count) = (operator.clone(), Arc::clone(&stop), Arc::clone(&count));
            tasks.spawn("publisher", store(operator, provider.to_owned(), stop, count))
        };
        let tasks = (0..PUBLISHERS).map(publish).collect();
        Self { stop, tasks, _trigger: trigger }
    }

    async fn end(self) -> Vec<(u64, String)> {
        self.stop.store(true, Ordering::SeqCst);
        let mut told = Vec::new();
        for task in self.tasks {
            told.extend(task.await.expect("a publisher does not panic"));
        }
        told
    }
}

async fn store(
    operator: Operator,
    provider: String,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let source = pack(&provider, &format!("9.{number}.0"), CHAIN, KEY);
        let request = v1::PushConfigRequest {
            rollout: None,
            idempotency_key: uuid::Uuid::new_v4().to_string(),
            ..push_request("", &source)
        };
        let began = Instant::now();
        loop {
            match operator.configs().push_config(request.clone()).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    assert_eq!(answer.digest, ConfigDigest::of(source.as_bytes()).to_string());
                    told.push((answer.revision, answer.digest));
                    break;
                }
                Err(status) if may_pass(&status) && began.elapsed() < Duration::from_secs(60) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(status) => panic!("a push was refused: {status}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    told
}
