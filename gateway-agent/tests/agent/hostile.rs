//! Control planes that are none, or evil ones: the gateway serves on under the pack it had, calls them in bounds, and
//! belongs to an honest one as soon as that answers.

use std::time::{Duration, Instant};

use fleet_core::ids::Lineage;
use fleet_core::offer::{Acknowledgement, Stage};
use gateway_agent::app::gateway::Gateway;
use policy_config::ConfigDigest;
use proto::v1;
use proto::v1::to_agent::Message;
use tempfile::TempDir;
use uuid::Uuid;

use crate::front::{Front, Who};
use crate::scripted_control_plane::{AttachedAgent, ScriptedControlPlane};
use crate::support::{eventually, managed, pack, start, version};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));
const MIB: usize = 1024 * 1024;
/// How long the calls are counted, and how many there may be.
const WINDOW: Duration = Duration::from_secs(4);
const MOST_DIALS: usize = 12;

struct Managed {
    _home: TempDir,
    control_plane: ScriptedControlPlane,
    front: Front,
    honest: Who,
    agent: AttachedAgent,
    gateway: Gateway,
}

/// A gateway behind a front, attached and welcomed, that runs 0.1.0 as generation 1.
async fn running() -> Managed {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let honest = Who::ControlPlane(control_plane.url.strip_prefix("http://").unwrap().parse().unwrap());
    let front = Front::start(honest).await;
    let gateway = start(managed(&home, &front.url)).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    let offer = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    agent.settle(offer).await;
    Managed { _home: home, control_plane, front, honest, agent, gateway }
}

/// The pack is what it was, and an honest control plane can change it.
async fn is_sound(managed: &mut Managed) {
    assert_eq!(version(&managed.gateway).as_deref(), Some("0.1.0"));
    let mut agent = managed.control_plane.attached().await;
    assert_eq!(
        agent.hello.active.as_ref().map(|active| active.version.to_string()).as_deref(),
        Some("0.1.0")
    );
    agent.welcome(LINEAGE).await;
    let offer = agent.offer(LINEAGE, 2, &pack("0.2.0")).await;
    let report = agent.settle(offer).await;
    assert!(matches!(report.acknowledgement, Acknowledgement::Ack { .. }), "{report:?}");
    assert_eq!(version(&managed.gateway).as_deref(), Some("0.2.0"));
}

