//! A disk that is full for real: the state of a gateway on a file system of one MiB.
#![cfg(test)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use proto::v1;
use proto::v1::RolloutState;
use tests::http::Http;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, passable_dir};

use crate::support::{push_until, served, until_serves};

/// A small file system; unmounted with this value.
struct SmallDisk(PathBuf);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_a_nack_and_no_reason_to_stop_serving_or_not_to_start() {
    let dir = passable_dir();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let mut gateway = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    let Some(disk) = SmallDisk::mount(&gateway.home.join("state")) else {
        println!("skipped: this user may not mount a file system; the injected ENOSPC stands for it");
        return;
    };
    let http = Http::new();
    gateway.launch();
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    until_serves(&http, &gateway, "0.1.0").await;

    let filler = disk.fill();
    let rollout = push_until(&plane, "prod", "0.2.0", RolloutState::Reverted).await;
    let refusal = rollout.rejections[0].refusal.as_ref().expect("a refusal");
    assert_eq!(refusal.stage(), v1::Stage::Storage, "{refusal:?}");
    assert!(format!("{refusal:?}").contains("No space left"), "{refusal:?}");
    assert_eq!(served(&http, &gateway).await, Ok(Some("0.1.0".to_owned())));

    // Started again on the full disk it serves what it held.
    gateway.kill();
    gateway.launch();
    gateway.until_ready().await;
    assert_eq!(served(&http, &gateway).await, Ok(Some("0.1.0".to_owned())));
    push_until(&plane, "prod", "0.3.0", RolloutState::Reverted).await;

    fs::remove_file(filler).expect("the filler is there");
    push_until(&plane, "prod", "0.4.0", RolloutState::Succeeded).await;
    until_serves(&http, &gateway, "0.4.0").await;
    gateway.kill();
}

// === impl SmallDisk ===

impl SmallDisk {
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).expect("a place to mount at");
        let mut mount = Command::new("mount");
        let status = mount.args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "kt-small-disk"]).arg(at).output();
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
