//! An error of the disk at every step of a keep: nack `storage`, the old pack serves and is what the next start
//! finds, and when the error is gone the next push is activated.
#![cfg(test)]

use std::path::PathBuf;

use futures_util::stream::{self, StreamExt};
use policy_config::ConfigDigest;
use proto::v1;
use proto::v1::RolloutState;
use tests::operator::Operator;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, passable_dir};

use crate::support::{PATIENCE, full_sweep, may_trace, pack_of, push_until};

/// One step of a keep, and where it fails.
#[derive(Clone, Copy)]
struct Step {
    name: &'static str,
    calls: &'static str,
    at: At,
}

#[derive(Clone, Copy)]
enum At {
    UnfinishedPack,
    Packs,
    UnfinishedStanding,
    Standing,
    UnfinishedPrevious,
    Instance,
}

const RENAMES: &str = "rename,renameat,renameat2";
const STEPS: [Step; 13] = [
    Step { name: "open the directory of packs", calls: "openat", at: At::Packs },
    Step { name: "open the pack", calls: "openat", at: At::UnfinishedPack },
    Step { name: "write the pack", calls: "write", at: At::UnfinishedPack },
    Step { name: "sync the pack", calls: "fsync", at: At::UnfinishedPack },
    Step { name: "rename the pack", calls: RENAMES, at: At::UnfinishedPack },
    Step { name: "sync the directory of packs", calls: "fsync", at: At::Packs },
    Step { name: "open the standing", calls: "openat", at: At::UnfinishedStanding },
    Step { name: "write the standing", calls: "write", at: At::UnfinishedStanding },
    Step { name: "sync the standing", calls: "fsync", at: At::UnfinishedStanding },
    Step { name: "link the standing", calls: "link,linkat", at: At::Standing },
    Step { name: "rename the link", calls: RENAMES, at: At::UnfinishedPrevious },
    Step { name: "rename the standing", calls: RENAMES, at: At::UnfinishedStanding },
    Step { name: "sync the directory of the standing", calls: "fsync", at: At::Instance },
];
const ERRORS: [&str; 3] = ["EIO", "ENOSPC", "EROFS"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_at_any_step_is_a_nack_and_the_old_pack_stays() {
    if !may_trace() {
        return;
    }
    let mut cases = Vec::new();
    for (number, step) in STEPS.into_iter().enumerate() {
        // Thinned, each step fails in one of the ways and each way is met at several steps.
        let errors = ERRORS.iter().enumerate().filter(|(index, _)| full_sweep() || index % 3 == number % 3);
        cases.extend(errors.map(|(_, error)| (step, *error)));
    }
    let plane = Plane::start().await;
    let dir = passable_dir();
    let tried = stream::iter(cases.iter().enumerate()).map(async |(number, (step, error))| {
        let gateway =
            GatewayProgram::at(dir.path(), &format!("edge-{number}"), &plane.url, &plane.token_file());
        one(&plane, gateway, *step, error).await;
        println!("{}: {error}: nack storage, old pack served, kept and started, next push active", step.name);
    });
    let done = tried.buffer_unordered(4).count().await;
    println!("disk errors survived {done} of {}", cases.len());
    assert_eq!(done, cases.len());
}

async fn one(plane: &Operator, mut gateway: GatewayProgram, step: Step, error: &str) {
    let fleet = format!("fleet-{}", gateway.name);
    gateway.fleet.clone_from(&fleet);
    plane.create_fleet(&fleet).await;
    let what = format!("{}: {error}", step.name);
    gateway.launch();
    push_until(plane, &fleet, "0.1.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.1.0", PATIENCE).await;
    let ended = gateway.process.as_mut().expect("it runs").end();
    assert!(ended.success(), "{what}: {ended}");

    gateway.wrapper = injector(&step.path(&gateway, &pack_of(&fleet, "0.2.0")), step.calls, error);
    gateway.launch();
    gateway.until_ready().await;
    gateway.until_serves("0.1.0", PATIENCE).await;
    let rollout = push_until(plane, &fleet, "0.2.0", RolloutState::Reverted).await;
    let stage =
        rollout.rejections.first().and_then(|rejection| rejection.refusal.as_ref()).map(|it| it.stage());
    assert_eq!(stage, Some(v1::Stage::Storage), "{what}: {rollout:?}");
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())), "{what}");

    gateway.kill();
    gateway.wrapper = Vec::new();
    gateway.launch();
    gateway.until_ready().await;
    assert_eq!(gateway.served().await, Ok(Some("0.1.0".to_owned())), "{what}: after a kill");
    push_until(plane, &fleet, "0.3.0", RolloutState::Succeeded).await;
    gateway.until_serves("0.3.0", PATIENCE).await;
}

/// Words that run a program so that these calls fail on this path. As a child of it, see `order`.
fn injector(path: &std::path::Path, calls: &str, error: &str) -> Vec<String> {
    let path = path.to_str().expect("a path that is text");
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:error={error}"));
    let words = [
        "strace",
        "-D",
        "-f",
        "-qq",
        "-e",
        "signal=none",
        "-o",
        "/dev/null",
        "-P",
        path,
        "-e",
        &trace,
        "-e",
        &inject,
    ];
    words.iter().map(|word| (*word).to_owned()).collect()
}

// === impl Step ===

impl Step {
    fn path(self, gateway: &GatewayProgram, pack: &str) -> PathBuf {
        let dir = gateway.instance_dir();
        match self.at {
            At::Instance => dir,
            At::Packs => dir.join("packs"),
            At::UnfinishedPack => {
                dir.join(format!("packs/{}.yaml.tmp", ConfigDigest::of(pack.as_bytes()).hex()))
            }
            At::Standing => dir.join("standing.json"),
            At::UnfinishedStanding => dir.join("standing.json.tmp"),
            At::UnfinishedPrevious => dir.join("standing.previous.json.tmp"),
        }
    }
}
