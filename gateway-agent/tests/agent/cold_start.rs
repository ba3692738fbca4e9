//! A start without the control plane, with a missing key, and with a spoiled disk.

use std::fs;
use std::path::PathBuf;

use fleet_core::ids::Lineage;
use fleet_core::offer::Acknowledgement;
use gateway_agent::app::AppError;
use gateway_agent::app::gateway::Gateway;
use gateway_agent::settings::{Environment, Source};
use policy_config::ConfigDigest;
use policy_engine::KeyState;
use service_kit::clock::Clock;
use tempfile::TempDir;
use uuid::Uuid;

use crate::scripted_control_plane::ScriptedControlPlane;
use crate::support::{eventually, managed, pack, pack_with_key, settings, start, version, write_private};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));
/// Nothing listens there.
const NOBODY: &str = "http://127.0.0.1:9";

/// A directory in which a managed gateway has activated these packs, confirmed.
async fn lived(packs: &[Vec<u8>]) -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let mut control_plane = ScriptedControlPlane::start().await;
    let mut settings = managed(&home, &control_plane.url);
    settings.environment = Environment::fixed([("LOCAL_API_KEY", "sk-1")]);
    let gateway = start(settings).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    for (generation, source) in (1..).zip(packs) {
        let offer = agent.offer(LINEAGE, generation, source).await;
        let report = agent.settle(offer).await;
        assert!(matches!(report.acknowledgement, Acknowledgement::Ack { .. }), "{report:?}");
    }
    eventually("confirmed", || match &gateway.record().unconfirmed {
        None => Ok(()),
        Some(report) => Err(report.offer),
    })
    .await;
    gateway.stop().await.unwrap();
    (home, control_plane.url)
}

