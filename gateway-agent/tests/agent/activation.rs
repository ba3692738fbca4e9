//! Offer by offer: what is acked, what is refused at which stage, and what is said again.

use std::fs;
use std::time::Duration;

use fleet_core::ids::Lineage;
use fleet_core::offer::{Acknowledgement, Intent, Stage};
use fleet_core::version::Generation;
use gateway_agent::app::gateway::Gateway;
use policy_config::ConfigDigest;
use proto::convert::reports::ReportMessage;
use proto::v1;
use tempfile::TempDir;
use uuid::Uuid;

use crate::scripted_control_plane::{AttachedAgent, ScriptedControlPlane};
use crate::support::{eventually, managed, pack, pack_with, pack_with_key, start, until_version, version};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));
const OTHER_LINEAGE: Lineage = Lineage(Uuid::from_u128(2));

struct Managed {
    home: TempDir,
    control_plane: ScriptedControlPlane,
    agent: AttachedAgent,
    gateway: Gateway,
}

/// A gateway that is attached and welcomed, and runs nothing.
async fn attached() -> Managed {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = start(managed(&home, &control_plane.url)).await;
    let agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    Managed { home, control_plane, agent, gateway }
}

/// Offers these bytes and expects that they are activated.
async fn activate(agent: &mut AttachedAgent, lineage: Lineage, generation: u64, source: &[u8]) {
    let offer = agent.offer(lineage, generation, source).await;
    let report = agent.settle(offer).await;
    assert!(matches!(report.acknowledgement, Acknowledgement::Ack { .. }), "{report:?}");
}

fn stage(report: &ReportMessage) -> Option<Stage> {
    match &report.acknowledgement {
        Acknowledgement::Ack { .. } => None,
        Acknowledgement::Nack(reason) => Some(reason.stage),
    }
}

