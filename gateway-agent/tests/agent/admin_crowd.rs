//! The door under strain: orders at once, hang-ups, crowds, slow and huge senders, and garbage.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use instance::{Action, Outcome};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::admin::{Answer, House, SECRET, WAYS, Way};
use crate::support::{eventually, pack, version};

const STATUS: &str = "/keeptrusts/config";
const RELOAD: &str = "/keeptrusts/config/reload";
const REVERT: &str = "/keeptrusts/config/revert";

fn reload_of(name: &str) -> String {
    json!({ "config_path": name }).to_string()
}

async fn connect(house: &House, way: Way) -> Box<dyn Wire> {
    match way {
        Way::Socket => Box::new(UnixStream::connect(house.place.admin_socket()).await.unwrap()),
        Way::Port => Box::new(TcpStream::connect(house.gateway.address()).await.unwrap()),
    }
}

trait Wire: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Wire for T {}

#[tokio::test(flavor = "multi_thread")]
async fn two_reloads_at_once_are_one_after_the_other() {
    let house = House::open().await;
    house.write("a.yaml", pack("0.2.0"));
    house.write("b.yaml", pack("0.3.0"));
    for _ in 0..10 {
        let before = house.status(Way::Socket).await.observed;
        let (a, b) = tokio::join!(house.reloads(Way::Socket, "a.yaml"), house.reloads(Way::Port, "b.yaml"));
        let (a, b) = (a.record(), b.record());
        let after = house.status(Way::Port).await.observed;
        let (first, second) = if b.from == a.observed && a.from == before { (a, b) } else { (b, a) };
        assert_eq!(first.from, before, "{first:?} {second:?}");
        assert_eq!(second.from, first.observed, "{first:?} {second:?}");
        assert_eq!(second.observed, after);
    }
}

