//! Large bodies of clients that leave, and of clients that are turned away: what they cost stays within the limits, and
//! who is refused reads why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::harness::{
    COMPLETION, Gateway, ScriptedProvider, active, chat, config, eventually, json_response, refused, target,
};
use crate::proxy::inspect::{Exchange, Granted, on_engine};
use crate::proxy::{ProxySettings, ProxyTimeouts};

const LARGE: usize = 1024 * 1024;
const SHARE: usize = 64 * 1024;

fn exchange() -> Exchange {
    Exchange {
        endpoint: policy_engine::Endpoint::ChatCompletions,
        policy: active(&config("0.1.0", target("http://127.0.0.1:1"))),
        around: Arc::new(policy_engine::Nowhere),
    }
}

fn granted(limits: &Arc<Semaphore>) -> Granted {
    Granted { place: Some(Arc::clone(limits).try_acquire_owned().unwrap()) }
}

#[tokio::test]
async fn work_that_goes_on_without_its_client_keeps_what_was_granted() {
    let (turns, limits) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(2)));
    let exchange = exchange();
    let (finish, finished) = mpsc::channel::<()>();
    let (begin, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut held = granted(&limits);
    {
        let slow = on_engine(&exchange, LARGE, (&turns, &mut held), move |_| {
            begin.send(()).unwrap();
            finished.recv().unwrap();
        });
        tokio::select! {
            _ = slow => panic!("nobody let it finish"),
            begun = begun.recv() => begun.unwrap(),
        }
    }
    drop(held);
    assert_eq!(limits.available_permits(), 1, "its client has left, and the work has not ended");

    // The next has no turn, leaves as well, and is never judged.
    let judged = Arc::new(AtomicBool::new(false));
    let mut held = granted(&limits);
    {
        let seen = Arc::clone(&judged);
        let waiting =
            on_engine(&exchange, LARGE, (&turns, &mut held), move |_| seen.store(true, Ordering::SeqCst));
        tokio::select! {
            biased;
            _ = waiting => panic!("there is one turn, and it is taken"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(held);
    assert_eq!(limits.available_permits(), 1, "who only waited has given back its own");

    finish.send(()).unwrap();
    eventually("what was granted is given back", || limits.available_permits() == 2).await;
    eventually("the turn is given back", || turns.available_permits() == 1).await;
    assert!(!judged.load(Ordering::SeqCst));
    let mut held = granted(&limits);
    on_engine(&exchange, LARGE, (&turns, &mut held), |_| ()).await.unwrap();
    assert!(held.place.is_some(), "a request that goes on has it again");
}

#[tokio::test]
async fn large_bodies_wait_for_a_turn_within_the_memory_for_bodies_and_who_leaves_waits_no_more() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let body = chat(&"hi ".repeat(100_000));
    // Exactly what three of them take: the first 64 KiB of each are free.
    let shares = 3 * (body.len().div_ceil(SHARE) - 1);
    let settings = ProxySettings { body_budget: shares * SHARE, ..ProxySettings::default() };
    let gateway = Gateway::with(Some(policy), settings).await;
    let free = gateway.places.available_permits();
    let all = u32::try_from(ProxySettings::default().workers).unwrap();
    let busy = Arc::clone(&gateway.turns).acquire_many_owned(all).await.unwrap();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        clients.push(client);
    }
    eventually("all of the memory is taken", || gateway.shares.available_permits() == 0).await;
    assert_eq!(gateway.places.available_permits(), free - 3);
    let answer = gateway.post(body.clone()).await;
    assert_eq!(answer.refusal(), refused(503, "unavailable", "overloaded"));
    drop(clients);
    eventually("who left waits no more", || gateway.places.available_permits() == free).await;
    eventually("nor holds memory", || gateway.shares.available_permits() == shares).await;
    drop(busy);
    assert_eq!(gateway.post(body).await.status, 200, "the memory is there again");
    assert_eq!(provider.calls().len(), 1, "nobody was called for those that left");
}

/// Sends all of a large body before it reads a word, as simple clients do.
async fn told(gateway: &Gateway, pause: Duration) -> String {
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let piece = vec![b'x'; 512 * 1024];
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        8 * piece.len()
    );
    client.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..8 {
        client.write_all(&piece).await.unwrap();
        tokio::time::sleep(pause).await;
    }
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("an answer and not a reset");
    answer
}

#[tokio::test]
async fn who_is_turned_away_with_a_large_body_is_told_so() {
    let policy = || Some(active(&config("0.1.0", target("http://127.0.0.1:1"))));
    let gateway =
        Gateway::with(policy(), ProxySettings { max_in_flight: 0, ..ProxySettings::default() }).await;
    let answer = told(&gateway, Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("overloaded"), "no place: {answer}");

    let gateway =
        Gateway::with(policy(), ProxySettings { body_budget: 2 * SHARE, ..ProxySettings::default() }).await;
    let answer = told(&gateway, Duration::ZERO).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("overloaded"), "no memory: {answer}");

    let timeouts = ProxyTimeouts { body_read: Duration::from_millis(100), ..ProxyTimeouts::default() };
    let gateway = Gateway::with(policy(), ProxySettings { timeouts, ..ProxySettings::default() }).await;
    let answer = told(&gateway, Duration::from_millis(40)).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_timeout"), "too late: {answer}");
}

#[tokio::test]
async fn a_long_answer_may_take_longer_than_a_connection_may_rest() {
    const LONG: usize = 16 * 1024 * 1024;
    let provider = ScriptedProvider::start(|_| {
        Box::pin(async {
            let body = COMPLETION.replace("hello", &"x".repeat(LONG));
            json_response(200, Box::leak(body.into_boxed_str()))
        })
    })
    .await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let timeouts = ProxyTimeouts { idle: Duration::from_millis(200), ..ProxyTimeouts::default() };
    let gateway = Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await;
    let mut client = TcpStream::connect(gateway.address).await.unwrap();
    let body = chat("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let (mut piece, mut read) = (vec![0; 64 * 1024], 0);
    while read < LONG {
        match client.read(&mut piece).await {
            Ok(0) | Err(_) => panic!("cut after {read} bytes"),
            Ok(bytes) => read += bytes,
        }
        // A client that takes its time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
