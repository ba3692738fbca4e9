//! A new process that takes over and does not come to it: at whatever step it dies, the old one serves, steers and
//! reloads as if nothing had been. And an old one that dies on the way.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fleet_core::ids::Lineage;
use instance::description::Installed as Installation;
use instance::documents::{Source, Status};
use nix::sys::signal::Signal;
use uuid::Uuid;

use crate::installed::{Installed, Process};
use crate::scripted_control_plane::ScriptedControlPlane;
use crate::support::{eventually, pack, write_private};

const LINEAGE: Lineage = Lineage(Uuid::from_u128(1));

/// Asks on connections of their own, again and again, until it is dropped.
struct Asking {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    /// A newcomer serves and will be killed, which takes its connections with it, or told to end, and then says that it
    /// is not ready.
    two_serve: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Asking {
    fn of(gateway: &Arc<Installed>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let two_serve = Arc::new(AtomicBool::new(false));
        let (gateway, told, count, two) =
            (gateway.clone(), stop.clone(), answered.clone(), two_serve.clone());
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for path in ["/v1/models", "/readyz"] {
                    match gateway.try_head(path) {
                        Ok(head) if head.starts_with("HTTP/1.1 200") => {}
                        other => assert!(two.load(Ordering::Relaxed), "{path}: {other:?}"),
                    }
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::park_timeout(std::time::Duration::from_millis(1));
            }
        });
        Self { stop, answered, two_serve, thread: Some(thread) }
    }

    fn end(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().expect("every request was answered");
        self.answered.load(Ordering::Relaxed)
    }
}

async fn serving() -> (Arc<Installed>, Process) {
    let gateway = Arc::new(Installed::with(&pack("0.1.0"), "0.1.0"));
    // A port that only one process can have, at an address that nobody calls from.
    let metrics = std::net::TcpListener::bind("127.8.9.10:0").unwrap().local_addr().unwrap();
    gateway.describe(|description| description.metrics_listen = Some(metrics.to_string()));
    let mut old = gateway.launch(&[]);
    gateway.until_steers(&mut old).await;
    (gateway, old)
}

/// A newcomer that stands still once it holds the directory and its pack is on trial.
fn slow_newcomer(gateway: &Installed) -> Process {
    let mut command = gateway.supervised(&["--take-over"]);
    command.env("KT_FAILPOINTS", "boot.on_trial=return(delay:30000)");
    gateway.spawn(command)
}

async fn reloads(gateway: &Installed, process: &Process, version: &str) {
    fs::write(gateway.policy_file(), pack(version)).unwrap();
    process.signal(Signal::SIGHUP);
    gateway.until_serves(version).await;
}

