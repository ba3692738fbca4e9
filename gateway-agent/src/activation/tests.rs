//! The Activator by itself: when a pack counts as good, and what a lost disk does to it.

use std::fs;
use std::path::Path;

use fleet_core::ids::{OfferId, SessionId};
use fleet_core::offer::{Acknowledgement, Intent, Offer};
use instance::{Action, HistoryRecord, Outcome};
use service_kit::drain::{self, DrainTrigger};
use uuid::Uuid;

use super::handle::{ActivatorHandle, Asked, LocalChange, Offered, OrderError};
use super::ledger::Owner;
use super::*;
use crate::settings::{Environment, SecretGlob};

struct Running {
    handle: ActivatorHandle,
    live: LivePolicy,
    readiness: Readiness,
    trigger: DrainTrigger,
    task: tokio::task::JoinHandle<()>,
}

mod break_glass;
mod crash_loop;
mod flat;
mod local_loop;
mod untold;

const LINEAGE: Lineage = Lineage(Uuid::from_u128(7));
/// Never, in a test.
const LONG: Duration = Duration::from_secs(86_400);

// === impl Running ===

impl Running {
    /// As a signal that cannot be caught ends it.
    async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// As SIGTERM ends it.
    async fn end(self) {
        self.trigger.start();
        self.task.await.unwrap();
    }

    fn version(&self) -> Option<String> {
        self.live.snapshot().map(|policy| policy.version.to_string())
    }

    /// Offers a pack as a control plane does and answers what it hears.
    async fn offer(&self, generation: u64, version: &str) -> Acknowledgement {
        let source = pack(version);
        let id = OfferId(Uuid::new_v4());
        let offer = Offer {
            id,
            digest: ConfigDigest::of(&source),
            intent: Intent::Activate { lineage: LINEAGE, generation: Generation(generation) },
        };
        let (validated, _) = mpsc::channel(1);
        let mut records = self.handle.watch();
        let event = Offered {
            session: SessionId(Uuid::from_u128(1)),
            offer,
            source: Some(source),
            received: Instant::now(),
            validated,
        };
        self.handle.send(Event::Offered(event)).await.unwrap();
        let answered = |record: &Arc<Record>| record.unconfirmed.as_ref().is_some_and(|it| it.offer == id);
        let record = records.wait_for(answered).await.unwrap().clone();
        self.handle.send(Event::Confirmed { offer: id }).await.unwrap();
        records.wait_for(|record| record.unconfirmed.is_none()).await.unwrap();
        record.unconfirmed.as_ref().unwrap().acknowledgement.clone()
    }

    async fn accepts(&self, generation: u64, version: &str) {
        let answer = self.offer(generation, version).await;
        assert!(matches!(answer, Acknowledgement::Ack { .. }), "{answer:?}");
        assert_eq!(self.version().as_deref(), Some(version));
    }

    async fn until_good(&self) {
        let proven = |record: &Arc<Record>| record.active_pack().is_some_and(|pack| pack.proved);
        self.handle.watch().wait_for(proven).await.unwrap();
    }
}

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
    start_with(dir, proving_time, None, &[]).await
}

/// Managed in this fleet, and with these variables.
async fn start_with(
    dir: &Path,
    proving_time: Duration,
    fleet: Option<&str>,
    variables: &[(&str, &str)],
) -> Running {
    fs::create_dir_all(dir.join("packs")).unwrap();
    let (live, readiness) = (LivePolicy::empty(), Readiness::new());
    let owner = Owner { instance: "edge-1".to_owned(), fleet: fleet.map(str::to_owned) };
    let parts = Parts {
        live: live.clone(),
        ledger: Arc::new(Ledger::new(dir, owner)),
        history: History::at(dir.join("history.jsonl")),
        secrets: SecretRules {
            env_file: None,
            environment: Environment::fixed(variables.iter().copied()),
            globs: vec![SecretGlob::new("*_API_KEY").unwrap()],
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

fn proved(running: &Running) -> Vec<(String, bool)> {
    running.handle.record().kept.iter().map(|pack| (pack.version.to_string(), pack.proved)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pack_proves_itself_in_a_minute_without_a_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    assert_eq!(running.readiness.waiting_on(), ["policy"]);
    apply(&running, "0.1.0").await;
    assert!(running.readiness.is_ready());
    tokio::time::sleep(PROVING_TIME / 2).await;
    apply(&running, "0.2.0").await;
    let mut records = running.handle.watch();
    let proven = records.wait_for(|record| record.kept.iter().any(|pack| pack.proved));
    tokio::time::timeout(PROVING_TIME * 2, proven).await.unwrap().unwrap();
    assert_eq!(proved(&running), [("0.2.0".to_owned(), true), ("0.1.0".to_owned(), false)]);

    // That is on the disk: it is what starts when a later pack is spoiled.
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
