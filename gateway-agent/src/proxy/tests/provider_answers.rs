//! What providers do, and what a client is told.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use policy_config::schema::{PiiAction, PolicyMode, PolicySettings};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::harness::{
    COMPLETION, Gateway, PROVIDER_KEY, ScriptedProvider, active, chat, config, event_stream, eventually,
    json_response, redacting, refused, target,
};
use super::tls::TlsProvider;
use crate::proxy::ProxySettings;

#[tokio::test]
async fn what_concerns_the_request_is_passed_on_and_what_concerns_us_is_502() {
    const WORDS: &str = r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
    for (status, expected) in [
        (429, (429, "requests", "rate_limit_exceeded")),
        (400, (400, "requests", "rate_limit_exceeded")),
        (422, (422, "requests", "rate_limit_exceeded")),
        (404, (404, "requests", "rate_limit_exceeded")),
        (401, (502, "upstream_error", "upstream_key")),
        (403, (502, "upstream_error", "upstream_key")),
        (402, (502, "upstream_error", "upstream_status")),
        (409, (502, "upstream_error", "upstream_status")),
        (302, (502, "upstream_error", "upstream_status")),
        (500, (502, "upstream_error", "upstream_status")),
        (503, (502, "upstream_error", "upstream_status")),
    ] {
        let provider = ScriptedProvider::start(move |_| {
            Box::pin(async move {
                let mut response = json_response(status, WORDS);
                response.headers_mut().insert("retry-after", "7".parse().unwrap());
                response.headers_mut().insert("location", "http://127.0.0.1:1/".parse().unwrap());
                response
            })
        })
        .await;
        let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
        let answer = gateway.post(chat("hi")).await;
        let (to_client, kind, code) = expected;
        assert_eq!(answer.refusal(), refused(to_client, kind, code), "{status}");
        assert_eq!(answer.header("x-kt-config-version"), Some("0.1.0"));
        if to_client == 502 {
            let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(&status.to_string()) && message.contains("primary"), "{message}");
        }
        if matches!(status, 429 | 503) {
            assert_eq!(answer.header("retry-after"), Some("7"), "{status}");
        }
        assert_eq!(provider.calls().len(), 1, "no redirect and no retry");
    }
}

#[tokio::test]
async fn an_error_that_repeats_our_key_or_is_no_error_object_is_not_passed_on() {
    let echo = format!(r#"{{"error":{{"message":"bad {PROVIDER_KEY}"}}}}"#);
    for body in [&*echo.leak(), "<html>nginx</html>"] {
        let provider = ScriptedProvider::fixed(429, body).await;
        let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
        let answer = gateway.post(chat("hi")).await;
        assert_eq!(answer.refusal(), refused(429, "rate_limit", "upstream_rate_limit"));
        assert!(!String::from_utf8_lossy(&answer.body).contains(PROVIDER_KEY));
    }
}

#[tokio::test]
async fn an_error_that_quotes_the_model_passes_the_output_policies() {
    const QUOTES: &str = r#"{"error":{"message":"no call","code":"tool_use_failed","failed_generation":"write to jane@example.com"}}"#;
    let provider = ScriptedProvider::fixed(400, QUOTES).await;
    let mut config = redacting("0.1.0", target(&provider.base_url));
    let answer = Gateway::start(&config).await.post(chat("hi")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"]["failed_generation"], "write to [EMAIL]");

    for policy in &mut config.policies {
        if let PolicySettings::PiiDetector(pii) = policy {
            pii.action = PiiAction::Block;
        }
    }
    let answer = Gateway::start(&config).await.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(400, "upstream_error", "upstream_rejected"));
}

#[tokio::test]
async fn a_dead_slow_or_broken_provider_is_502_or_504() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let gateway = Gateway::start(&config("0.1.0", target(&address))).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_unreachable"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("127.0.0.1"), "{answer:?}");

    let hanging = ScriptedProvider::start(|_| Box::pin(std::future::pending())).await;
    let mut slow = target(&hanging.base_url);
    slow.timeout = Duration::from_millis(100);
    let gateway = Gateway::start(&config("0.1.0", slow)).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(504, "upstream_error", "upstream_timeout"));

    let cut = ScriptedProvider::start(|_| {
        Box::pin(async {
            let (sender, pieces) = mpsc::channel(2);
            sender.send(Ok("{\"id\":".into())).await.unwrap();
            sender.send(Err(std::io::Error::other("cut"))).await.unwrap();
            let mut response = event_stream(pieces);
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        })
    })
    .await;
    let gateway = Gateway::start(&config("0.1.0", target(&cut.base_url))).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_broken"));
}

