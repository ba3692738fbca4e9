//! When a request goes to the next target, when it does not, and what is told when nobody is left.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use policy_config::schema::{Fallback, FallbackTrigger, PolicyConfig, RoutingStrategy};
use policy_engine::{Secret, Secrets};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::harness::{
    COMPLETION, FIRST_PIECE, Gateway, PROVIDER_KEY, ScriptedProvider, active_with, chat, event_stream,
    eventually, fed_provider, json_response, refused, several,
};
use super::tls::TlsProvider;
use crate::proxy::ProxySettings;

const WORDS: &str = r#"{"error":{"message":"no","type":"of_provider","code":"x"}}"#;

fn triggers(pack: &mut PolicyConfig, triggers: &[FallbackTrigger]) {
    pack.providers.fallback = Fallback { triggers: triggers.to_vec(), ..Fallback::default() };
}

/// What a provider that fails does.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answers(u16),
    Hangs,
    StopsInTheBody,
    BreaksOff,
    Refuses,
}

async fn failing(does: Does) -> ScriptedProvider {
    let cut_off = |broken: bool| async move {
        let (sender, pieces) = mpsc::channel(2);
        sender.send(Ok("{\"id\":".into())).await.unwrap();
        if broken {
            sender.send(Err(std::io::Error::other("cut"))).await.unwrap();
        } else {
            // held for ever
            std::mem::forget(sender);
        }
        let mut response = event_stream(pieces);
        response.headers_mut().insert("content-type", "application/json".parse().unwrap());
        response
    };
    match does {
        Does::Answers(status) => {
            ScriptedProvider::start(move |_| {
                Box::pin(async move {
                    let mut response = json_response(status, WORDS);
                    response.headers_mut().insert("retry-after", "7".parse().unwrap());
                    response
                })
            })
            .await
        }
        Does::Hangs => ScriptedProvider::start(|_| Box::pin(std::future::pending())).await,
        Does::StopsInTheBody => ScriptedProvider::start(move |_| Box::pin(cut_off(false))).await,
        Does::BreaksOff => ScriptedProvider::start(move |_| Box::pin(cut_off(true))).await,
        Does::Refuses => {
            let mut provider = ScriptedProvider::fixed(200, COMPLETION).await;
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            provider.base_url = format!("http://{}", gone.local_addr().unwrap());
            provider
        }
    }
}

#[tokio::test]
async fn each_trigger_leads_to_the_next_target_and_nothing_else_does() {
    use Does::{Answers, BreaksOff, Hangs, Refuses, StopsInTheBody};
    use FallbackTrigger::{RateLimit, ServerError, Timeout};
    let all = FallbackTrigger::ALL;
    let rows: [(Does, &[FallbackTrigger], u16, &str); 20] = [
        (Answers(429), &[RateLimit], 200, ""),
        (Answers(429), &[ServerError, Timeout], 429, "x"),
        (Answers(500), &[ServerError], 200, ""),
        (Answers(503), &[ServerError], 200, ""),
        (Answers(529), &[ServerError], 200, ""),
        (Answers(500), &[RateLimit, Timeout], 502, "upstream_status"),
        (Refuses, &[ServerError], 200, ""),
        (Refuses, &[RateLimit, Timeout], 502, "upstream_unreachable"),
        (BreaksOff, &[ServerError], 200, ""),
        (Hangs, &[Timeout], 200, ""),
        (Hangs, &[RateLimit, ServerError], 504, "upstream_timeout"),
        (StopsInTheBody, &[Timeout], 200, ""),
        (Answers(400), all, 400, "x"),
        (Answers(404), all, 404, "x"),
        (Answers(413), all, 413, "x"),
        (Answers(422), all, 422, "x"),
        (Answers(401), all, 502, "upstream_key"),
        (Answers(402), all, 502, "upstream_status"),
        (Answers(302), all, 502, "upstream_status"),
        (Answers(500), &[], 502, "upstream_status"),
    ];
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    for (does, named, status, code) in rows {
        let first = failing(does).await;
        let mut pack = several("0.1.0", &[&first.base_url, &second.base_url]);
        pack.providers.targets[0].timeout = Duration::from_millis(150);
        triggers(&mut pack, named);
        let before = second.calls().len();
        let gateway = Gateway::start(&pack).await;
        let answer = gateway.post(chat("hi")).await;
        assert_eq!(answer.status, status, "{does:?} {named:?}: {answer:?}");
        let went_on = status == 200;
        assert_eq!(second.calls().len() - before, usize::from(went_on), "{does:?} {named:?}");
        if went_on {
            assert_eq!(second.calls().last().unwrap().body, chat("hi"), "what was inspected is what is sent");
        } else {
            assert_eq!(answer.refusal().2, code, "{does:?} {named:?}");
        }
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        let target = if went_on { "t1" } else { "t0" };
        assert_eq!((&event["target"], &event["attempts"]), (&target.into(), &(1 + u8::from(went_on)).into()));
    }
}

