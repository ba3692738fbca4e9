//! What a decision event tells beside the outcome: the trace, the generation, and where the time went.

use bytes::Bytes;
use fleet_core::version::Generation;
use http::Request;
use http_body_util::Full;
use serde_json::json;

use super::harness::{COMPLETION, Gateway, ScriptedProvider, active, chat, config, redacting, target};
use super::streaming::{delta, fed_provider, piece, streamed};
use crate::proxy::ProxySettings;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn traced(gateway: &Gateway, parent: &str, body: String) -> Request<Full<Bytes>> {
    let builder = gateway.request("POST", "/v1/chat/completions").header("traceparent", parent);
    builder.header("tracestate", "vendor=1").body(Full::from(body)).unwrap()
}

#[tokio::test]
async fn a_trace_is_carried_to_the_provider_and_into_the_event() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    for (told, carried) in [(&*parent, true), ("00-nonsense", false)] {
        assert_eq!(gateway.send(traced(&gateway, told, chat("hi"))).await.status, 200);
        let seen = provider.calls().pop().unwrap().headers;
        let passed = seen["traceparent"].to_str().unwrap();
        assert_eq!(passed.starts_with(&parent[..36]), carried, "{passed}");
        assert_ne!(passed, told);
        assert_eq!(seen.contains_key("tracestate"), carried);
    }
    assert_eq!(gateway.post(chat("hi")).await.status, 200);
    let own = provider.calls().pop().unwrap().headers["traceparent"].to_str().unwrap().to_owned();
    let events = gateway.decisions().await;
    assert_eq!(events[0]["trace_id"], TRACE);
    assert_eq!(events[2]["trace_id"], own[3..35], "one that the gateway began");
    assert_ne!(events[1]["trace_id"], events[2]["trace_id"]);
}

#[tokio::test]
async fn a_whole_answer_tells_what_was_asked_called_and_replaced() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&redacting("0.1.0", target(&provider.base_url)));
    policy.runs_for(Some(Generation(7)));
    let gateway = Gateway::with(Some(policy), ProxySettings::default()).await;
    assert_eq!(gateway.post(chat("write to bob@example.com and ann@example.com")).await.status, 200);
    assert_eq!(gateway.get("/nothing").await.status, 404);
    let [served, unknown] = &gateway.decisions().await[..] else { panic!("two events") };
    let told = ["attempts", "stream", "redactions", "generation"].map(|field| served[field].clone());
    assert_eq!(told, [json!(1), json!(false), json!(2), json!(7)], "{served}");
    assert!(served.get("usage").is_some(), "{served}");
    let time =
        |field: &str| served["latency"][field].as_f64().unwrap_or_else(|| panic!("{field} in {served}"));
    assert!(time("policy_in_ms") > 0.0 && time("policy_out_ms") > 0.0, "{served}");
    assert!((time("policy_ms") - time("policy_in_ms") - time("policy_out_ms")).abs() < 0.01, "{served}");
    assert!(time("upstream_ms") > 0.0 && time("first_byte_ms") > time("upstream_ms"), "{served}");
    assert!(time("total_ms") >= time("first_byte_ms"), "{served}");
    assert_eq!(served["latency"]["total_ms"], served["latency_ms"]);
    assert!(
        served["policies"].as_array().unwrap().iter().all(|policy| policy["took_us"].is_u64()),
        "{served}"
    );

    assert_eq!(unknown["attempts"], 0);
    for field in ["upstream_ms", "policy_ms"] {
        assert!(unknown["latency"][field].as_f64().is_none_or(|time| time == 0.0), "{unknown}");
    }
}

#[tokio::test]
async fn the_first_byte_of_a_stream_is_told_apart_from_its_last() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    feed.send(Ok(delta("one"))).await.unwrap();
    let begun = tokio::time::Instant::now();
    piece(&mut response).await.unwrap();
    // As long as a model thinks.
    tokio::time::sleep_until(begun + std::time::Duration::from_millis(60)).await;
    drop(feed);
    assert!(piece(&mut response).await.is_none());
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!(event["stream"], true);
    let time = |field: &str| event["latency"][field].as_f64().unwrap();
    assert!(time("total_ms") - time("first_byte_ms") > 50.0, "{event}");
}

#[tokio::test]
async fn an_empty_answer_is_a_complete_one() {
    let provider = ScriptedProvider::fixed(200, "").await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!((&event["status"], &event["ended"]), (&json!(200), &json!("complete")));
}