#[tokio::test]
async fn a_shadowed_policy_lets_a_response_pass_that_it_cannot_read() {
    for kind in ["application/json", "text/event-stream"] {
        let provider = ScriptedProvider::start(move |_| {
            Box::pin(async move {
                let mut response = json_response(200, "\u{1f}\u{8b}\n\nnot what it was");
                response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
                response.headers_mut().insert("content-type", kind.parse().unwrap());
                response
            })
        })
        .await;
        let mut config = redacting("0.1.0", target(&provider.base_url));
        for policy in &mut config.policies {
            if let PolicySettings::PiiDetector(pii) = policy {
                pii.mode = PolicyMode::Shadow;
            }
        }
        let gateway = Gateway::start(&config).await;
        let answer = gateway.post(chat("hi")).await;
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{kind}");
        assert_eq!(answer.body, "\u{1f}\u{8b}\n\nnot what it was", "{kind}");
        let [event] = &gateway.decisions().await[..] else { panic!("one event") };
        assert_eq!((&event["verdict"], &event["ended"]), (&"allow".into(), &"complete".into()), "{event}");
        let shadowed: Vec<_> = event["policies"].as_array().unwrap().iter().collect();
        assert!(
            shadowed.iter().any(|policy| policy["phase"] == "output"
                && policy["mode"] == "shadow"
                && policy["reason_codes"] == serde_json::json!(["response.unreadable"])),
            "{kind}: {event}"
        );
    }
}

#[tokio::test]
async fn a_response_that_cannot_be_read_is_not_passed_on_where_a_policy_reads_it() {
    let provider = ScriptedProvider::start(|_| {
        Box::pin(async {
            let mut response = json_response(200, COMPLETION);
            response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
            response
        })
    })
    .await;
    let gateway = Gateway::start(&redacting("0.1.0", target(&provider.base_url))).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_uninspectable"));

    let large = ProxySettings { max_response: 16, ..ProxySettings::default() };
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let policy = active(&config("0.1.0", target(&provider.base_url)));
    let answer = Gateway::with(Some(policy), large).await.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_uninspectable"));
}

