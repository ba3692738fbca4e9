//! Circuit breakers over real calls: who is left alone, for how long, and that packs do not change it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use policy_config::schema::{CircuitBreaker, PolicyConfig};
use tokio::sync::{mpsc, watch};

use super::harness::{
    Answer, COMPLETION, Gateway, ScriptedProvider, active, chat, eventually, json_response, refused, several,
    test_watcher,
};
use super::streaming::{Feed, delta, fed_provider, streamed};

type Feeds = mpsc::Receiver<Feed>;

const LONG: Duration = Duration::from_secs(600);

/// A provider that fails for as long as the flag says so, and answers nobody while the gate is shut.
async fn moody() -> (ScriptedProvider, Arc<AtomicBool>, watch::Sender<bool>) {
    let (fails, (gate, gated)) = (Arc::new(AtomicBool::new(true)), watch::channel(true));
    let mood = Arc::clone(&fails);
    let provider = ScriptedProvider::start(move |_| {
        let (mood, mut gated) = (Arc::clone(&mood), gated.clone());
        Box::pin(async move {
            gated.wait_for(|open| *open).await.unwrap();
            let status = if mood.load(Ordering::SeqCst) { 500 } else { 200 };
            json_response(status, COMPLETION)
        })
    })
    .await;
    (provider, fails, gate)
}

fn broken_after(pack: &mut PolicyConfig, failure_threshold: u32, cooldown: Duration) {
    pack.providers.circuit_breaker = CircuitBreaker { failure_threshold, cooldown };
}

fn unavailable(answer: &Answer) -> bool {
    answer.refusal() == refused(503, "unavailable", "targets_unavailable")
}

#[tokio::test]
async fn a_breaker_opens_lets_one_probe_through_and_closes() {
    let (provider, fails, gate) = moody().await;
    let mut pack = several("0.1.0", &[&provider.base_url]);
    broken_after(&mut pack, 2, Duration::from_millis(300));
    let gateway = Arc::new(Gateway::start(&pack).await);
    for _ in 0..2 {
        assert_eq!(gateway.post(chat("hi")).await.status, 502);
    }
    let answer = gateway.post(chat("hi")).await;
    assert!(unavailable(&answer), "{answer:?}");
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (Some("1"), None));
    assert_eq!(provider.calls().len(), 2, "an open breaker calls nobody");

    // The probe fails: another cooldown.
    while unavailable(&gateway.post(chat("hi")).await) {}
    assert_eq!(provider.calls().len(), 3);
    assert!(unavailable(&gateway.post(chat("hi")).await));

    // The next probe takes its time, and nobody passes beside it.
    fails.store(false, Ordering::SeqCst);
    gate.send(false).unwrap();
    let asking = Arc::clone(&gateway);
    let probe = test_watcher().spawn("probe", async move {
        loop {
            let answer = asking.post(chat("hi")).await;
            if !unavailable(&answer) {
                return answer;
            }
        }
    });
    eventually("the probe is with the provider", || provider.calls().len() == 4).await;
    for _ in 0..5 {
        assert!(unavailable(&gateway.post(chat("hi")).await));
    }
    assert_eq!(provider.calls().len(), 4, "one probe");
    gate.send(true).unwrap();
    assert_eq!(probe.await.unwrap().status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.post(chat("hi")).await.status, 200);
    }
}

#[tokio::test]
async fn a_probe_whose_client_left_is_free_again() {
    let (provider, fails, gate) = moody().await;
    let mut pack = several("0.1.0", &[&provider.base_url]);
    broken_after(&mut pack, 1, Duration::from_millis(50));
    let gateway = Gateway::start(&pack).await;
    assert_eq!(gateway.post(chat("hi")).await.status, 502);
    fails.store(false, Ordering::SeqCst);
    gate.send(false).unwrap();
    while provider.calls().len() < 2 {
        let leaving = gateway.post(chat("hi"));
        let _ = tokio::time::timeout(Duration::from_millis(60), leaving).await;
    }
    gate.send(true).unwrap();
    let healing = async { while gateway.post(chat("hi")).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(10), healing).await.expect("another probe is let through");
}

