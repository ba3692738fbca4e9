//! A disk that is full for real: the state of a gateway on a file system of one MiB.
#![cfg(test)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use proto::v1;
use proto::v1::RolloutState;
use tests::eventually::eventually;
use tests::operator::push_request;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, PlaneProgram, passable_dir};

use crate::crash_loop::on_a_good_pack;
use crate::support::{PATIENCE, pack_of, push_until};

/// A small file system; unmounted with this value.
struct SmallDisk(PathBuf);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_a_nack_and_no_reason_to_stop_serving_or_not_to_start() {
    let dir = passable_dir();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let mut gateway = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    let Some(disk) = SmallDisk::mount(&gateway.home.join("state"), "1m") else {
        println!("skipped: this user may not mount a file system; the injected ENOSPC stands for it");
        return;
    };
    gateway.launch();
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.1.0", PATIENCE).await;

    let filler = disk.fill();
    let rollout = push_until(&plane, "prod", "0.2.0", RolloutState::Reverted).await;
    let refusal = rollout.rejections[0].refusal.as_ref().expect("a refusal");
    assert_eq!(refusal.stage(), v1::Stage::Storage, "{refusal:?}");
    assert!(format!("{refusal:?}").contains("No space left"), "{refusal:?}");
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())));

    // Started again on the full disk it serves what it held.
    gateway.kill();
    gateway.launch();
    gateway.until_ready().await;
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())));
    push_until(&plane, "prod", "0.3.0", RolloutState::Reverted).await;

    fs::remove_file(filler).expect("the filler is there");
    push_until(&plane, "prod", "0.4.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.4.0", PATIENCE).await;
    gateway.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_is_stopped_on_a_full_disk_has_not_crashed() {
    let (_dir, plane, mut gateway) = on_a_good_pack().await;
    let (state, made) = (gateway.home.join("state"), gateway.home.join("made"));
    fs::rename(&state, &made).expect("the state");
    let Some(disk) = SmallDisk::mount(&state, "1m") else {
        println!(
            "skipped: this user may not mount a file system; a standing that cannot be written stands for it"
        );
        return;
    };
    let copied = Command::new("cp").arg("-a").arg(made.join(".")).arg(&state).status().expect("cp");
    assert!(copied.success(), "{copied}");
    gateway.launch();
    push_until(&plane, "prod", "0.2.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.2.0", PATIENCE).await;
    let _filler = disk.fill();
    for _ in 0..3 {
        let ended = gateway.process.as_mut().expect("it runs").end();
        assert!(ended.success(), "{ended}");
        gateway.launch();
        gateway.until_ready().await;
        assert_eq!(gateway.served().await, Ok(Some("0.2.0".to_owned())));
    }
    gateway.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_database_loses_no_version_and_no_stream() {
    let dir = passable_dir();
    let mut plane = PlaneProgram::new(&dir.path().join("plane"), None);
    let Some(disk) = SmallDisk::mount(&plane.dir.join("data/postgres"), "96m") else {
        println!("skipped: this user may not mount a file system");
        return;
    };
    plane.start().await;
    let operator = plane.operator();
    operator.create_fleet("prod").await;
    let mut gateway = GatewayProgram::new(dir.path(), "edge-1", &plane);
    gateway.launch();
    push_until(&operator, "prod", "0.1.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.1.0", PATIENCE).await;

    let mut stored = Vec::new();
    for number in 0..5 {
        let version = format!("0.2.{number}");
        let pushed = operator.configs().push_config(large(&version)).await.expect("there is room");
        stored.push((version, pushed.into_inner().revision));
    }
    let filler = disk.fill();
    let refused = loop {
        let version = format!("0.2.{}", stored.len());
        match operator.configs().push_config(large(&version)).await {
            Ok(pushed) => stored.push((version, pushed.into_inner().revision)),
            Err(status) => break status,
        }
        assert!(stored.len() < 1_000, "the disk is never full");
    };
    assert_eq!(refused.code(), tonic::Code::Unavailable, "{refused:?}");
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())));

    fs::remove_file(filler).expect("the filler is there");
    let next = format!("0.2.{}", stored.len());
    let pushed = eventually("a push is taken again", PATIENCE, async || {
        operator.configs().push_config(large(&next)).await.map(tonic::Response::into_inner)
    });
    let pushed = pushed.await.revision;
    stored.push((next, pushed));
    for (version, revision) in &stored {
        let request = v1::GetConfigRequest { config: "large".into(), revision: *revision };
        let found = operator.configs().get_config(request).await.expect("it was confirmed").into_inner();
        assert_eq!(found.source, large(version).source, "{version}");
    }
    println!("full disk under the database: {} confirmed versions, 0 lost", stored.len());
    // The stream that was open before is of use again.
    push_until(&operator, "prod", "0.3.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.3.0", PATIENCE).await;
    gateway.kill();
    let status = plane.process.as_mut().expect("it runs").end();
    assert!(status.success(), "{status}");
}

/// A pack that takes some room, pushed without a rollout.
fn large(version: &str) -> v1::PushConfigRequest {
    let mut source = pack_of("large", version);
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..1_500 {
        // Nothing that compresses.
        source.push_str(&format!(
            "# {}\n",
            std::iter::repeat_with(|| random.alphanumeric()).take(80).collect::<String>()
        ));
    }
    v1::PushConfigRequest { rollout: None, ..push_request("prod", &source) }
}

// === impl SmallDisk ===

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a place to mount at");
        let mut mount = Command::new("mount");
        let options = format!("size={size},mode=0711");
        let status = mount.args(["-t", "tmpfs", "-o", &options, "kt-small-disk"]).arg(at).output();
        status.is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).expect("a file on the small disk");
        while file.write_all(&[0; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a gateway of a test that failed may still sit on it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
