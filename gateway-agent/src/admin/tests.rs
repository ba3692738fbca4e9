//! The socket from both sides: who is let in, who is told to come again, and how a gateway is handed over.

use std::sync::Arc;
use std::time::Duration;

use instance::Place;
use instance::documents::Source;
use instance::door::Peer;
use service_kit::clock::Clock;
use service_kit::drain::{self, DrainTrigger};
use service_kit::readiness::Readiness;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::handover::HandOver;
use super::socket::CONNECTION_LIVES;
use super::{Admin, Door, Parts};
use crate::activation::handle::ActivatorHandle;
use crate::activation::ledger::{Ledger, Owner};
use crate::activation::live::LivePolicy;
use crate::activation::secrets::SecretRules;
use crate::activation::{Activator, PROVING_TIME};
use crate::app::policy_file::reload;
use crate::settings::Environment;

/// A door without a proxy, and an Activator behind it.
struct Doorway {
    place: Place,
    admin: Arc<Admin>,
    hand_overs: mpsc::Receiver<HandOver>,
    trigger: DrainTrigger,
    live: LivePolicy,
    home: TempDir,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Doorway {
    async fn open(may_order: fn(Peer) -> bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path(), "edge-1");
        place.make().unwrap();
        let (trigger, drain) = drain::channel();
        let (live, readiness) = (LivePolicy::empty(), Readiness::new());
        let (activator, handle) = activator(&place, &live, &readiness).await;
        drain.spawn("activator", activator.run(drain.clone()));
        let parts = Parts {
            source: Source::Local,
            listen: "127.0.0.1:1".parse().unwrap(),
            working_dir: home.path().to_owned(),
            live: live.clone(),
            readiness,
            clock: Clock::system(),
            link: None,
        };
        let admin = Arc::new(Admin::new(&place, handle, parts));
        let door = Door::bind(&place).unwrap().open_to(may_order);
        let (wishes, hand_overs) = mpsc::channel(1);
        drain.spawn("door", door.serve(Arc::clone(&admin), Some(wishes), drain.clone()));
        Self { place, admin, hand_overs, trigger, live, home }
    }

    async fn asks(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.place.admin_socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn newcomer(&self) -> UnixStream {
        self.asks("POST /keeptrusts/handover HTTP/1.1\r\nhost: x\r\n\r\n").await
    }

    async fn asked(&mut self) -> HandOver {
        tokio::time::timeout(PATIENCE, self.hand_overs.recv()).await.expect("in time").expect("asked")
    }

    async fn drains(self) {
        self.trigger.start();
        self.trigger.drained(PATIENCE).await.unwrap();
    }
}

async fn activator(place: &Place, live: &LivePolicy, readiness: &Readiness) -> (Activator, ActivatorHandle) {
    let owner = Owner { instance: "edge-1".to_owned(), fleet: None };
    let secrets = SecretRules {
        env_file: None,
        environment: Environment::fixed::<&str, &str>([]),
        globs: Vec::new(),
        dir: place.secrets(),
    };
    Activator::start(crate::activation::Parts {
        live: live.clone(),
        ledger: Arc::new(Ledger::new(place.dir(), owner)),
        history: instance::History::of(place),
        secrets,
        readiness: readiness.clone(),
        clock: Clock::system(),
        proving_time: PROVING_TIME,
    })
    .await
}

/// Reads until this was said, or to the end.
async fn reads(stream: &mut UnixStream, wanted: &str) -> String {
    let mut said = Vec::new();
    let reading = async {
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&said).contains(wanted) {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => said.extend_from_slice(&piece[..length]),
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("an answer in time");
    String::from_utf8_lossy(&said).into_owned()
}

async fn is_gone(gone: oneshot::Receiver<()>) {
    tokio::time::timeout(PATIENCE, gone).await.expect("seen in time").unwrap_err();
}

const END: &str = "no such words";
const STATUS: &str = "GET /keeptrusts/config HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn another_user_is_sent_away_and_asks_nothing() {
    let mut doorway = Doorway::open(|_| false).await;
    for request in [STATUS, "POST /keeptrusts/handover HTTP/1.1\r\nhost: x\r\n\r\n", ""] {
        let mut stream = doorway.asks(request).await;
        let said = reads(&mut stream, END).await;
        assert!(said.starts_with("HTTP/1.1 403 Forbidden\r\n") && said.ends_with("\r\n\r\n"), "{said}");
    }
    assert!(doorway.hand_overs.try_recv().is_err());
    doorway.drains().await;
}

#[tokio::test]
async fn a_newcomer_is_told_of_the_release_and_its_end_is_seen() {
    let mut doorway = Doorway::open(instance::door::may_order).await;
    let mut newcomer = doorway.newcomer().await;
    let HandOver { released, mut gone } = doorway.asked().await;
    let mut second = doorway.newcomer().await;
    let said = reads(&mut second, "}}").await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains(r#""code":"stopping""#), "{said}");

    released.send(()).unwrap();
    let said = reads(&mut newcomer, "}\n").await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("{\"released\":true}\n"), "{said}");
    assert_eq!(gone.try_recv(), Err(oneshot::error::TryRecvError::Empty), "the newcomer lives");
    // It asks who serves on a connection of its own.
    let said = reads(&mut doorway.asks(STATUS).await, END).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    drop(newcomer);
    is_gone(gone).await;

    // The next one may try.
    let mut third = doorway.newcomer().await;
    let HandOver { released, gone } = doorway.asked().await;
    released.send(()).unwrap();
    assert!(reads(&mut third, "}\n").await.contains("{\"released\":true}\n"));
    // The old process ends while the newcomer lives.
    doorway.drains().await;
    is_gone(gone).await;
    assert_eq!(reads(&mut third, END).await.replace("\r\n", ""), "0", "the body ends in order");
}

#[tokio::test]
async fn a_newcomer_that_leaves_early_or_is_refused_holds_up_nobody() {
    let mut doorway = Doorway::open(instance::door::may_order).await;
    let newcomer = doorway.newcomer().await;
    let HandOver { released, gone } = doorway.asked().await;
    drop(newcomer);
    is_gone(gone).await;
    released.send(()).unwrap_err();

    let mut newcomer = doorway.newcomer().await;
    drop(doorway.asked().await);
    let said = reads(&mut newcomer, "}}").await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("does not hand over now"), "{said}");
    let said =
        reads(&mut doorway.asks("GET /keeptrusts/handover HTTP/1.1\r\nhost: x\r\n\r\n").await, "}}").await;
    assert!(said.starts_with("HTTP/1.1 405 ") && said.contains("allow: POST\r\n"), "{said}");
    doorway.drains().await;
}