/// Whoever reads later has the newer bytes, and must not be undone by whoever read before.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_last_runs_last() {
    let house = House::open().await;
    let next = AtomicU32::new(0);
    for _ in 0..8 {
        let one = async || {
            let number = next.fetch_add(1, Ordering::SeqCst) + 2;
            let bytes = pack(&format!("0.{number}.0"));
            let path = house.path(&format!(".{number}"));
            std::fs::write(&path, bytes).unwrap();
            std::fs::rename(path, house.path("policy.yaml")).unwrap();
            let answer = house
                .reloads(if number.is_multiple_of(2) { Way::Socket } else { Way::Port }, "policy.yaml")
                .await;
            assert_eq!(answer.status, 200, "{answer:?}");
        };
        tokio::join!(one(), one(), one(), one());
        let file = policy_config::ConfigDigest::of(&std::fs::read(house.path("policy.yaml")).unwrap());
        let runs = house.status(Way::Socket).await.observed.unwrap();
        assert_eq!(runs.digest, file, "{runs:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_and_a_revert_at_once_both_end_clearly() {
    let house = House::open().await;
    for number in 0..10 {
        house.write("next.yaml", pack(&format!("0.{}.0", number + 2)));
        let (reload, revert) = tokio::join!(
            house.reloads(Way::Socket, "next.yaml"),
            house.asks(Way::Port, "POST", REVERT, "{}"),
        );
        assert_eq!(reload.record().outcome, Outcome::Succeeded);
        assert!(revert.status == 200 || revert.code() == "nothing_to_revert", "{revert:?}");
        let status = house.status(Way::Socket).await;
        assert!(status.in_sync && status.ready, "{status:?}");
        assert_eq!(version(&house.gateway), status.observed.and_then(|now| now.version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_the_old_or_the_new_and_its_order_is_finished() {
    let house = House::open().await;
    let mut ours = 0;
    for number in 0..24_usize {
        let way = WAYS[number % 2];
        let wanted = format!("0.{}.0", number + 2);
        house.write("policy.yaml", pack(&wanted));
        let before = house.runs().await;
        let request = house.request(way, "POST", RELOAD, &reload_of("policy.yaml"));
        // Some leave in the middle of the request, some right after it.
        let cut = if number % 4 < 2 { request.len() } else { request.len() - 1 - number };
        let mut stream = connect(&house, way).await;
        stream.write_all(&request[..cut]).await.unwrap();
        drop(stream);
        if cut < request.len() {
            assert_eq!(house.runs().await, before, "half an order is none");
            continue;
        }
        // An order of our own comes before or after it.
        let answer = house.reloads(Way::Socket, "policy.yaml").await.record();
        assert!(matches!(answer.outcome, Outcome::Succeeded | Outcome::NoChange), "{answer:?}");
        ours += 1;
        assert_eq!(version(&house.gateway), Some(wanted));
    }
    eventually("an order that was finished without its client", || {
        let all = house.history().iter().filter(|record| record.action == Action::Reload).count();
        if all > ours { Ok(()) } else { Err((all, ours)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_at_the_socket_hold_up_neither_traffic_nor_for_long_the_door() {
    let house = House::open().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(UnixStream::connect(house.place.admin_socket()).await.unwrap());
    }
    let mut sent_away = 0;
    for _ in 0..1000 {
        let answer = house.asks(Way::Socket, "GET", STATUS, "").await;
        match answer.status {
            200 => {}
            503 => {
                assert_eq!(answer.code(), "busy");
                sent_away += 1;
            }
            _ => panic!("{answer:?}"),
        }
    }
    assert!(sent_away > 0);
    let models = b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(house.says(Way::Port, models).await.status, 200);
    assert_eq!(house.status(Way::Port).await.name, "edge-1", "the other door has seats of its own");
    drop(silent);
    let tries = AtomicU32::new(0);
    loop {
        let answer = house.asks(Way::Socket, "GET", STATUS, "").await;
        if answer.status == 200 {
            break;
        }
        assert!(tries.fetch_add(1, Ordering::Relaxed) < 1000, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn huge_bodies_and_garbage_are_answered_or_cut_and_the_door_stays() {
    let house = House::open().await;
    for way in WAYS {
        let head = String::from_utf8(house.request(way, "GET", RELOAD, "")).unwrap();
        let head =
            head.replace("GET", "POST").trim_end().to_owned() + "\r\ncontent-type: application/json\r\n";
        let huge = head.clone() + "content-length: 99999999999\r\n\r\n";
        let answer = house.says(way, huge.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "invalid_request"), "{way:?} {answer:?}");
        let sent = head.clone() + "content-length: 3000000\r\n\r\n" + &" ".repeat(3_000_000);
        let answer = house.says(way, sent.as_bytes()).await;
        assert_eq!((answer.status, answer.code().as_str()), (413, "invalid_request"), "{way:?} {answer:?}");
        let chunks = head.clone()
            + "transfer-encoding: chunked\r\n\r\n"
            + &format!("8000\r\n{}\r\n", "[".repeat(0x8000)).repeat(9)
            + "0\r\n\r\n";
        assert_eq!(house.says(way, chunks.as_bytes()).await.status, 413, "{way:?}");
        let broken = head + "transfer-encoding: chunked\r\n\r\nzz\r\n";
        assert_eq!(house.says(way, broken.as_bytes()).await.status, 400, "{way:?}");
    }
    let status = String::from_utf8(house.request(Way::Socket, "GET", STATUS, "")).unwrap();
    let kept = status.replace("connection: close\r\n", "");
    // Two requests, then garbage: the first two are answered, the rest is not a request.
    let mut stream = connect(&house, Way::Socket).await;
    stream.write_all(format!("{kept}{kept}\u{1}garbage\r\n\r\n{kept}").as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 2, "{said}");
    assert_eq!(said.matches("HTTP/1.1 400 ").count(), 1, "{said}");
    for garbage in [
        &b"\0\0\0\0"[..],
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /keeptrusts/config HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /keeptrusts/config/reload HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut stream = connect(&house, Way::Socket).await;
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        assert!(said.is_empty() || Answer::parse(&said).status == 400, "{garbage:?} {said:?}");
    }
    let many = format!("GET {STATUS} HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    assert_eq!(house.says(Way::Socket, many.as_bytes()).await.status, 431);
    let form = format!(
        "POST {RELOAD} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{{}}"
    );
    let answer = house.says(Way::Socket, form.as_bytes()).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{answer:?}");
    for path in ["/", "/keeptrusts/config/", "/keeptrusts/config?x", "/v1/models", "/healthz"] {
        assert_eq!(house.asks(Way::Socket, "GET", path, "").await.status, 404, "{path}");
    }
    assert_eq!(house.runs().await.as_deref(), Some("0.1.0"));
}

/// The name is a good pack and a link to a secret in turn, while both doors reload it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_swapped_for_a_link_never_shows_what_the_link_leads_to() {
    let house = House::open().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), format!("{SECRET}: {SECRET}\n")).unwrap();
    let stop = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = house.path(".swap");
            while !stop.load(Ordering::Relaxed) {
                std::os::unix::fs::symlink(outside.path().join("secret"), &next).unwrap();
                std::fs::rename(&next, house.path("policy.yaml")).unwrap();
                std::fs::write(&next, pack("0.2.0")).unwrap();
                std::fs::rename(&next, house.path("policy.yaml")).unwrap();
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let deadline = tokio::time::Instant::now() + Duration::from_millis(1500);
                while tokio::time::Instant::now() < deadline {
                    let (a, b) = tokio::join!(
                        house.reloads(Way::Socket, "policy.yaml"),
                        house.reloads(Way::Port, "./policy.yaml"),
                    );
                    answers.extend([a, b]);
                }
            });
        });
        stop.store(true, Ordering::Relaxed);
    });
    for answer in answers {
        assert!(!answer.body.contains(SECRET), "{answer:?}");
        match answer.status {
            200 => loaded += 1,
            _ => {
                assert_eq!((answer.status, answer.code().as_str()), (400, "path_refused"), "{answer:?}");
                refused += 1;
            }
        }
    }
    assert!(loaded > 5 && refused > 5, "{loaded} loaded, {refused} refused");
    let told = std::fs::read_to_string(house.place.history()).unwrap_or_default();
    assert!(!told.contains(SECRET));
    eventually("the pack", || match version(&house.gateway) {
        Some(found) if found == "0.2.0" => Ok(()),
        other => Err(other),
    })
    .await;
}