async fn outlives(who: Who, dials: usize) {
    let mut managed = running().await;
    let before = managed.front.dials();
    managed.front.become_another(who);
    eventually(&format!("{who:?} is called again"), || {
        let dialed = managed.front.dials() - before;
        if dialed >= dials { Ok(()) } else { Err(dialed) }
    })
    .await;
    // By now its waits are drawn from a second and more: twelve of them within four would be the dice of a cheat.
    let before = managed.front.dials();
    tokio::time::sleep(WINDOW).await;
    let dialed = managed.front.dials() - before;
    assert!(dialed <= MOST_DIALS, "{who:?} was called {dialed} times in {WINDOW:?}");
    assert_eq!(version(&managed.gateway).as_deref(), Some("0.1.0"), "{who:?}");
    managed.front.become_another(managed.honest);
    is_sound(&mut managed).await;
    managed.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_answers_in_place_of_the_control_plane_is_left_for_it() {
    tokio::join!(
        outlives(Who::Closer, 4),
        outlives(Who::Garbage, 4),
        outlives(Who::Http1, 4),
        // Given up when no welcome came in time, so that there is a second call.
        outlives(Who::Silent, 2),
        outlives(Who::Drip, 2),
        outlives(Who::Settings, 2),
    );
}

type Spoil = fn(&mut v1::Offer);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_order_or_forged_changes_nothing() {
    let mut managed = running().await;
    let agent = &mut managed.agent;
    let evil = pack("6.6.6");
    let digest = ConfigDigest::of(&evil);
    let parcel = |source: &[u8]| {
        Message::Parcel(v1::Parcel { digest: digest.to_string(), source: source.to_vec().into() })
    };
    // Nobody announced these bytes.
    agent.send(parcel(&evil)).await;
    agent.send(parcel(&[])).await;
    // Offers that are ignored, each followed by its bytes.
    let spoils: [Spoil; 9] = [
        |offer| offer.session_id = Uuid::new_v4().to_string(),
        |offer| offer.session_id = "\u{1b}[2J".into(),
        |offer| offer.offer_id.clear(),
        |offer| offer.digest = "sha256:00".into(),
        |offer| offer.intent = 77,
        |offer| offer.deadline = None,
        |offer| offer.lineage = "x".repeat(100_000),
        |offer| offer.generation = 0,
        |offer| offer.generation = u64::MAX,
    ];
    for spoil in spoils {
        let mut offer = agent.wire_offer(LINEAGE, 2, digest);
        spoil(&mut offer);
        agent.send(Message::Offer(offer)).await;
        agent.send(parcel(&evil)).await;
    }
    // Confirmations of what was never offered, and a second welcome.
    for offer_id in [Uuid::new_v4().to_string(), "x".to_owned(), String::new()] {
        let ack = v1::ReportAck { session_id: String::new(), offer_id, generation: u64::MAX };
        agent.send(Message::ReportAck(ack)).await;
    }
    agent.welcome_with(Lineage(Uuid::from_u128(9)), None).await;
    // The first answer is to the first offer that was one: its bytes are others than it said.
    let offer = agent.announce(LINEAGE, 2, digest, true).await;
    agent.send(parcel(&pack("7.7.7"))).await;
    let report = agent.settle(offer).await;
    assert_eq!(stage(&report.acknowledgement), Some(Stage::Verify), "{report:?}");
    // Numbers that nobody counted to are answered, and shut nobody out.
    for generation in [i64::MAX as u64, 3_000_000] {
        let offer = agent.offer(LINEAGE, generation, &evil).await;
        let report = agent.settle(offer).await;
        assert_eq!(stage(&report.acknowledgement), Some(Stage::Generation), "{report:?}");
    }
    assert_eq!(version(&managed.gateway).as_deref(), Some("0.1.0"));
    let offer = agent.offer(LINEAGE, 3, &pack("0.2.0")).await;
    agent.settle(offer).await;
    assert_eq!(version(&managed.gateway).as_deref(), Some("0.2.0"));
    managed.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_the_welcome_is_not_taken() {
    let mut managed = running().await;
    managed.front.become_another(managed.honest);
    let evil = managed.control_plane.attached().await;
    evil.offer(LINEAGE, 2, &pack("6.6.6")).await;
    // One after the other, until it has heard enough, long before it has waited long enough.
    let began = Instant::now();
    let ack = || Message::ReportAck(v1::ReportAck::default());
    while evil.try_send(ack()).await {}
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    is_sound(&mut managed).await;
    managed.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_ends_the_stream_only() {
    let mut managed = running().await;
    let source = vec![b'x'; 2 * MIB].into();
    managed.agent.send(Message::Parcel(v1::Parcel { digest: String::new(), source })).await;
    is_sound(&mut managed).await;
    managed.gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_heard_in_bounds() {
    let mut managed = running().await;
    let before = resident_mib();
    // Offers without an end, each with bytes that nothing but the last stage can refuse; then bytes without offers.
    let source: bytes::Bytes = vec![b'#'; MIB - 1024].into();
    for kind in [Kind::Offers, Kind::Bytes] {
        let mut said = 0;
        loop {
            let message = match kind {
                Kind::Offers => {
                    let bad = ConfigDigest::of(&[0]);
                    Message::Offer(managed.agent.wire_offer(LINEAGE, 1, bad))
                }
                Kind::Bytes => Message::Parcel(v1::Parcel { digest: String::new(), source: source.clone() }),
            };
            if !managed.agent.try_send(message).await {
                break;
            }
            said += 1;
            assert!(said < 20_000, "{kind:?}: it listens for ever");
        }
        assert_eq!(version(&managed.gateway).as_deref(), Some("0.1.0"));
        managed.agent = managed.control_plane.attached().await;
        managed.agent.welcome(LINEAGE).await;
    }
    let grown = resident_mib().saturating_sub(before);
    // Other tests may run in this process; what was sent is gigabytes if nothing stops it.
    assert!(grown < 128, "memory grew by {grown} MiB");
    managed.front.become_another(managed.honest);
    is_sound(&mut managed).await;
    managed.gateway.stop().await.unwrap();
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Offers,
    Bytes,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absurd_heartbeat_is_no_flood_and_an_impossible_one_no_welcome() {
    let mut managed = running().await;
    managed.front.become_another(managed.honest);
    for impossible in [None, Some(prost_types::Duration { seconds: -1, nanos: 0 })] {
        let mut agent = managed.control_plane.attached().await;
        agent.welcome_with(LINEAGE, impossible).await;
        agent.ended().await;
    }
    let mut agent = managed.control_plane.attached().await;
    let began = Instant::now();
    agent.welcome_with(LINEAGE, Some(prost_types::Duration { seconds: 0, nanos: 1 })).await;
    for _ in 0..4 {
        agent.heartbeat().await;
    }
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    managed.front.become_another(managed.honest);
    is_sound(&mut managed).await;
    managed.gateway.stop().await.unwrap();
}

fn stage(acknowledgement: &Acknowledgement) -> Option<Stage> {
    match acknowledgement {
        Acknowledgement::Ack { .. } => None,
        Acknowledgement::Nack(reason) => Some(reason.stage),
    }
}

/// Of this process, in MiB.
fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}