#[tokio::test]
async fn when_all_fail_the_last_failure_is_the_answer_and_attempts_are_counted() {
    let mut providers = Vec::new();
    for status in [503, 500, 429, 503] {
        providers.push(failing(Does::Answers(status)).await);
    }
    let urls: Vec<&str> = providers.iter().map(|provider| provider.base_url.as_str()).collect();
    for (max_attempts, expected) in [
        (1, refused(502, "upstream_error", "upstream_status")),
        (3, refused(429, "of_provider", "x")),
        (5, refused(502, "upstream_error", "upstream_status")),
    ] {
        let before: usize = providers.iter().map(|provider| provider.calls().len()).sum();
        let mut pack = several("0.1.0", &urls);
        pack.providers.fallback.max_attempts = max_attempts;
        let gateway = Gateway::start(&pack).await;
        let answer = gateway.post(chat("hi")).await;
        assert_eq!((answer.refusal(), answer.header("retry-after")), (expected, Some("7")), "{max_attempts}");
        let after: usize = providers.iter().map(|provider| provider.calls().len()).sum();
        assert_eq!(after - before, usize::from(max_attempts).min(4));
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        assert_eq!(event["attempts"], max_attempts.min(4));
    }
}

#[tokio::test]
async fn all_attempts_together_have_a_time() {
    let hanging = failing(Does::Hangs).await;
    let mut pack = several("0.1.0", &[&hanging.base_url, &hanging.base_url, &hanging.base_url]);
    // The second would take 20 s by itself.
    pack.providers.targets[0].timeout = Duration::from_millis(100);
    pack.providers.fallback.total_timeout = Some(Duration::from_millis(300));
    let begun = std::time::Instant::now();
    let gateway = Gateway::start(&pack).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(504, "upstream_error", "upstream_timeout"));
    assert_eq!(hanging.calls().len(), 2);
    assert!(begun.elapsed() < Duration::from_secs(15), "the second ended with the time of all");
}

