//! `--metrics-listen` as a scraper meets it: a real port, the text format, and what a request leaves in it.

use std::fs;

use gateway_agent::app::gateway::Gateway;
use gateway_agent::settings::Source;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{eventually, pack, pack_with, settings, start};

async fn ask(address: std::net::SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn scrape(gateway: &Gateway) -> String {
    let address = gateway.addresses().metrics.unwrap();
    let answer = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The value of one series.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_leaves_is_scraped_from_a_real_port() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("policy.yaml");
    let second = "    - {id: second, provider: openai-compatible, model: '*', base_url: 'http://127.0.0.1:9'}\n  \
                  circuit_breaker: {failure_threshold: 1}\n";
    fs::write(&path, pack_with("0.1.0", second)).unwrap();
    let mut settings = settings(home.path(), Source::File(path));
    settings.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let gateway = start(settings).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Nobody is where the pack's targets should be.
    let answer = ask(gateway.addresses().data, &request).await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let digest = gateway.policy().unwrap().digest.to_string();
    let counted = [
        "kt_gateway_requests_total{route=\"/v1/chat/completions\",status=\"502\",verdict=\"allow\"}"
            .to_owned(),
        "kt_gateway_policy_seconds_count{kind=\"prompt-injection\",phase=\"input\"}".to_owned(),
        "kt_gateway_inspection_seconds_count{phase=\"input\"}".to_owned(),
        "kt_gateway_request_seconds_count".to_owned(),
        "kt_gateway_first_byte_seconds_count".to_owned(),
        "kt_gateway_attempts_total{target=\"local\"}".to_owned(),
        "kt_gateway_attempts_total{target=\"second\"}".to_owned(),
        "kt_gateway_fallbacks_total{from=\"local\",trigger=\"server_error\"}".to_owned(),
        "kt_gateway_target_open{target=\"local\"}".to_owned(),
        "kt_gateway_target_open{target=\"second\"}".to_owned(),
        "kt_gateway_swaps_total".to_owned(),
        "kt_gateway_decisions_written_total".to_owned(),
        "kt_gateway_activations_total{result=\"active\",stage=\"\"}".to_owned(),
    ];
    let mut text = scrape(&gateway).await;
    for series in &counted {
        let missing = |text: &str| value(text, series).is_none_or(|value| value < 1.0);
        for _ in 0..500 {
            if !missing(&text) {
                break;
            }
            // The event is written, and the request counted, a moment after the answer.
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            text = scrape(&gateway).await;
        }
        assert!(!missing(&text), "{series} in {text}");
    }
    let in_flight = format!("kt_gateway_in_flight{{config_digest=\"{}\"}}", &digest[..19]);
    assert_eq!(value(&text, &in_flight), Some(0.0), "{text}");
    for series in [
        "kt_gateway_retired_policies",
        "kt_gateway_requests_in_flight",
        "kt_gateway_connections",
        "kt_gateway_decisions_dropped_total",
        "kt_gateway_rate_limited_total",
        "kt_gateway_crash_fallbacks_total",
        "kt_gateway_shed_total{reason=\"in_flight\"}",
        "kt_gateway_shed_total{reason=\"connections\"}",
        "kt_gateway_shed_total{reason=\"body_memory\"}",
    ] {
        assert!(value(&text, series).is_some(), "{series} in {text}");
    }
    // Another pack: the series of the first goes with its last request.
    let next = pack("0.2.0");
    fs::write(home.path().join("policy.yaml"), &next).unwrap();
    gateway.reload().await.unwrap().unwrap();
    eventually("swapped", || match gateway.policy().unwrap().digest.to_string() {
        now if now == digest => Err(now),
        _ => Ok(()),
    })
    .await;
    let text = scrape(&gateway).await;
    assert_eq!(value(&text, &in_flight), None, "{text}");
    assert_eq!(value(&text, "kt_gateway_target_open{target=\"second\"}"), None, "{text}");
    gateway.stop().await.unwrap();
}