#[tokio::test]
async fn a_target_that_is_left_alone_is_passed_over_also_under_the_next_pack() {
    let (provider, fails, _gate) = moody().await;
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    let pack = |version: &str, first: &str| {
        let mut pack = several(version, &[first, &second.base_url]);
        broken_after(&mut pack, 1, LONG);
        pack
    };
    let gateway = Gateway::start(&pack("0.1.0", &provider.base_url)).await;
    for _ in 0..3 {
        assert_eq!(gateway.post(chat("hi")).await.status, 200);
    }
    assert_eq!((provider.calls().len(), second.calls().len()), (1, 3));

    fails.store(false, Ordering::SeqCst);
    gateway.live.swap(active(&pack("0.2.0", &provider.base_url)));
    assert_eq!(gateway.post(chat("hi")).await.header("x-kt-config-version"), Some("0.2.0"));
    assert_eq!((provider.calls().len(), second.calls().len()), (1, 4), "the breaker outlives the swap");

    // The same id at another place is another target.
    let elsewhere = ScriptedProvider::fixed(200, COMPLETION).await;
    gateway.live.swap(active(&pack("0.3.0", &elsewhere.base_url)));
    assert_eq!(gateway.post(chat("hi")).await.status, 200);
    assert_eq!((elsewhere.calls().len(), second.calls().len()), (1, 4));

    // What the last pack did not name was forgotten.
    gateway.live.swap(active(&pack("0.4.0", &provider.base_url)));
    assert_eq!(gateway.post(chat("hi")).await.status, 200);
    assert_eq!(provider.calls().len(), 2);
}

#[tokio::test]
async fn refusals_of_requests_and_rate_limits_open_no_breaker() {
    for status in [400, 404, 429, 401] {
        let provider = ScriptedProvider::start(move |_| {
            Box::pin(async move { json_response(status, r#"{"error":{"message":"no"}}"#) })
        })
        .await;
        let mut pack = several("0.1.0", &[&provider.base_url]);
        broken_after(&mut pack, 1, LONG);
        let gateway = Gateway::start(&pack).await;
        for _ in 0..3 {
            gateway.post(chat("hi")).await;
        }
        assert_eq!(provider.calls().len(), 3, "{status}");
    }
}

#[tokio::test]
async fn an_attempt_that_was_cut_short_says_nothing_of_its_target() {
    let hanging = ScriptedProvider::start(|_| Box::pin(std::future::pending())).await;
    let (slow, fails, gate) = moody().await;
    fails.store(false, Ordering::SeqCst);
    gate.send(false).unwrap();
    let mut pack = several("0.1.0", &[&hanging.base_url, &slow.base_url]);
    broken_after(&mut pack, 1, LONG);
    pack.providers.targets[0].timeout = Duration::from_millis(100);
    pack.providers.fallback.total_timeout = Some(Duration::from_millis(300));
    let gateway = Gateway::start(&pack).await;
    assert_eq!(gateway.post(chat("hi")).await.refusal(), refused(504, "upstream_error", "upstream_timeout"));
    gate.send(true).unwrap();
    assert_eq!(gateway.post(chat("hi")).await.status, 200, "the first is left alone, the second is not");
    assert_eq!((hanging.calls().len(), slow.calls().len()), (1, 2));
}

#[tokio::test]
async fn streams_that_break_after_their_head_open_the_breaker() {
    let (provider, mut feeds) = fed_provider().await;
    let mut pack = several("0.1.0", &[&provider.base_url]);
    broken_after(&mut pack, 2, LONG);
    let gateway = Gateway::start(&pack).await;
    let one = async |feeds: &mut Feeds, breaks: bool| {
        let request = gateway.chat_request(streamed("hi"));
        let (response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
        assert_eq!(response.status(), 200);
        let end = if breaks { Err(std::io::Error::other("cut")) } else { Ok("data: [DONE]\n\n".into()) };
        feed.send(Ok(delta("one"))).await.unwrap();
        feed.send(end).await.unwrap();
        drop(feed);
        response.into_body().collect().await.unwrap();
    };
    // One that ends well in between: they are not two in a row.
    for breaks in [true, false, true] {
        one(&mut feeds, breaks).await;
    }
    one(&mut feeds, true).await;
    assert!(unavailable(&gateway.post(streamed("hi")).await));
}
