//! What a push does to a data plane at work: providers come and go with it, limits stay.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use proto::v1;
use serde_json::{Value, json};
use tests::eventually::eventually;
use tests::fleet::{FLEET, Fleet, KEY, Provider};
use tests::http::{Answer, chat};
use tests::plane::PATIENCE;

/// A pack for these providers in this order, with a chain and its blocks.
fn pack(version: &str, providers: &[&Provider], chain: &str, blocks: &str) -> String {
    let target = |(at, provider): (usize, &&Provider)| {
        let url = &provider.url;
        format!(
            "    - {{id: target-{at}, provider: openai, model: \"*\", base_url: {url}, secret_key_ref: {{env: {KEY}}}}}\n"
        )
    };
    let targets: String = providers.iter().enumerate().map(target).collect();
    format!(
        "pack: {{name: local-dev, version: {version}, enabled: true}}\nproviders:\n  targets:\n{targets}policies:\n  \
         chain: [{chain}]\npolicy:\n{blocks}"
    )
}

async fn push(fleet: &Fleet, pack: &str) {
    let pushed = fleet.plane.push(FLEET, pack).await;
    fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
}

async fn events(fleet: &Fleet, count: usize) -> Vec<Value> {
    let log = fleet.home().join("gateways/edge-1/logs/decisions.jsonl");
    eventually("every request has its event", PATIENCE, async || {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if events.len() == count { Ok(events) } else { Err(events.len()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_gone_is_passed_over_until_a_push_takes_it_out() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let (first, second) = (Provider::start().await, Provider::start().await);
    push(&fleet, &pack("0.1.0", &[&first, &second], "audit-logger", "  audit-logger: {}\n")).await;
    let ask = async || fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
    assert_eq!(ask().await.status, StatusCode::OK);
    assert_eq!((first.received.count(), second.received.count()), (1, 0));

    first.end().await;
    assert_eq!(ask().await.status, StatusCode::OK, "the second one answers");
    push(&fleet, &pack("0.2.0", &[&second], "audit-logger", "  audit-logger: {}\n")).await;
    assert_eq!(ask().await.status, StatusCode::OK);
    assert_eq!(second.received.count(), 2);

    let told: Vec<Value> = events(&fleet, 3)
        .await
        .iter()
        .map(|event| {
            json!([
                event["config_version"],
                event["generation"],
                event["target"],
                event["attempts"],
                event["usage"]["output_tokens"]
            ])
        })
        .collect();
    let expected = [
        json!(["0.1.0", 1, "target-0", 1, 3]),
        json!(["0.1.0", 1, "target-1", 2, 3]),
        json!(["0.2.0", 2, "target-0", 1, 3]),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_used_of_a_limit_stays_used_over_a_push() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let limited = |version: &str, requests: u32| {
        let limits = format!(
            "  rate-limit:\n    limits:\n      - {{key: consumer, requests: {requests}, window: 1h}}\n  audit-logger: {{}}\n"
        );
        pack(version, &[&fleet.provider], "rate-limit, audit-logger", &limits)
    };
    let ask = async |consumer: &str| -> Answer {
        let request = Request::post(fleet.chat_url("edge-1"))
            .header("content-type", "application/json")
            .header("x-consumer", consumer)
            .body(Full::new(Bytes::from(chat("hello").to_string())))
            .unwrap();
        fleet.http.open(request).await.unwrap().whole().await.unwrap()
    };
    push(&fleet, &limited("0.1.0", 2)).await;
    for expected in [200, 200, 429] {
        assert_eq!(ask("team-a").await.status.as_u16(), expected);
    }
    push(&fleet, &limited("0.2.0", 3)).await;
    assert_eq!(ask("team-a").await.status, StatusCode::OK, "one more than before");
    let refused = ask("team-a").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.json().unwrap()["error"]["type"], "rate_limit");
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    assert_eq!(ask("team-b").await.status, StatusCode::OK, "somebody else has a counter of their own");
    let received = fleet.provider.received.all();
    assert_eq!(received.len(), 4, "what was refused went nowhere");
    assert!(received.iter().all(|request| !request.headers.contains_key("x-consumer")));
}