/// Of the pack on trial.
fn crashes(gateway: &Installed) -> Option<u64> {
    let text = fs::read(gateway.place.dir().join("standing.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&text).unwrap();
    file["standing"]["trial"]["crashes"].as_u64()
}

async fn until_status(gateway: &Installed, what: &str, wanted: impl Fn(&Status) -> bool) {
    eventually(what, || match gateway.status() {
        Some(status) if wanted(&status) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_dies_at_any_step_leaves_the_old_one_as_it_was() {
    let (gateway, mut old) = serving().await;
    let asking = Asking::of(&gateway);

    // As soon as it is there.
    gateway.launch(&["--take-over"]).kill();
    reloads(&gateway, &old, "0.2.0").await;

    // Twice while its pack is on trial: that counts against nobody.
    for _ in 0..2 {
        let mut newcomer = slow_newcomer(&gateway);
        newcomer.until_log("failpoint struck").await;
        assert!(old.log().contains("handing over"));
        newcomer.kill();
        let taken_back = old.log().matches("is taken back").count();
        eventually("it is taken back", || match old.log().matches("is taken back").count() {
            now if now > taken_back => Ok(()),
            now => Err(now),
        })
        .await;
        assert_eq!(crashes(&gateway), Some(0));
    }
    reloads(&gateway, &old, "0.4.0").await;
    assert!(gateway.status().unwrap().withdrawn.is_empty());

    // When it steers and serves already, and the old one was not told to end.
    asking.two_serve.store(true, Ordering::Relaxed);
    let mut newcomer = gateway.launch(&["--take-over"]);
    gateway.until_steers(&mut newcomer).await;
    newcomer.kill();
    gateway.until_steers(&mut old).await;
    reloads(&gateway, &old, "0.5.0").await;

    // What it activated meanwhile was told to somebody, so it stays.
    let mut newcomer = gateway.launch(&["--take-over"]);
    gateway.until_steers(&mut newcomer).await;
    fs::write(gateway.policy_file(), pack("0.6.0")).unwrap();
    newcomer.signal(Signal::SIGHUP);
    newcomer.until_log("policy activated version=0.6.0").await;
    newcomer.kill();
    gateway.until_steers(&mut old).await;
    gateway.until_serves("0.6.0").await;

    // Told to end by its supervisor, which has lost its patience.
    let mut newcomer = gateway.launch(&["--take-over"]);
    gateway.until_steers(&mut newcomer).await;
    assert!(newcomer.end().await.success());
    gateway.until_steers(&mut old).await;
    reloads(&gateway, &old, "0.7.0").await;

    assert!(asking.end() > 0);
    assert!(old.end().await.success());
    assert_eq!(crashes(&gateway), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_that_cannot_start_or_has_nothing_to_serve_troubles_nobody() {
    let (gateway, mut old) = serving().await;
    let asking = Asking::of(&gateway);

    let (code, stderr) = gateway.refused(gateway.supervised(&["--take-over", "--decision-log", "/"]));
    assert_eq!(code, 1, "{stderr}");
    assert!(!old.log().contains("handing over"), "what fails by itself fails before: {}", old.log());

    // After the hand-over: the metrics port is somebody else's.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = gateway.refused(gateway.supervised(&["--take-over", "--metrics-listen", &address]));
    assert_eq!(code, 6, "{stderr}");
    gateway.until_steers(&mut old).await;
    reloads(&gateway, &old, "0.2.0").await;

    // All it finds is spoiled: it serves nobody while the old one does.
    for name in ["standing.json", "standing.previous.json"] {
        fs::write(gateway.place.dir().join(name), b"spoiled").unwrap();
    }
    for entry in fs::read_dir(gateway.place.packs()).unwrap() {
        fs::write(entry.unwrap().path(), b"spoiled").unwrap();
    }
    let mut newcomer = gateway.launch(&["--take-over"]);
    let pid = newcomer.child.id();
    until_status(&gateway, "it steers and is not ready", |status| status.pid == Some(pid) && !status.ready)
        .await;
    let before = asking.answered.load(Ordering::Relaxed);
    eventually("more were answered", || match asking.answered.load(Ordering::Relaxed) {
        now if now > before + 50 => Ok(()),
        now => Err(now),
    })
    .await;
    newcomer.kill();
    gateway.until_steers(&mut old).await;
    // Its memory is whole, and the disk's again.
    until_status(&gateway, "it tells what runs", |status| {
        status.observed.as_ref().is_some_and(|observed| observed.version.as_deref() == Some("0.2.0"))
    })
    .await;
    assert!(asking.end() > 50);
    old.kill();
    let mut next = gateway.launch(&[]);
    gateway.until_steers(&mut next).await;
    gateway.until_serves("0.2.0").await;
    reloads(&gateway, &next, "0.3.0").await;
}

/// Says that it takes over, and no more; answers what it heard in a line.
fn wishes(gateway: &Installed, wanted: &str) -> (UnixStream, String) {
    let mut stream = instance::door::connect(&gateway.place.admin_socket()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    stream.write_all(b"POST /keeptrusts/handover HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let (mut heard, mut piece) = (String::new(), [0; 4096]);
    while !heard.contains(wanted) {
        match stream.read(&mut piece).unwrap() {
            0 => panic!("{heard}"),
            length => heard.push_str(&String::from_utf8_lossy(&piece[..length])),
        }
    }
    (stream, heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_is_taken_back() {
    let gateway = Arc::new(Installed::with(&pack("0.1.0"), "0.1.0"));
    let mut command = gateway.supervised(&[]);
    // It has waited long enough as soon as it begins to.
    command.env("KT_FAILPOINTS", "serving.side_by_side=return(error)");
    let mut old = gateway.spawn(command);
    gateway.until_steers(&mut old).await;
    let asking = Asking::of(&gateway);
    for version in ["0.2.0", "0.3.0"] {
        let taken_back = old.log().matches("is taken back").count();
        let (_open, _) = wishes(&gateway, "released");
        eventually("it is taken back", || match old.log() {
            log if log.matches("is taken back").count() > taken_back => Ok(()),
            log => Err(log),
        })
        .await;
        reloads(&gateway, &old, version).await;
    }
    assert!(asking.end() > 0);
    assert!(old.end().await.success());

    // Somebody has it: two must not drift apart.
    let mut command = gateway.supervised(&[]);
    command.env("KT_FAILPOINTS", "serving.side_by_side=return(error)");
    let mut old = gateway.spawn(command);
    gateway.until_steers(&mut old).await;
    let lock = gateway.place.lock();
    let (_open, _) = wishes(&gateway, "released");
    let held = instance::lock::Lock::take(&lock).unwrap();
    if held.is_some() {
        assert!(old.until_ended().await.success());
        assert!(old.log().contains("it ends by itself"), "{}", old.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_supervised_hands_over_to_nobody() {
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    let mut process = gateway.spawn(gateway.command(&["--stored", "--listen", "127.0.0.1:0"]));
    gateway.until_steers(&mut process).await;
    let (_, heard) = wishes(&gateway, "}}");
    assert!(heard.starts_with("HTTP/1.1 400") && heard.contains("not supervised"), "{heard}");
    process.signal(Signal::SIGHUP);
    process.until_log("no change").await;
    assert!(process.end().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_one_that_is_killed_on_the_way_has_its_newcomer_all_the_same() {
    let (gateway, mut old) = serving().await;
    let mut command = gateway.supervised(&["--take-over"]);
    command.env("KT_FAILPOINTS", "boot.on_trial=return(delay:300)");
    let mut newcomer = gateway.spawn(command);
    newcomer.until_log("failpoint struck").await;
    old.kill();
    gateway.until_steers(&mut newcomer).await;
    gateway.until_serves("0.1.0").await;

    // Or before it was asked.
    newcomer.kill();
    let mut next = gateway.launch(&["--take-over"]);
    gateway.until_steers(&mut next).await;
    assert!(next.log().contains("starting without it"), "{}", next.log());
    reloads(&gateway, &next, "0.2.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_newcomers_at_once_are_one_that_takes_over_and_one_that_is_refused() {
    let (gateway, old) = serving().await;
    let mut newcomer = slow_newcomer(&gateway);
    newcomer.until_log("failpoint struck").await;
    let (code, stderr) = gateway.refused(gateway.supervised(&["--take-over"]));
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("does not hand over"), "{stderr}");
    newcomer.kill();
    reloads(&gateway, &old, "0.2.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_managed_gateway_the_newest_session_wins_and_the_old_process_does_not_mind() {
    let mut control_plane = ScriptedControlPlane::start().await;
    let gateway = Installed::with(&pack("0.1.0"), "0.1.0");
    gateway.describe(|description| {
        description.source = Source::ControlPlane;
        description.control_plane = Some(control_plane.url.clone());
        description.fleet = Some("prod".to_owned());
        description.policy_config = None;
        description.installed =
            description.installed.take().map(|found| Installation { pack: None, ..found });
    });
    let token = gateway.home.path().join("operator.token");
    write_private(&token, b"kt_operator\n");
    let launch = |arguments: &[&str]| {
        let mut command = gateway.supervised(arguments);
        command.env("KT_TOKEN_FILE", &token);
        gateway.spawn(command)
    };
    let mut old = launch(&[]);
    let mut first = control_plane.attached().await;
    first.welcome(LINEAGE).await;
    let offer = first.offer(LINEAGE, 1, &pack("0.1.0")).await;
    first.settle(offer).await;
    gateway.until_steers(&mut old).await;
    // As `status.json` tells whoever asks while it is down.
    eventually("it is told to be connected", || {
        let text = fs::read_to_string(gateway.place.last_status()).unwrap_or_default();
        let told: Option<Status> = serde_json::from_str(&text).ok();
        let link = told.and_then(|told| told.control_plane);
        if link.is_some_and(|link| link.connected) { Ok(()) } else { Err(text) }
    })
    .await;

    // A newcomer that dies: the old one calls again, as what it is.
    let mut newcomer = launch(&["--take-over"]);
    first.ended().await;
    let (boot, credential) = (first.hello.boot, first.authorization.clone());
    drop(first);
    let second = control_plane.attached().await;
    assert_ne!(second.hello.boot, boot);
    assert_eq!(second.authorization, credential, "one gateway, one credential");
    newcomer.kill();
    let mut third = control_plane.attached().await;
    third.welcome(LINEAGE).await;
    assert_eq!(third.hello.active.as_ref().map(|active| active.held.generation.0), Some(1));
    gateway.until_steers(&mut old).await;

    // One that takes over: the next offer is its own.
    let mut newcomer = launch(&["--take-over"]);
    third.ended().await;
    drop(third);
    let mut fourth = control_plane.attached().await;
    fourth.welcome(LINEAGE).await;
    gateway.until_steers(&mut newcomer).await;
    assert!(old.end().await.success());
    let offer = fourth.offer(LINEAGE, 2, &pack("0.2.0")).await;
    fourth.settle(offer).await;
    gateway.until_serves("0.2.0").await;
    assert_eq!(control_plane.enrolments().len(), 1);
}
