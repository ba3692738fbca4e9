//! Server-sent event streams: live, inspected, and honest about a provider that fails midway.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Mutex, mpsc};

use super::harness::{Gateway, ScriptedProvider, chat, config, event_stream, redacting, target};

/// What a provider says of its costs in a stream.
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n";

pub(super) type Feed = mpsc::Sender<std::io::Result<Bytes>>;

/// A provider each of whose calls hands the test the sending end of its stream.
pub(super) async fn fed_provider() -> (ScriptedProvider, mpsc::Receiver<Feed>) {
    let (calls, feeds) = mpsc::channel(64);
    let provider = ScriptedProvider::start(move |_| {
        let calls = calls.clone();
        Box::pin(async move {
            let (feed, pieces) = mpsc::channel(16);
            calls.send(feed).await.unwrap();
            event_stream(pieces)
        })
    })
    .await;
    (provider, feeds)
}

pub(super) fn streamed(text: &str) -> String {
    chat(text).replacen('{', r#"{"stream":true,"#, 1)
}

pub(super) fn delta(text: &str) -> Bytes {
    let chunk = serde_json::json!({
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    });
    Bytes::from(format!("data: {chunk}\n\n"))
}

pub(super) async fn piece(response: &mut Response<Incoming>) -> Option<Bytes> {
    let frame = tokio::time::timeout(Duration::from_secs(10), response.body_mut().frame()).await;
    frame.expect("a piece in time").map(|frame| frame.unwrap().into_data().unwrap())
}

async fn rest(response: Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn pieces_pass_as_they_come() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["x-kt-config-version"], "0.1.0");
    for word in ["one", "two", "three"] {
        // The next piece is sent only after the client has this one.
        feed.send(Ok(delta(word))).await.unwrap();
        assert_eq!(piece(&mut response).await.unwrap(), delta(word));
    }
    feed.send(Ok("data: [DONE]\n\n".into())).await.unwrap();
    drop(feed);
    assert_eq!(rest(response).await, "data: [DONE]\n\n");
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!((&event["verdict"], &event["ended"]), (&"allow".into(), &"complete".into()));
}

#[tokio::test]
async fn personal_data_that_is_split_over_pieces_is_redacted() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&redacting("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let feeding = async {
        let feed = feeds.recv().await.unwrap();
        for text in ["write to bob@exa", "mple.com", " today"] {
            feed.send(Ok(delta(text))).await.unwrap();
        }
        feed.send(Ok("data: [DONE]\n\n".into())).await.unwrap();
    };
    let (response, ()) = tokio::join!(gateway.open(request), feeding);
    let text = rest(response).await;
    assert!(!text.contains("bob") && text.contains("[EMAIL]"), "{text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!(event["verdict"], "redact");
}

#[tokio::test]
async fn a_text_that_is_held_for_long_is_looked_at_elsewhere_and_arrives_whole() {
    for end in ["data: [DONE]\n\n", ""] {
        let (provider, mut feeds) = fed_provider().await;
        let gateway = Gateway::start(&redacting("0.1.0", target(&provider.base_url))).await;
        let request = gateway.chat_request(streamed("hi"));
        let part = "words ".repeat(2000);
        let feeding = async {
            let feed = feeds.recv().await.unwrap();
            feed.send(Ok(delta("{\"to\":\"bob\\u0040example.com\",\"text\":\""))).await.unwrap();
            for _ in 0..10 {
                feed.send(Ok(delta(&part))).await.unwrap();
            }
            feed.send(Ok(delta("\"}"))).await.unwrap();
            feed.send(Ok(end.into())).await.unwrap();
        };
        let (response, ()) = tokio::join!(gateway.open(request), feeding);
        let text = rest(response).await;
        assert!(text.contains("[EMAIL]") && !text.contains("example.com"), "{} bytes", text.len());
        assert_eq!(text.matches("words ").count(), 20_000);
        assert!(text.ends_with(end));
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        assert_eq!((&event["verdict"], &event["ended"]), (&"redact".into(), &"complete".into()));
    }
}

