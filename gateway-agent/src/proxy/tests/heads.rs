//! Request heads that two servers in a row may read differently, byte by byte: each is refused in so many words, and
//! nothing of it reaches a provider.

use super::harness::{COMPLETION, Gateway, ScriptedProvider, chat, config, target};
use super::wire::{exchange, is_whole_error};

async fn gateway() -> (Gateway, ScriptedProvider) {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    (Gateway::start(&config("0.1.0", target(&provider.base_url))).await, provider)
}

/// A request that would be served, but for these lines of its head.
fn post(lines: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n{body}")
}

#[tokio::test]
async fn the_length_of_a_body_is_said_once_and_in_one_way() {
    let (gateway, provider) = gateway().await;
    let sized = chat("hi");
    let length = sized.len();
    let chunked = format!("{length:x}\r\n{sized}\r\n0\r\n\r\n");
    for (lines, body) in [
        (format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"), &chunked),
        (format!("transfer-encoding: chunked\r\nContent-Length: {length}\r\n"), &chunked),
        ("transfer-encoding: gzip, chunked\r\n".to_owned(), &chunked),
        ("transfer-encoding: chunked, chunked\r\n".to_owned(), &chunked),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n".to_owned(), &chunked),
        ("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n".to_owned(), &chunked),
        ("transfer-encoding: identity\r\n".to_owned(), &chunked),
        ("transfer-encoding:\r\n".to_owned(), &chunked),
        (format!("content-length: {length}\r\ncontent-length: {length}\r\n"), &sized),
        (format!("content-length: {length}, {length}\r\n"), &sized),
        (format!("content-length: {length}\r\ncontent-length: 1\r\n"), &sized),
        (format!("content-length: +{length}\r\n"), &sized),
        ("content-length: 99999999999999999999\r\n".to_owned(), &sized),
        ("content-length:\r\n".to_owned(), &sized),
    ] {
        let answer = exchange(gateway.address, &post(&lines, body)).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines}{answer}");
        is_whole_error(&answer, "invalid_head");
    }
    assert!(provider.calls().is_empty());

    for (lines, body) in [
        (format!("Content-Length:{length}\r\n"), &sized),
        ("Transfer-Encoding: \tChunked \r\n".to_owned(), &chunked),
    ] {
        let answer = exchange(gateway.address, &post(&lines, body)).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{lines}{answer}");
    }
    assert_eq!(provider.calls().len(), 2);
}

#[tokio::test]
async fn a_head_that_is_no_head_is_told_what_is_wrong() {
    let (gateway, provider) = gateway().await;
    let with =
        |lines: &str| format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{lines}\r\n");
    for text in [
        with("a: b\r\n c\r\n"),
        with("a: b\r\n\tc\r\n"),
        with("a: b\rc\r\n"),
        with("a: b\0c\r\n"),
        with("a: b\x7fc\r\n"),
        with("a : b\r\n"),
        with(": b\r\n"),
        with("a\r\n"),
        with("a\0: b\r\n"),
        with("transfer-encoding : chunked\r\n"),
        "GET /v1/models HTTP/1.1\r\n folded: x\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/2.0\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/models http/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/models\r\nhost: x\r\n\r\n".to_owned(),
        "GET  /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/models HTTP/1.1 \r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/mo dels HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/mo\tdels HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /v1/<models> HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "G(T /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        " /v1/models HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "PRI * HTTP/1.1\r\nhost: x\r\na : b\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned(),
        "POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            .to_owned(),
        "\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
    ] {
        let answer = exchange(gateway.address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with('}'), "{text}{answer}");
        is_whole_error(&answer, "invalid_head");
    }
    assert!(provider.calls().is_empty());
    for text in [
        with("x-empty:\r\nx-tab: a\tb\r\nx-odd: \u{fc}\"{}\r\n!#$%&'*+-.^_`|~: 1\r\n"),
        "\r\n\r\nGET /v1/models?a[]={b}|c HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(),
        "GET http://x/v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\nwhat comes behind it\n"
            .to_owned(),
        "GET /v1/models HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let answer = exchange(gateway.address, &text).await;
        assert_eq!(answer.get(8..13), Some(" 200 "), "{text}{answer}");
    }
}

#[tokio::test]
async fn a_fragment_is_another_spelling_of_no_path() {
    let (gateway, provider) = gateway().await;
    let body = chat("hi");
    for target in ["/v1/chat/completions#x", "/v1/chat/completions#", "/v1/chat/completions?a=b#c"] {
        let text = format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(gateway.address, &text).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{target}: {answer}");
        is_whole_error(&answer, "not_found");
        assert!(answer.ends_with(&String::from_utf8(gateway.get("/nothing").await.body.to_vec()).unwrap()));
    }
    assert!(provider.calls().is_empty());
}

#[tokio::test]
async fn the_limit_of_a_head_counts_its_request_line() {
    let (gateway, _provider) = gateway().await;
    let of = |query: usize, header: usize| {
        format!(
            "GET /v1/models?{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {}\r\n\r\n",
            "q".repeat(query),
            "a".repeat(header)
        )
    };
    let (kib, rest) = (1024, of(0, 0).len());
    for (query, header, is_within) in [
        (32 * kib - rest, 0, true),
        (0, 32 * kib - rest, true),
        (32 * kib - rest + 1, 0, false),
        (0, 32 * kib - rest + 1, false),
        (20 * kib, 20 * kib, false),
        (40 * kib, 0, false),
        (100 * kib, 0, false),
        (0, 300 * kib, false),
    ] {
        let answer = exchange(gateway.address, &of(query, header)).await;
        assert_eq!(answer.starts_with("HTTP/1.1 200 "), is_within, "{query} {header}: {answer}");
        if !is_within {
            assert!(answer.starts_with("HTTP/1.1 431 "), "{query} {header}: {answer}");
            is_whole_error(&answer, "headers_too_large");
        }
    }
    let headers: String = (0..1000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let answer =
        exchange(gateway.address, &format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    is_whole_error(&answer, "headers_too_large");
}