fn running(report: &ReportMessage) -> Option<(u64, String)> {
    report.active.as_ref().map(|active| (active.held.generation.0, active.version.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_means_active_and_durable() {
    let Managed { home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    assert_eq!(version(&gateway), None);
    let offer = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    let report = agent.report().await;
    assert_eq!(report.offer, offer);
    assert_eq!(stage(&report), None);
    assert_eq!(running(&report), Some((1, "0.1.0".to_owned())));
    assert_eq!(version(&gateway).as_deref(), Some("0.1.0"));
    let instance = home.path().join("gateways/edge-1");
    let kept = instance.join(format!("packs/{}.yaml", ConfigDigest::of(&pack("0.1.0")).hex()));
    assert_eq!(fs::read(kept).unwrap(), pack("0.1.0"));
    assert!(fs::read_to_string(instance.join("standing.json")).unwrap().contains(&offer.to_string()));

    agent.confirm(&report).await;
    eventually("confirmed", || match &gateway.record().unconfirmed {
        None => Ok(()),
        Some(report) => Err(report.offer),
    })
    .await;
    let heartbeat = agent.heartbeat().await;
    assert_eq!(heartbeat.active.map(|held| held.generation), Some(1));
    gateway.stop().await.unwrap();
    agent.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nack_names_its_stage_and_changes_nothing() {
    let Managed { home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    activate(&mut agent, LINEAGE, 1, &pack("0.1.0")).await;

    let cut = pack("0.2.0");
    let digest = ConfigDigest::of(b"something else");
    let verify = agent.announce(LINEAGE, 2, digest, true).await;
    agent.parcel(digest, &cut).await;
    let report = agent.settle(verify).await;
    assert_eq!(stage(&report), Some(Stage::Verify));

    let lint = agent.offer(LINEAGE, 3, b"pack: {}\nextra: 1\n").await;
    let report = agent.settle(lint).await;
    assert_eq!(stage(&report), Some(Stage::Lint));
    let Acknowledgement::Nack(reason) = &report.acknowledgement else { unreachable!() };
    assert!(reason.findings.iter().any(|finding| finding.location.line == 2), "{reason:?}");

    let secrets = agent.offer(LINEAGE, 4, &pack_with_key("0.4.0")).await;
    let report = agent.settle(secrets).await;
    assert_eq!(stage(&report), Some(Stage::Secrets));
    let Acknowledgement::Nack(reason) = &report.acknowledgement else { unreachable!() };
    assert!(reason.reason.contains("LOCAL_API_KEY"), "{reason:?}");

    // A pattern of the author's that matches ordinary text fails the self-test.
    let text = String::from_utf8(pack("0.5.0")).unwrap().replace(
        "prompt-injection: {}",
        "prompt-injection: {detection: {attack_patterns: [\"boats cross\"]}}",
    );
    let self_test = agent.offer(LINEAGE, 5, text.as_bytes()).await;
    assert_eq!(stage(&agent.settle(self_test).await), Some(Stage::SelfTest));

    let blocked = home.path().join("gateways/edge-1/standing.json.tmp");
    fs::create_dir(&blocked).unwrap();
    let storage = agent.offer(LINEAGE, 6, &pack("0.6.0")).await;
    let report = agent.settle(storage).await;
    assert_eq!(stage(&report), Some(Stage::Storage));
    let packs = fs::read_dir(home.path().join("gateways/edge-1/packs")).unwrap().count();
    assert_eq!(packs, 1, "what was not kept leaves no pack");
    fs::remove_dir(&blocked).unwrap();

    let stale = agent.offer(LINEAGE, 2, &pack("0.2.0")).await;
    let report = agent.settle(stale).await;
    assert_eq!(stage(&report), Some(Stage::Generation));

    assert_eq!(running(&report), Some((1, "0.1.0".to_owned())));
    assert_eq!(version(&gateway).as_deref(), Some("0.1.0"));
    let next = agent.offer(LINEAGE, 7, &pack("0.7.0")).await;
    assert_eq!(running(&agent.settle(next).await), Some((7, "0.7.0".to_owned())));

    let certificates = pack_with("0.8.0", "      ca_file: {file: corp-ca.pem}\n");
    let text = String::from_utf8(certificates).unwrap().replace("http://", "https://");
    let certificates = agent.offer(LINEAGE, 8, text.as_bytes()).await;
    let report = agent.settle(certificates).await;
    assert_eq!(stage(&report), Some(Stage::Secrets));
    let Acknowledgement::Nack(reason) = &report.acknowledgement else { unreachable!() };
    let [finding] = &reason.findings[..] else { panic!("{reason:?}") };
    assert_eq!((finding.code.as_str(), finding.location.line), ("S002", 11), "{reason:?}");
    assert!(reason.reason.contains("corp-ca.pem"), "{reason:?}");
    assert_eq!(running(&report), Some((7, "0.7.0".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_from_memory_and_a_conflict_is_loud() {
    let Managed { home: _home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    activate(&mut agent, LINEAGE, 1, &pack("0.1.0")).await;
    let policy = gateway.policy().unwrap();

    let again = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    assert_eq!(stage(&agent.settle(again).await), None);
    let conflict = agent.offer(LINEAGE, 1, &pack("0.1.1")).await;
    assert_eq!(stage(&agent.settle(conflict).await), Some(Stage::Generation));

    let bad = agent.offer(LINEAGE, 2, b"x: y").await;
    let refused = agent.settle(bad).await;
    let bad = agent.announce(LINEAGE, 2, ConfigDigest::of(b"x: y"), false).await;
    assert_eq!(agent.settle(bad).await.acknowledgement, refused.acknowledgement);
    assert!(std::sync::Arc::ptr_eq(&policy, &gateway.policy().unwrap()), "nothing was swapped");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_under_a_new_generation_are_adopted_and_old_ones_come_from_disk() {
    let Managed { home: _home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    for (generation, version) in [(1, "0.1.0"), (2, "0.2.0")] {
        activate(&mut agent, LINEAGE, generation, &pack(version)).await;
    }
    let policy = gateway.policy().unwrap();
    let same = agent.announce(LINEAGE, 3, ConfigDigest::of(&pack("0.2.0")), false).await;
    assert_eq!(running(&agent.settle(same).await), Some((3, "0.2.0".to_owned())));
    assert!(std::sync::Arc::ptr_eq(&policy, &gateway.policy().unwrap()), "adopting swaps nothing");

    let back = agent.announce(LINEAGE, 4, ConfigDigest::of(&pack("0.1.0")), false).await;
    assert_eq!(running(&agent.settle(back).await), Some((4, "0.1.0".to_owned())));

    let unknown = agent.announce(LINEAGE, 5, ConfigDigest::of(b"never sent"), false).await;
    assert_eq!(stage(&agent.settle(unknown).await), Some(Stage::Verify));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_repeated_until_confirmed_over_streams_and_starts() {
    let Managed { home, mut control_plane, mut agent, gateway } = attached().await;
    let offer = agent.offer(LINEAGE, 1, &pack("0.1.0")).await;
    let first = agent.report().await;
    let second = agent.report().await;
    assert_eq!((first.offer, second.offer), (offer, offer));
    assert!(second.age > first.age, "the outcome is as old as it is");
    // The confirmation is lost with the stream.
    drop(agent);
    let agent = control_plane.attached().await;
    assert_eq!(agent.hello.unconfirmed.as_ref().map(|report| report.offer), Some(offer));
    assert_eq!(agent.hello.session_counter, 2);
    drop(agent);
    gateway.stop().await.unwrap();

    let gateway = start(managed(&home, &control_plane.url)).await;
    let mut agent = control_plane.attached().await;
    assert_eq!(agent.hello.session_counter, 1);
    assert_eq!(agent.hello.lineage, Some(LINEAGE));
    assert_eq!(agent.hello.highest, Some(Generation(1)));
    assert_eq!(agent.hello.staged, [ConfigDigest::of(&pack("0.1.0"))]);
    assert_eq!(agent.hello.active.as_ref().map(|active| active.held.generation), Some(Generation(1)));
    assert_eq!(agent.hello.unconfirmed.as_ref().map(|report| report.offer), Some(offer));
    agent.welcome(LINEAGE).await;
    agent.settle(offer).await;
    eventually("confirmed", || match &gateway.record().unconfirmed {
        None => Ok(()),
        Some(report) => Err(report.offer),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lineage_starts_anew() {
    let Managed { home: _home, mut control_plane, mut agent, gateway } = attached().await;
    activate(&mut agent, LINEAGE, 500, &pack("0.5.0")).await;
    drop(agent);

    let mut agent = control_plane.attached().await;
    agent.welcome(OTHER_LINEAGE).await;
    assert_eq!(agent.heartbeat().await.active, None, "a generation of another lineage means nothing here");
    let bad = agent.offer(OTHER_LINEAGE, 1, b"x: y").await;
    let report = agent.settle(bad).await;
    assert_eq!((stage(&report), running(&report)), (Some(Stage::Lint), None));
    assert_eq!(version(&gateway).as_deref(), Some("0.5.0"), "the old policy serves on");
    let next = agent.offer(OTHER_LINEAGE, 2, &pack("0.2.0")).await;
    assert_eq!(running(&agent.settle(next).await), Some((2, "0.2.0".to_owned())));
    assert_eq!(gateway.record().lineage, Some(OTHER_LINEAGE));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_and_strange_frames_do_no_harm() {
    let Managed { home: _home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    agent.parcel(ConfigDigest::of(b"unasked"), b"unasked").await;
    agent.send(v1::to_agent::Message::Offer(v1::Offer::default())).await;
    agent
        .send(v1::to_agent::Message::ReportAck(v1::ReportAck { offer_id: "x".into(), ..Default::default() }))
        .await;
    // The parcel of the first never comes; a newer offer takes its place, between strange parcels.
    let one = ConfigDigest::of(&pack("0.1.0"));
    agent.announce(LINEAGE, 1, one, true).await;
    let two = ConfigDigest::of(&pack("0.2.0"));
    let offer = agent.announce(LINEAGE, 2, two, true).await;
    agent.parcel(one, &pack("0.1.0")).await;
    agent.parcel(two, &pack("0.2.0")).await;
    assert_eq!(running(&agent.settle(offer).await), Some((2, "0.2.0".to_owned())));
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_and_moves_nothing() {
    let Managed { home: _home, control_plane: _control_plane, mut agent, gateway } = attached().await;
    for (source, accepted) in [(pack("0.1.0"), true), (pack_with("0.1.0", "      modle: x\n"), false)] {
        let digest = ConfigDigest::of(&source);
        let offer = agent.announce_as(Intent::Validate, digest, true).await;
        agent.parcel(digest, &source).await;
        let report = agent.wire_report().await;
        assert_eq!(report.offer_id, offer.to_string());
        assert_eq!(matches!(report.outcome, Some(v1::report::Outcome::Ack(_))), accepted);
    }
    assert_eq!(version(&gateway), None);
    assert_eq!(gateway.record().highest, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_away_it_comes_back() {
    let Managed { home: _home, mut control_plane, agent, gateway } = attached().await;
    agent.send_away(Duration::from_millis(50)).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    activate(&mut agent, LINEAGE, 1, &pack("0.1.0")).await;
    until_version(&gateway, "0.1.0").await;
}
