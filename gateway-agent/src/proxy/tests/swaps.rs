//! The policy changes under load: a request keeps the one it took, and none fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use policy_config::ConfigDigest;
use policy_config::schema::CircuitBreaker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{
    COMPLETION, Gateway, ScriptedProvider, active, chat, config, event_stream, eventually, json_response,
    refused, several, target, test_watcher,
};
use super::streaming::{delta, fed_provider, piece, streamed};

#[tokio::test]
async fn a_stream_keeps_its_policy_over_a_swap_to_its_last_byte() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    feed.send(Ok(delta("before"))).await.unwrap();
    assert_eq!(piece(&mut response).await.unwrap(), delta("before"));

    gateway.live.swap(active(&config("0.2.0", target(&provider.base_url))));
    assert_eq!(gateway.live.retired_draining(), 1, "the stream holds the old policy");
    assert_eq!(gateway.get("/v1/models").await.header("x-kt-config-version"), Some("0.2.0"));

    feed.send(Ok(delta("after"))).await.unwrap();
    assert_eq!(piece(&mut response).await.unwrap(), delta("after"));
    assert_eq!(response.headers()["x-kt-config-version"], "0.1.0");
    drop(feed);
    assert!(piece(&mut response).await.is_none());
    drop(response);
    eventually("the old policy is let go", || gateway.live.retired_draining() == 0).await;
    let events = gateway.decisions().await;
    let versions: Vec<_> = events.iter().map(|event| event["config_version"].as_str().unwrap()).collect();
    assert_eq!(versions, ["0.2.0", "0.1.0"], "the stream's event is written at its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_swaps_under_load_fail_no_request_and_mix_no_version() {
    let provider = ScriptedProvider::start(|seen| {
        Box::pin(async move {
            if !seen.body.starts_with(b"{\"stream\":true") {
                return json_response(200, COMPLETION);
            }
            let (feed, pieces) = tokio::sync::mpsc::channel(4);
            for word in ["one", "two"] {
                feed.send(Ok(delta(word))).await.unwrap();
            }
            feed.send(Ok("data: [DONE]\n\n".into())).await.unwrap();
            event_stream(pieces)
        })
    })
    .await;
    let gateway = Arc::new(Gateway::start(&config("1.0.0", target(&provider.base_url))).await);
    let done = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let (gateway, done) = (Arc::clone(&gateway), Arc::clone(&done));
            test_watcher().spawn("worker", async move {
                let body = if worker % 2 == 0 { chat("hi") } else { streamed("hi") };
                let mut served = 0u32;
                while !done.load(Ordering::Acquire) {
                    let (head, content) = gateway.open(gateway.chat_request(body.clone())).await.into_parts();
                    let content = content.collect().await.expect("whole").to_bytes();
                    assert_eq!(head.status, 200, "{content:?}");
                    let whole = if worker % 2 == 0 {
                        content == COMPLETION
                    } else {
                        content.ends_with(b"data: [DONE]\n\n")
                    };
                    assert!(whole, "{content:?}");
                    assert_eq!(head.headers.get_all("x-kt-config-version").iter().count(), 1);
                    let version = head.headers["x-kt-config-version"].as_bytes();
                    let digest = ConfigDigest::of(version).to_string();
                    assert_eq!(head.headers["x-kt-config-digest"], digest, "version and digest of one pack");
                    served += 1;
                }
                served
            })
        })
        .collect();
    for number in 1..=200 {
        let version = format!("1.0.{number}");
        gateway.live.swap(active(&config(&version, target(&provider.base_url))));
        // The new pack answers the very next request.
        assert_eq!(gateway.get("/v1/models").await.header("x-kt-config-version"), Some(&*version));
    }
    done.store(true, Ordering::Release);
    let mut served = 0;
    for worker in workers {
        served += worker.await.unwrap();
    }
    assert!(served > 50, "only {served} requests were served during the swaps");
    eventually("every replaced policy is let go", || gateway.live.retired_draining() == 0).await;
}

/// The head of a request that is sent byte by byte, and its body.
fn written(text: &str) -> (String, String) {
    let body = chat(text);
    let length = body.len();
    (format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"), body)
}

/// Reads one answer with a body.
async fn answered(client: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = async {
        while !answer.ends_with(b"}") {
            assert!(client.read_buf(&mut answer).await.unwrap() > 0, "closed instead of answered");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("an answer");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_late_first_request_of_an_old_pack_takes_nothing_from_the_new_one() {
    let good = ScriptedProvider::fixed(200, COMPLETION).await;
    let bad = ScriptedProvider::fixed(500, "{}").await;
    let broken = |version: &str| {
        let mut pack = several(version, &[&bad.base_url]);
        let cooldown = Duration::from_secs(600);
        pack.providers.circuit_breaker = CircuitBreaker { failure_threshold: 1, cooldown };
        pack
    };
    let gateway = Gateway::start(&config("0.1.0", target(&good.base_url))).await;
    let mut late = TcpStream::connect(gateway.address).await.unwrap();
    let (head, body) = written("hi");
    late.write_all(head.as_bytes()).await.unwrap();
    eventually("it has its pack", || gateway.live.in_flight().values().sum::<usize>() == 1).await;

    gateway.live.swap(active(&broken("0.2.0")));
    assert_eq!(gateway.post(chat("hi")).await.status, 502);
    late.write_all(body.as_bytes()).await.unwrap();
    let answer = answered(&mut late).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-kt-config-version: 0.1.0"), "{answer}");

    gateway.live.swap(active(&broken("0.3.0")));
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(503, "unavailable", "targets_unavailable"));
    assert_eq!(bad.calls().len(), 1, "its breaker is open, also under the next pack");
}

#[tokio::test]
async fn connections_of_settings_that_no_pack_has_any_more_are_closed_by_every_worker() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let patient = |version: &str, seconds: u64| {
        let mut target = target(&provider.base_url);
        target.connect_timeout = Duration::from_secs(seconds);
        config(version, target)
    };
    let gateway = Gateway::start(&patient("0.0.1", 1)).await;
    // The worker with the fewest connections takes the next.
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(TcpStream::connect(gateway.address).await.unwrap());
        let (head, body) = written("hi");
        let client = clients.last_mut().unwrap();
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        answered(client).await;
    }
    let at_once = provider.open.load(Ordering::SeqCst);
    assert!(at_once >= 2, "each worker has connections of its own");
    for number in 2..6 {
        gateway.live.swap(active(&patient(&format!("0.0.{number}"), number)));
        for client in &mut clients {
            let (head, body) = written("hi");
            client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            answered(client).await;
        }
    }
    eventually("those of replaced packs are closed", || provider.open.load(Ordering::SeqCst) <= at_once)
        .await;
}