#[tokio::test]
async fn prose_flows_while_it_is_redacted() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&redacting("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    for (said, given) in
        [("Hello wor", "Hello "), ("ld, write to bob@exa", "world, write to "), ("mple.com. Or", "[EMAIL]. ")]
    {
        // The next piece is sent only after the client has what can be told of this one.
        feed.send(Ok(delta(said))).await.unwrap();
        assert_eq!(piece(&mut response).await.unwrap(), delta(given));
    }
    feed.send(Ok("data: [DONE]\n\n".into())).await.unwrap();
    drop(feed);
    let text = rest(response).await;
    assert!(text.contains("\"content\":\"Or\"") && text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn a_provider_that_breaks_off_or_falls_silent_is_told_in_the_stream() {
    for breaks in [true, false] {
        let (provider, mut feeds) = fed_provider().await;
        let mut impatient = target(&provider.base_url);
        impatient.idle_timeout = Duration::from_millis(300);
        let gateway = Gateway::start(&config("0.1.0", impatient)).await;
        let request = gateway.chat_request(streamed("hi"));
        let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
        feed.send(Ok(delta("one"))).await.unwrap();
        assert_eq!(piece(&mut response).await.unwrap(), delta("one"));
        if breaks {
            feed.send(Err(std::io::Error::other("cut"))).await.unwrap();
        }
        let text = rest(response).await;
        let event = text.trim().strip_prefix("data: ").unwrap_or_else(|| panic!("{text}"));
        let error: serde_json::Value = serde_json::from_str(event).unwrap();
        let code = if breaks { "upstream_broken" } else { "upstream_timeout" };
        assert_eq!(
            (&error["error"]["type"], &error["error"]["code"]),
            (&"upstream_error".into(), &code.into())
        );
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        assert_eq!(event["ended"], "upstream_failed");
    }
}

#[tokio::test]
async fn many_streams_at_once_are_not_mixed() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Arc::new(Gateway::start(&config("0.1.0", target(&provider.base_url))).await);
    let fed = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&fed);
    let opened = async {
        let mut responses = Vec::new();
        for _ in 0..8 {
            let request = gateway.chat_request(streamed("hi"));
            let (response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
            keeping.lock().await.push(feed);
            responses.push(response);
        }
        responses
    };
    let mut responses = opened.await;
    for (number, feed) in fed.lock().await.iter().enumerate().rev() {
        feed.send(Ok(delta(&number.to_string()))).await.unwrap();
    }
    for (number, response) in responses.iter_mut().enumerate() {
        assert_eq!(piece(response).await.unwrap(), delta(&number.to_string()));
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up_and_its_provider_call_ended() {
    use crate::proxy::{ProxySettings, ProxyTimeouts};
    let (provider, mut feeds) = fed_provider().await;
    let timeouts = ProxyTimeouts { write_stall: Duration::from_millis(200), ..ProxyTimeouts::default() };
    let policy = super::harness::active(&config("0.1.0", target(&provider.base_url)));
    let gateway = Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await;
    let body = streamed("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}{body}").as_bytes()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    let large = delta(&"x".repeat(256 * 1024));
    let flooding = async { while feed.send(Ok(large.clone())).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), flooding).await.expect("the provider call is ended");
    drop(stream);
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!(event["ended"], "client_gone");
}

#[tokio::test]
async fn a_stream_ends_after_its_whole_time_also_where_the_provider_never_pauses() {
    use crate::proxy::{ProxySettings, ProxyTimeouts};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (provider, mut feeds) = fed_provider().await;
    let timeouts = ProxyTimeouts { stream_total: Duration::from_millis(300), ..ProxyTimeouts::default() };
    let policy = super::harness::active(&config("0.1.0", target(&provider.base_url)));
    let gateway = Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await;
    let body = streamed("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let feed = feeds.recv().await.unwrap();
    let large = delta(&"x".repeat(256 * 1024));
    let flooding = async { while feed.send(Ok(large.clone())).await.is_ok() {} };
    // Slower than the provider, so that there is always more to be had.
    let reading = async {
        let mut last = Vec::new();
        loop {
            let start = last.len().saturating_sub(1024);
            last.drain(..start);
            last.reserve(64 * 1024);
            match stream.read_buf(&mut last).await {
                Ok(0) | Err(_) => break,
                Ok(_) if last.ends_with(b"\r\n0\r\n\r\n") => break,
                Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
        String::from_utf8_lossy(&last).into_owned()
    };
    let both = async { tokio::join!(flooding, reading).1 };
    let end = tokio::time::timeout(Duration::from_secs(15), both).await.expect("the stream ends");
    assert!(end.contains("upstream_timeout") && end.contains("end its stream"), "{end}");
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!(event["ended"], "upstream_failed");
}

#[tokio::test]
async fn what_was_decided_over_a_stream_is_told_however_it_ended() {
    for (ending, ended) in
        [("breaks", "upstream_failed"), ("falls silent", "upstream_failed"), ("", "client_gone")]
    {
        let (provider, mut feeds) = fed_provider().await;
        let mut target = target(&provider.base_url);
        if ending == "falls silent" {
            target.idle_timeout = Duration::from_millis(300);
        }
        let gateway = Gateway::start(&redacting("0.1.0", target)).await;
        let request = gateway.chat_request(streamed("hi"));
        let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
        feed.send(Ok(USAGE.into())).await.unwrap();
        feed.send(Ok(delta("write to bob@example.com. Or"))).await.unwrap();
        let mut told = String::new();
        while !told.contains("[EMAIL]") {
            told.push_str(std::str::from_utf8(&piece(&mut response).await.unwrap()).unwrap());
        }
        if ending == "breaks" {
            feed.send(Err(std::io::Error::other("cut"))).await.unwrap();
        }
        if ending.is_empty() {
            drop(response);
            tokio::time::timeout(Duration::from_secs(10), feed.closed()).await.expect("the call is ended");
        } else {
            assert!(rest(response).await.contains("upstream_"), "{ending}");
        }
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        assert_eq!(event["ended"], ended, "{ending}");
        assert_eq!((&event["verdict"], &event["redactions"]), (&"redact".into(), &1.into()), "{event}");
        assert_eq!(event["usage"], serde_json::json!({"input_tokens": 3, "output_tokens": 5}), "{event}");
        let phases = event["policies"].as_array().unwrap().iter().map(|policy| &policy["phase"]);
        assert!(phases.clone().any(|phase| phase == "output"), "{event}");
    }
}