fn file_source(home: &TempDir, source: &[u8]) -> (Source, PathBuf) {
    let path = home.path().join("policy.yaml");
    fs::write(&path, source).unwrap();
    (Source::File(path.clone()), path)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_what_it_held_while_the_control_plane_is_down() {
    let (home, _) = lived(&[pack("0.1.0"), pack("0.2.0")]).await;
    let gateway = start(managed(&home, NOBODY)).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_takes_its_target_down_not_the_gateway() {
    let (home, url) = lived(&[pack_with_key("0.1.0")]).await;
    let gateway = start(managed(&home, &url)).await;
    let policy = gateway.policy().expect("it serves");
    let target = policy.engine.targets().first().expect("a target");
    assert!(matches!(target.api_key_value(), KeyState::Missing(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_pack_gives_way_to_the_one_before_and_is_asked_for_again() {
    let (home, url) = lived(&[pack("0.1.0"), pack("0.2.0")]).await;
    let packs = home.path().join("gateways/edge-1/packs");
    let newest = packs.join(format!("{}.yaml", ConfigDigest::of(&pack("0.2.0")).hex()));
    fs::write(&newest, b"").unwrap();
    let gateway = start(managed(&home, &url)).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.1.0"));
    let record = gateway.record();
    assert_eq!(record.highest.map(|generation| generation.0), Some(2), "generations never fall");
    assert_eq!(record.standing().active.map(|held| held.generation.0), Some(1));
    assert!(packs.join(newest.with_extension("yaml.bad-1")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ack_that_nobody_heard_is_not_said_of_a_pack_that_cannot_be_started() {
    let (home, _) = lived(&[pack("0.1.0")]).await;
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = start(managed(&home, &control_plane.url)).await;
    let mut agent = control_plane.attached().await;
    agent.welcome(LINEAGE).await;
    agent.offer(LINEAGE, 2, &pack("0.2.0")).await;
    agent.report().await;
    gateway.stop().await.unwrap();
    let digest = ConfigDigest::of(&pack("0.2.0"));
    fs::write(home.path().join(format!("gateways/edge-1/packs/{}.yaml", digest.hex())), b"spoiled").unwrap();

    let gateway = start(managed(&home, &control_plane.url)).await;
    let mut agent = control_plane.attached().await;
    assert_eq!(agent.hello.unconfirmed, None);
    assert_eq!(agent.hello.active.as_ref().map(|running| running.held.generation.0), Some(1));
    agent.welcome(LINEAGE).await;
    let offer = agent.offer(LINEAGE, 2, &pack("0.2.0")).await;
    let report = agent.settle(offer).await;
    assert!(matches!(report.acknowledgement, Acknowledgement::Ack { .. }), "{report:?}");
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_standing_gives_way_and_nothing_left_is_503_not_an_exit() {
    let (home, _) = lived(&[pack("0.1.0"), pack("0.2.0")]).await;
    let instance = home.path().join("gateways/edge-1");
    write_private(&instance.join("standing.json"), b"{\"checksum\":");
    let gateway = start(managed(&home, NOBODY)).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
    gateway.stop().await.unwrap();
    assert!(instance.join("standing.json.bad-1").exists());

    for name in ["standing.json", "standing.previous.json"] {
        write_private(&instance.join(name), b"\0\0\0\0");
    }
    fs::remove_dir_all(instance.join("packs")).unwrap();
    let gateway = start(managed(&home, NOBODY)).await;
    assert_eq!(version(&gateway), None);
    gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_another_fleet_is_not_believed() {
    let (home, url) = lived(&[pack("0.1.0")]).await;
    let mut other = managed(&home, &url);
    if let Source::ControlPlane(source) = &mut other.source {
        source.fleet = "staging".parse().unwrap();
    }
    let gateway = start(other).await;
    assert_eq!(version(&gateway), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_applied_over_what_the_disk_held() {
    let home = tempfile::tempdir().unwrap();
    let (source, path) = file_source(&home, &pack("0.1.0"));
    let gateway = start(settings(home.path(), source.clone())).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.1.0"));
    let first = gateway.record().kept[0].since;
    gateway.stop().await.unwrap();

    // The same file: what ran runs, and it is no new activation.
    let gateway = start(settings(home.path(), source.clone())).await;
    assert_eq!(gateway.record().kept[0].since, first);
    gateway.stop().await.unwrap();

    fs::write(&path, pack("0.2.0")).unwrap();
    let gateway = start(settings(home.path(), source.clone())).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
    gateway.stop().await.unwrap();

    // A bad one does not take away what is there.
    fs::write(&path, b"x: y").unwrap();
    let gateway = start(settings(home.path(), source.clone())).await;
    assert_eq!(version(&gateway).as_deref(), Some("0.2.0"));
    gateway.stop().await.unwrap();

    fs::remove_file(&path).unwrap();
    let error = Gateway::start(settings(home.path(), source), Clock::system()).await.err().unwrap();
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_file_must_be_good() {
    for (bytes, code, says) in [
        (b"x: y".to_vec(), 2, "policy.yaml:1:1: error[E002]"),
        (pack_with_key("0.1.0"), 1, "LOCAL_API_KEY"),
        (vec![b'#'; 300_000], 2, "lint"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let (source, _) = file_source(&home, &bytes);
        let error = Gateway::start(settings(home.path(), source), Clock::system()).await.err().unwrap();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), code, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_directory_one_gateway() {
    let home = tempfile::tempdir().unwrap();
    let (source, _) = file_source(&home, &pack("0.1.0"));
    let first = start(settings(home.path(), source.clone())).await;
    let error = Gateway::start(settings(home.path(), source.clone()), Clock::system()).await.err().unwrap();
    assert!(matches!(error, AppError::Holding(_)), "{error}");
    assert_eq!(error.exit_code(), 6);
    let mut same_port = settings(home.path(), source.clone());
    same_port.name = "edge-2".parse().unwrap();
    same_port.listen = first.address();
    let error = Gateway::start(same_port, Clock::system()).await.err().unwrap();
    assert!(error.to_string().contains("in use"), "{error}");
    assert_eq!(error.exit_code(), 6);
    first.stop().await.unwrap();
    start(settings(home.path(), source)).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_heals_a_target_that_was_down() {
    let home = tempfile::tempdir().unwrap();
    let (source, _) = file_source(&home, &pack_with_key("0.1.0"));
    let mut with_key = settings(home.path(), source.clone());
    with_key.environment = Environment::fixed([("LOCAL_API_KEY", "sk-1")]);
    start(with_key).await.stop().await.unwrap();

    let keys = home.path().join("keys.env");
    write_private(&keys, b"# none yet\n");
    let mut without = settings(home.path(), source);
    without.env_file = Some(keys.clone());
    let gateway = start(without).await;
    let state = |gateway: &Gateway| {
        let policy = gateway.policy().unwrap();
        matches!(policy.engine.targets()[0].api_key_value(), KeyState::Ready(_))
    };
    assert!(!state(&gateway), "the target is down");
    let error = gateway.reload().await.unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
    write_private(&keys, b"LOCAL_API_KEY=sk-2\n");
    gateway.reload().await.unwrap().unwrap();
    assert!(state(&gateway));
}