#[tokio::test]
async fn a_false_certificate_leads_nowhere() {
    let stranger = TlsProvider::start(&[b"http/1.1"]).await;
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    let mut pack = several("0.1.0", &[&stranger.base_url, &second.base_url]);
    pack.providers.circuit_breaker.failure_threshold = 1;
    let gateway = Gateway::start(&pack).await;
    for _ in 0..3 {
        let answer = gateway.post(chat("hi")).await;
        assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_tls"));
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    assert!(second.calls().is_empty(), "nor does it open the breaker, which would lead there as well");
}

#[tokio::test]
async fn a_stream_that_has_begun_stays_with_its_target() {
    let (first, mut feeds) = fed_provider().await;
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    let gateway = Gateway::start(&several("0.1.0", &[&first.base_url, &second.base_url])).await;
    let request = gateway.chat_request(chat("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), FIRST_PIECE);
    feed.send(Err(std::io::Error::other("cut"))).await.unwrap();
    let rest = response.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).contains("upstream_broken"), "{rest:?}");
    assert!(second.calls().is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_call_and_nobody_else_is_asked() {
    let held = Arc::new(());
    let of_provider = Arc::clone(&held);
    let hanging = ScriptedProvider::start(move |_| {
        let of_call = Arc::clone(&of_provider);
        Box::pin(async move {
            let _held = of_call;
            std::future::pending().await
        })
    })
    .await;
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    let gateway = Gateway::start(&several("0.1.0", &[&hanging.base_url, &second.base_url])).await;
    let body = chat("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}{body}").as_bytes()).await.unwrap();
    eventually("the provider is called", || Arc::strong_count(&held) == 3).await;
    drop(stream);
    eventually("the call is ended", || Arc::strong_count(&held) == 2).await;
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!((&event["status"], &event["ended"]), (&499.into(), &"client_gone".into()));
    assert!(second.calls().is_empty());
}

#[tokio::test]
async fn strategies_spread_requests_and_targets_that_are_down_are_passed_over() {
    let mut providers = Vec::new();
    for _ in 0..3 {
        providers.push(ScriptedProvider::fixed(200, COMPLETION).await);
    }
    let urls: Vec<&str> = providers.iter().map(|provider| provider.base_url.as_str()).collect();
    let mut pack = several("0.1.0", &urls);
    pack.providers.targets[2].weight = 1000;
    for (strategy, expected) in [
        (RoutingStrategy::Ordered, [0, 6, 0]),
        (RoutingStrategy::RoundRobin, [0, 3, 3]),
        (RoutingStrategy::Weighted, [0, 0, 6]),
    ] {
        pack.providers.routing = strategy;
        // The first has no key on this host.
        let mut secrets = Secrets::new();
        for target in &pack.providers.targets[1..] {
            secrets.insert(target.id.clone(), Secret::new(PROVIDER_KEY.to_owned()));
        }
        let gateway = Gateway::with(Some(active_with(&pack, secrets)), ProxySettings::default()).await;
        let before: Vec<usize> = providers.iter().map(|provider| provider.calls().len()).collect();
        for _ in 0..6 {
            assert_eq!(gateway.post(chat("hi")).await.status, 200);
        }
        let calls: Vec<usize> =
            providers.iter().zip(before).map(|(provider, before)| provider.calls().len() - before).collect();
        if strategy == RoutingStrategy::Weighted {
            // 1 in 1001 goes to the other.
            assert!(calls[0] == 0 && calls[2] >= 4, "{calls:?}");
        } else {
            assert_eq!(calls, expected, "{strategy:?}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_double_the_load_of_the_next() {
    const REQUESTS: usize = 250;
    let first = failing(Does::Answers(500)).await;
    let second = ScriptedProvider::fixed(200, COMPLETION).await;
    let mut pack = several("0.1.0", &[&first.base_url, &second.base_url]);
    pack.providers.circuit_breaker.failure_threshold = 1000;
    let gateway = Gateway::start(&pack).await;
    let begun = std::time::Instant::now();
    let mut failed = 0;
    for _ in 0..REQUESTS {
        failed += usize::from(gateway.post(chat("hi")).await.status == 502);
    }
    let allowed = 100 + REQUESTS / 5 + begun.elapsed().as_millis() as usize / 100 + 1;
    let again = second.calls().len();
    assert_eq!(again + failed, REQUESTS);
    assert!((100..=allowed).contains(&again), "{again} of {allowed}");
}

#[tokio::test]
async fn a_whole_response_that_falls_silent_is_given_up_before_its_time() {
    let silent = failing(Does::StopsInTheBody).await;
    let mut pack = several("0.1.0", &[&silent.base_url]);
    pack.providers.targets[0].idle_timeout = Duration::from_millis(100);
    let answer = Gateway::start(&pack).await.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(504, "upstream_error", "upstream_timeout"));
    assert!(answer.message().contains("go on with its response"), "{answer:?}");

    let hanging = failing(Does::Hangs).await;
    let mut pack = several("0.1.0", &[&hanging.base_url]);
    pack.providers.targets[0].first_byte_timeout = Duration::from_millis(100);
    let gateway = Gateway::start(&pack).await;
    let mut response = gateway.open(gateway.chat_request(chat("hi"))).await;
    assert_eq!(response.status(), 504);
    let body = response.body_mut().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("did not answer in time"), "{body:?}");
}
