//! What a gateway makes of a directory that is not as it left it, of a credential that others may have seen, and
//! of a clock that jumps.
#![cfg(test)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gateway_agent::app::AppError;
use gateway_agent::app::gateway::Gateway;
use nix::sys::stat::Mode;
use proto::v1::RolloutState;
use service_kit::clock::Clock;
use tests::eventually::eventually;
use tests::plane::Plane;
use tests::process::Process;
use tests::programs::{GatewayProgram, passable_dir};

use crate::state_files::settings;
use crate::support::{PATIENCE, push_until};

const NOBODY: &str = "http://127.0.0.1:9";

async fn started(home: &Path) -> Result<Gateway, AppError> {
    fs::write(home.join("operator.token"), "kt_operator").expect("a token");
    fs::set_permissions(home.join("operator.token"), fs::Permissions::from_mode(0o600)).expect("its mode");
    let start = Gateway::start(settings(home, "edge-1", "prod", NOBODY), Clock::system());
    tokio::time::timeout(PATIENCE, start).await.expect("a start never hangs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_cannot_be_used_is_named_and_nothing_hangs() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 7] = [
        ("edge-1", |dir| fs::write(dir, "a file").unwrap()),
        ("edge-1", |dir| {
            fs::create_dir(dir.with_file_name("elsewhere")).unwrap();
            symlink(dir.with_file_name("elsewhere"), dir).unwrap();
        }),
        ("packs", |dir| {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("packs"), "a file").unwrap();
        }),
        ("lock", |dir| {
            fs::create_dir(dir).unwrap();
            nix::unistd::mkfifo(&dir.join("lock"), Mode::S_IRWXU).unwrap();
        }),
        ("lock", |dir| fs::create_dir_all(dir.join("lock")).unwrap()),
        ("lock", |dir| {
            fs::create_dir(dir).unwrap();
            symlink("/etc/hostname", dir.join("lock")).unwrap();
        }),
        ("edge-1", |dir| {
            fs::set_permissions(dir.parent().unwrap(), fs::Permissions::from_mode(0o500)).unwrap()
        }),
    ];
    let root = nix::unistd::geteuid().is_root();
    for (number, (names, spoil)) in spoil.into_iter().enumerate() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("state/gateways/edge-1");
        fs::create_dir_all(dir.parent().unwrap()).unwrap();
        spoil(&dir);
        match started(home.path()).await {
            Err(error) => {
                assert_eq!(error.exit_code(), 1, "{number}: {error}");
                assert!(error.to_string().contains(&format!("{names}` cannot be used")), "{number}: {error}");
            }
            // Root writes where nobody may.
            Ok(gateway) => {
                assert!(root && number == 6, "case {number} starts");
                gateway.stop().await.unwrap();
            }
        }
        let _ = fs::set_permissions(dir.parent().unwrap(), fs::Permissions::from_mode(0o700));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_lock_or_the_pid_of_a_stranger_is_no_gateway_and_no_stranger_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("state/gateways/edge-1");
    fs::create_dir_all(&dir).unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let mut stranger = Process::start("a stranger", sleep, &home.path().join("stranger.log"));
    fs::write(dir.join("lock"), stranger.pid().to_string()).unwrap();
    fs::write(dir.join("instance.json"), format!("{{\"name\":\"edge-1\",\"pid\":{}}}", stranger.pid()))
        .unwrap();
    let gateway = started(home.path()).await.unwrap();
    let error = started(home.path()).await.err().expect("one directory, one gateway");
    assert_eq!(error.exit_code(), 6, "{error}");
    gateway.stop().await.unwrap();
    assert_eq!(stranger.ended(), None, "it lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_others_can_read_cuts_the_link_and_not_the_service() {
    let dir = passable_dir();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let mut gateway = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    gateway.launch();
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.1.0", PATIENCE).await;
    let ended = gateway.process.as_mut().expect("it runs").end();
    assert!(ended.success(), "{ended}");

    let credential = gateway.instance_dir().join("credential.json");
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o644)).unwrap();
    gateway.launch();
    gateway.until_ready().await;
    let fix = format!("run `chmod 600 {}`", credential.display());
    eventually("the fix is told", PATIENCE, async || {
        let words = gateway.process.as_ref().expect("it runs").last_words();
        if words.contains(&fix) { Ok(()) } else { Err(words) }
    })
    .await;
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())));

    // Once it is done the link comes up without a new start.
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o600)).unwrap();
    push_until(&plane, "prod", "0.2.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.2.0", PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nothing_left_on_the_disk_it_asks_the_control_plane_and_serves_again() {
    let home = tempfile::tempdir().unwrap();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    fs::copy(plane.token_file(), home.path().join("operator.token")).unwrap();
    let start = || Gateway::start(settings(home.path(), "edge-1", "prod", &plane.url), Clock::system());
    let gateway = start().await.unwrap();
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    push_until(&plane, "prod", "0.2.0", RolloutState::Succeeded).await;
    gateway.stop().await.unwrap();

    let dir = home.path().join("state/gateways/edge-1");
    let packs = fs::read_dir(dir.join("packs")).unwrap().map(|entry| entry.unwrap().path());
    for path in packs.chain([dir.join("standing.json"), dir.join("standing.previous.json")]) {
        fs::write(path, b"spoiled").unwrap();
    }
    let gateway = start().await.unwrap();
    eventually("it runs what it should", PATIENCE, async || {
        let serves = gateway.policy().map(|policy| policy.version.to_string());
        let known = plane.gateway("prod", "edge-1").await;
        if serves.as_deref() == Some("0.2.0") && known.in_sync { Ok(()) } else { Err((serves, known)) }
    })
    .await;
    push_until(&plane, "prod", "0.3.0", RolloutState::Succeeded).await;
    gateway.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_orders_nothing_anew_and_stops_nothing() {
    const DAY: i64 = 86_400;
    let home = tempfile::tempdir().unwrap();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    fs::copy(plane.token_file(), home.path().join("operator.token")).unwrap();
    let now = Clock::system().now();
    let jumps = [DAY, -DAY, 3_653 * DAY, -3_653 * DAY, -20_000 * DAY, 2_500_000 * DAY];
    let mut versions = Vec::new();
    for start in [0, -3_653 * DAY, 3_653 * DAY] {
        let (clock, hand) = Clock::manual(now + time::Duration::seconds(start));
        let settings = settings(home.path(), "edge-1", "prod", &plane.url);
        let gateway = Gateway::start(settings, clock).await.unwrap();
        assert_eq!(gateway.policy().map(|policy| policy.version.to_string()), versions.last().cloned());
        for jump in jumps {
            hand.set(now + time::Duration::seconds(jump));
            let version = format!("0.{}.0", versions.len() + 1);
            let rollout = push_until(&plane, "prod", &version, RolloutState::Succeeded).await;
            assert!(rollout.ended_at.is_some(), "{rollout:?}");
            versions.push(version);
            let kept: Vec<_> = gateway.record().kept.iter().map(|pack| pack.version.to_string()).collect();
            let newest: Vec<_> = versions.iter().rev().take(kept.len()).cloned().collect();
            assert_eq!(kept, newest, "the newest activation first, whatever the clock said");
        }
        gateway.stop().await.unwrap();
    }
    // Nor does the control plane believe in another time than its own.
    let gateway = plane.gateway("prod", "edge-1").await;
    let last_seen = gateway.last_seen.expect("it was seen");
    let apart = Clock::system().now().unix_timestamp() - last_seen.seconds;
    assert!(apart.unsigned_abs() < Duration::from_secs(600).as_secs(), "{gateway:?}");
}