#[tokio::test]
async fn metadata_addresses_are_never_called_in_any_spelling() {
    for host in
        ["169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376"]
    {
        let gateway = Gateway::start(&config("0.1.0", target(&format!("http://{host}")))).await;
        let started = Instant::now();
        let answer = gateway.post(chat("hi")).await;
        assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_unreachable"), "{host}");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("metadata"), "{host}: {message}");
        assert!(started.elapsed() < Duration::from_secs(2), "{host}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_provider_call() {
    let (started, mut calls) = mpsc::channel::<mpsc::Sender<std::io::Result<bytes::Bytes>>>(4);
    let provider = ScriptedProvider::start(move |_| {
        let started = started.clone();
        Box::pin(async move {
            let (sender, pieces) = mpsc::channel(2);
            sender.send(Ok("data: 1\n\n".into())).await.unwrap();
            started.send(sender).await.unwrap();
            event_stream(pieces)
        })
    })
    .await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let mut response = gateway.open(gateway.chat_request(chat("hi"))).await;
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
    let to_provider_stream = calls.recv().await.unwrap();
    assert!(!to_provider_stream.is_closed());
    drop(response);
    eventually("the provider sees the hang-up", || to_provider_stream.is_closed()).await;
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!((&event["status"], &event["ended"]), (&200.into(), &"client_gone".into()));
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_recorded_too() {
    let provider = ScriptedProvider::start(|_| Box::pin(std::future::pending())).await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let body = chat("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, format!("{head}{body}").as_bytes()).await.unwrap();
    eventually("the provider is called", || provider.calls().len() == 1).await;
    drop(stream);
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!((&event["status"], &event["ended"]), (&499.into(), &"client_gone".into()));
}

#[tokio::test]
async fn a_provider_certificate_is_verified() {
    let (base_url, authority) = TlsProvider::start(&[b"h2", b"http/1.1"]).await.known();
    let trusting = ProxySettings { extra_roots: vec![authority], ..ProxySettings::default() };
    let gateway = Gateway::with(Some(active(&config("0.1.0", target(&base_url)))), trusting.clone()).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let stranger = Gateway::start(&config("0.1.0", target(&base_url))).await;
    let answer = stranger.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_tls"));

    let other_name = base_url.replace("localhost", "127.0.0.1");
    let gateway = Gateway::with(Some(active(&config("0.1.0", target(&other_name)))), trusting).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(502, "upstream_error", "upstream_tls"));
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("another name"), "{answer:?}");
}

#[tokio::test]
async fn a_provider_that_does_not_shake_hands_is_504_after_the_connect_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = target(&format!("https://localhost:{}", listener.local_addr().unwrap().port()));
    target.connect_timeout = Duration::from_millis(200);
    let gateway = Gateway::start(&config("0.1.0", target)).await;
    let answer = gateway.post(chat("hi")).await;
    assert_eq!(answer.refusal(), refused(504, "upstream_error", "upstream_timeout"));
    assert!(answer.message().contains("accept a connection"), "{answer:?}");
}

#[tokio::test]
async fn provider_connections_are_kept_and_a_closed_one_is_replaced() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let gateway = Gateway::start(&config("0.1.0", target(&base_url))).await;
    let (answered, mut answers) = mpsc::channel(1);
    // Two requests a connection, then the provider closes it without a word.
    let provider = async {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            for _ in 0..2 {
                let mut request = Vec::new();
                while !request.ends_with(br#""model":"m"}"#) {
                    assert!(
                        stream.read_buf(&mut request).await.unwrap() > 0,
                        "a kept connection was not used"
                    );
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}",
                    COMPLETION.len()
                );
                stream.write_all(format!("{head}\r\n\r\n{COMPLETION}").as_bytes()).await.unwrap();
                answered.send(()).await.unwrap();
            }
            stream.shutdown().await.unwrap();
            // The gateway has seen the end when it has closed its side.
            assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
            answered.send(()).await.unwrap();
        }
    };
    let client = async {
        for _ in 0..2 {
            for _ in 0..2 {
                assert_eq!(gateway.post(chat("hi")).await.status, 200);
                answers.recv().await.unwrap();
            }
            answers.recv().await.unwrap();
        }
    };
    tokio::join!(provider, client);
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_does_not_reach_the_client() {
    const WORDS: &str = r#"{"error":{"message":"no","type":"requests","code":"no"}}"#;
    let told: &'static str = COMPLETION.replace("hello", PROVIDER_KEY).leak();
    let hidden = COMPLETION.replace("hello", &"*".repeat(PROVIDER_KEY.len()));
    for (status, body, expected) in [(200, COMPLETION, COMPLETION), (400, WORDS, WORDS), (200, told, &hidden)]
    {
        let provider = ScriptedProvider::start(move |seen| {
            Box::pin(async move {
                let mut response = json_response(status, body);
                let key = seen.headers["authorization"].clone();
                response.headers_mut().insert("x-echo", key);
                response.headers_mut().append("x-many", "one".parse().unwrap());
                let within = format!("a=1;{PROVIDER_KEY};b=2");
                response.headers_mut().append("x-many", within.parse().unwrap());
                response
            })
        })
        .await;
        for config in
            [config("0.1.0", target(&provider.base_url)), redacting("0.1.0", target(&provider.base_url))]
        {
            let answer = Gateway::start(&config).await.post(chat("hi")).await;
            assert_eq!((answer.status.as_u16(), &*answer.body), (status, expected.as_bytes()));
            assert!(!format!("{:?}", answer.headers).contains(PROVIDER_KEY), "{:?}", answer.headers);
            assert_eq!(answer.header("x-many"), Some("one"), "the others of its name stay");
        }
    }
}

#[tokio::test]
async fn the_headers_of_a_stream_do_not_repeat_the_key() {
    let provider = ScriptedProvider::start(|seen| {
        Box::pin(async move {
            let (feed, pieces) = mpsc::channel(1);
            feed.send(Ok("data: [DONE]\n\n".into())).await.unwrap();
            let mut response = event_stream(pieces);
            response.headers_mut().insert("x-echo", seen.headers["authorization"].clone());
            response
        })
    })
    .await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let answer = gateway.post(super::streaming::streamed("hi")).await;
    assert_eq!((&*answer.body, answer.header("x-echo")), (&b"data: [DONE]\n\n"[..], None));
}
