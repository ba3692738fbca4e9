//! The policy changes under load: a request keeps the one it took, and none fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::BodyExt;
use policy_config::ConfigDigest;

use super::harness::{
    COMPLETION, Gateway, ScriptedProvider, active, chat, config, event_stream, eventually, json_response,
    target, test_watcher,
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
