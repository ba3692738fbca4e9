//! Two hundred packs that must not run, one after the other, while clients ask: each is refused at once, nothing that
//! serves has changed, and none comes back with a reconnect, which follows each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fleet_core::ids::Lineage;
use fleet_core::offer::{Acknowledgement, Stage};
use policy_config::{ConfigDigest, PolicyDocument};
use proto::convert::reports::ReportMessage;
use service_kit::drain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::scripted_control_plane::{AttachedAgent, ScriptedControlPlane};
use crate::support::{managed, pack, pack_with, pack_with_key, start};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));
const POISONED: usize = 200;

/// Packs that lint refuses, each a good one with a wound; and one for each later stage that can refuse.
fn poisons(random: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut poisons = vec![
        pack_with_key("0.9.1"),
        // A pattern of the author's that matches ordinary text fails the self-test.
        String::from_utf8(pack("0.9.2"))
            .unwrap()
            .replace(
                "prompt-injection: {}",
                "prompt-injection: {detection: {attack_patterns: [\"boats cross\"]}}",
            )
            .into_bytes(),
        pack_with("0.9.3", "      modle: x\n"),
        Vec::new(),
    ];
    while poisons.len() < POISONED {
        let mut bytes = pack(&format!("0.{}.0", poisons.len()));
        let from = random.usize(..bytes.len());
        let to = (from + random.usize(1..20)).min(bytes.len());
        match random.u8(..3) {
            0 => drop(bytes.drain(from..to)),
            1 => bytes[from..to].fill(b"\t[{:\x00\xff"[random.usize(..6)]),
            _ => bytes.truncate(from),
        }
        if PolicyDocument::new(bytes.clone()).parse().0.is_none() {
            poisons.push(bytes);
        }
    }
    poisons
}

#[expect(clippy::print_stderr, reason = "the figures of this run")]
#[tokio::test(flavor = "multi_thread")]
async fn no_poisoned_pack_changes_anything() {
    let seed = fastrand::u64(..);
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = start(managed(&home, &control_plane.url)).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    let offer = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    assert_eq!(refused_at(&agent.settle(offer).await), None);

    let (_trigger, tasks) = drain::channel();
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let asking = ask(gateway.address().to_string(), Arc::clone(&stop), Arc::clone(&served));
    let client = tasks.spawn("client", asking);
    let mut stages = [0_usize; 3];
    for (number, poison) in poisons(&mut fastrand::Rng::with_seed(seed)).iter().enumerate() {
        let generation = u64::try_from(number).unwrap() + 2;
        let offer = agent.offer(LINEAGE, generation, poison).await;
        let report = agent.settle(offer).await;
        match refused_at(&report) {
            Some(Stage::Lint) => stages[0] += 1,
            Some(Stage::Secrets) => stages[1] += 1,
            Some(Stage::SelfTest) => stages[2] += 1,
            other => panic!(
                "seed {seed}, poison {number}: refused at {other:?}\n{}",
                String::from_utf8_lossy(poison)
            ),
        }
        assert_eq!(running(&report), Some(1), "seed {seed}, poison {number}");
        agent = come_back(&mut control_plane, agent, generation, poison).await;
    }
    stop.store(true, Ordering::SeqCst);
    client.await.expect("no request failed or was of another pack");
    let served = served.load(Ordering::SeqCst);
    assert!(served > 0);
    eprintln!(
        "{POISONED} poisoned packs refused ({stages:?} at lint, secrets, self-test); {served} requests served"
    );
}

/// The agent reconnects: what it refused it says it refused, and holds none of it.
async fn come_back(
    control_plane: &mut ScriptedControlPlane,
    agent: AttachedAgent,
    generation: u64,
    poison: &[u8],
) -> AttachedAgent {
    agent.send_away(std::time::Duration::ZERO).await;
    let agent = control_plane.attached().await;
    let hello = &agent.hello;
    assert_eq!(hello.active.as_ref().map(|running| running.held.generation.0), Some(1));
    assert_eq!(hello.highest.map(|highest| highest.0), Some(generation));
    assert_eq!(hello.last_refused.as_ref().map(|(held, _)| held.generation.0), Some(generation));
    assert_eq!(hello.staged, [ConfigDigest::of(&pack("0.1.0"))]);
    assert!(!hello.staged.contains(&ConfigDigest::of(poison)));
    agent.welcome(LINEAGE).await;
    agent
}

fn refused_at(report: &ReportMessage) -> Option<Stage> {
    match &report.acknowledgement {
        Acknowledgement::Ack { .. } => None,
        Acknowledgement::Nack(reason) => Some(reason.stage),
    }
}

fn running(report: &ReportMessage) -> Option<u64> {
    report.active.as_ref().map(|running| running.held.generation.0)
}

/// Asks without a pause; panics at the first answer that is not of the one good pack.
async fn ask(address: String, stop: Arc<AtomicBool>, served: Arc<AtomicU64>) {
    while !stop.load(Ordering::SeqCst) {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let good = answer.starts_with("HTTP/1.1 200") && answer.contains("x-kt-config-version: 0.1.0");
        assert!(good, "{answer}");
        served.fetch_add(1, Ordering::SeqCst);
    }
}
