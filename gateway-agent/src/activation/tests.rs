//! The Activator by itself: when a pack counts as good, and what a lost disk does to it.

use std::fs;
use std::path::Path;

use instance::{Action, HistoryRecord, Outcome};
use service_kit::drain::{self, DrainTrigger};

use super::handle::{ActivatorHandle, Asked, LocalChange, OrderError};
use super::ledger::Owner;
use super::*;
use crate::settings::Environment;

struct Running {
    handle: ActivatorHandle,
    live: LivePolicy,
    readiness: Readiness,
    trigger: DrainTrigger,
    task: tokio::task::JoinHandle<()>,
}

mod crash_loop;

/// Never, in a test.
const LONG: Duration = Duration::from_secs(86_400);

fn pack(version: &str) -> Vec<u8> {
    format!(
        "pack: {{name: p, version: {version}, enabled: true}}\nproviders:\n  targets:\n    - {{id: t, \
         provider: openai-compatible, model: m, base_url: \"http://127.0.0.1:9\"}}\n\
         policies: {{chain: [audit-logger]}}\npolicy: {{audit-logger: {{}}}}\n"
    )
    .into_bytes()
}

async fn start(dir: &Path) -> Running {
    start_proving(dir, PROVING_TIME).await
}

async fn start_proving(dir: &Path, proving_time: Duration) -> Running {
    fs::create_dir_all(dir.join("packs")).unwrap();
    let (live, readiness) = (LivePolicy::empty(), Readiness::new());
    let parts = Parts {
        live: live.clone(),
        ledger: Arc::new(Ledger::new(dir, Owner { instance: "edge-1".to_owned(), fleet: None })),
        secrets: SecretRules {
            env_file: None,
            environment: Environment::fixed::<&str, &str>([]),
            globs: Vec::new(),
            dir: dir.join("secrets"),
        },
        readiness: readiness.clone(),
        clock: Clock::system(),
        proving_time,
    };
    let (activator, handle) = Activator::start(parts).await;
    let (trigger, drain) = drain::channel();
    let task = drain.spawn("activator", activator.run(drain.clone()));
    Running { handle, live, readiness, trigger, task }
}

async fn apply(running: &Running, version: &str) {
    let told = load(running, version).await.unwrap();
    assert_eq!(told.outcome, Outcome::Succeeded);
    assert_eq!(told.observed.unwrap().version.as_deref(), Some(version));
}

async fn load(running: &Running, version: &str) -> Result<HistoryRecord, OrderError> {
    running.handle.order(Asked::by("root", Action::Reload), LocalChange::Load(pack(version))).await
}

fn good(running: &Running) -> Vec<(String, bool)> {
    running.handle.record().kept.iter().map(|pack| (pack.version.to_string(), pack.good)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pack_is_good_after_a_minute_without_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    assert_eq!(running.readiness.waiting_on(), ["policy"]);
    apply(&running, "0.1.0").await;
    assert!(running.readiness.is_ready());
    tokio::time::sleep(PROVING_TIME / 2).await;
    apply(&running, "0.2.0").await;
    let mut records = running.handle.watch();
    let proven = records.wait_for(|record| record.kept.iter().any(|pack| pack.good));
    tokio::time::timeout(PROVING_TIME * 2, proven).await.unwrap().unwrap();
    assert_eq!(good(&running), [("0.2.0".to_owned(), true), ("0.1.0".to_owned(), false)]);

    // The goodness is on the disk: it is what starts when a later pack is spoiled.
    apply(&running, "0.3.0").await;
    let newest = running.handle.record().active.unwrap();
    fs::write(dir.path().join(format!("packs/{}.yaml", newest.hex())), b"spoiled").unwrap();
    drop(running);
    let again = start(dir.path()).await;
    assert_eq!(again.live.snapshot().unwrap().version.to_string(), "0.2.0");
}

#[tokio::test]
async fn identical_bytes_are_no_activation() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    let before = (running.live.snapshot().unwrap(), running.handle.record());
    assert_eq!(load(&running, "0.1.0").await.unwrap().outcome, Outcome::NoChange);
    assert!(Arc::ptr_eq(&before.0, &running.live.snapshot().unwrap()));
    assert_eq!(before.1, running.handle.record());
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    fs::remove_dir_all(dir.path().join("packs")).unwrap();
    let error = load(&running, "0.2.0").await.unwrap_err();
    assert!(matches!(&error, OrderError::Refused(reason) if reason.stage == Stage::Storage), "{error:?}");
    assert_eq!(running.live.snapshot().unwrap().version.to_string(), "0.1.0");
    fs::create_dir(dir.path().join("packs")).unwrap();
    apply(&running, "0.3.0").await;
}

#[tokio::test]
async fn a_request_keeps_the_policy_that_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    apply(&running, "0.1.0").await;
    let taken = running.live.snapshot().unwrap();
    apply(&running, "0.2.0").await;
    assert_eq!(taken.version.to_string(), "0.1.0");
    assert_eq!(running.live.retired_draining(), 1);
    drop(taken);
    assert_eq!(running.live.retired_draining(), 0);
}