/// A clock that runs ahead whenever everybody waits: what would take minutes is over at once, in the right order.
#[tokio::test(start_paused = true)]
async fn whoever_keeps_the_door_waiting_is_given_up() {
    let doorway = Doorway::open(instance::door::may_order).await;
    for slow in ["", "GET /keep", "POST /keeptrusts/config/reload HTTP/1.1\r\nhost: x\r\n"] {
        let said = reads(&mut doorway.asks(slow).await, END).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{slow:?}: {said}");
    }
    let slow = "POST /keeptrusts/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{";
    let said = reads(&mut doorway.asks(slow).await, "}}").await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("did not arrive in time"), "{said}");
    doorway.drains().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_no_answer_does_not_keep_its_seat() {
    let doorway = Doorway::open(instance::door::may_order).await;
    let mut stream = doorway.asks("").await;
    let request = STATUS.replace("connection: close\r\n", "");
    // More than the buffers of both sides hold; then the door is stuck in a write.
    let filling = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(CONNECTION_LIVES * 3, filling).await.expect("given up");
    doorway.drains().await;
}

#[tokio::test]
async fn orders_go_to_the_activator_that_decides_now() {
    let doorway = Doorway::open(instance::door::may_order).await;
    let revert = "POST /keeptrusts/config/revert HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let said = reads(&mut doorway.asks(revert).await, END).await;
    assert!(said.starts_with("HTTP/1.1 409 "), "{said}");
    let (activator, handle) = activator(&doorway.place, &LivePolicy::empty(), &Readiness::new()).await;
    drop(activator);
    doorway.admin.follow(handle);
    let said = reads(&mut doorway.asks(revert).await, END).await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("stopping"), "{said}");
    doorway.drains().await;
}

/// An order that waits reads what is there when its turn has come, and is carried out although nobody waits for it.
#[tokio::test(start_paused = true)]
async fn a_reload_reads_in_its_turn_and_is_finished_without_its_sender() {
    let doorway = Doorway::open(instance::door::may_order).await;
    let file = doorway.home.path().join("policy.yaml");
    let body = r#"{"config_path":"policy.yaml"}"#;
    let length = body.len();
    let reload = format!(
        "POST /keeptrusts/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let running = || doorway.live.snapshot().map(|policy| policy.version.to_string());

    let before_it = doorway.admin.turn().await;
    std::fs::write(&file, pack("0.1.0")).unwrap();
    let mut patient = doorway.asks(&reload).await;
    // This clock stands while anybody works.
    tokio::time::timeout(Duration::from_secs(1), patient.readable()).await.expect_err("it is not its turn");
    std::fs::write(&file, pack("0.2.0")).unwrap();
    drop(before_it);
    let said = reads(&mut patient, "}").await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert_eq!(running().as_deref(), Some("0.2.0"));

    let before_it = doorway.admin.turn().await;
    std::fs::write(&file, pack("0.3.0")).unwrap();
    let hurried = doorway.asks(&reload).await;
    tokio::time::timeout(Duration::from_secs(1), hurried.readable()).await.expect_err("it is not its turn");
    drop(hurried);
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(before_it);
    let finished = async {
        while running().as_deref() != Some("0.3.0") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, finished).await.expect("finished");
    doorway.drains().await;
}

fn pack(version: &str) -> String {
    format!(
        "pack: {{name: local-dev, version: {version}, enabled: true}}\nproviders:\n  targets:\n    - {{id: local, \
         provider: openai-compatible, model: \"*\", base_url: \"http://127.0.0.1:9\"}}\npolicies:\n  chain: \
         [audit-logger]\npolicy:\n  audit-logger: {{}}\n"
    )
}

#[tokio::test(start_paused = true)]
async fn a_hangup_waits_its_turn_and_then_reads() {
    let doorway = Doorway::open(|_| true).await;
    let file = doorway.home.path().join("policy.yaml");
    let before_it = doorway.admin.turn().await;
    std::fs::write(&file, pack("0.1.0")).unwrap();
    let mut hangup = std::pin::pin!(reload(&file, &doorway.admin));
    tokio::time::timeout(Duration::from_secs(1), hangup.as_mut()).await.expect_err("it is not its turn");
    std::fs::write(&file, pack("0.2.0")).unwrap();
    drop(before_it);
    assert_eq!(hangup.await.unwrap().observed.unwrap().version.as_deref(), Some("0.2.0"));
}
