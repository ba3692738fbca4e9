//! Too many: connections, clients that leave at once, and HTTP/2 that asks for work it does not want.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{COMPLETION, Gateway, ScriptedProvider, active, chat, config, eventually, target};
use super::http2::{CONTINUATION, HEADERS, OPENING, RST_STREAM, SETTINGS, frame, request_head};
use super::streaming::{delta, fed_provider, streamed};
use super::wire::{alone, exchange, is_whole_error};
use crate::proxy::ProxySettings;

const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

async fn answered(stream: &mut TcpStream) {
    stream.write_all(HEALTH).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "closed instead of answered");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_connection_too_many_is_told_so_and_a_seat_that_is_free_is_given_again() {
    let policy = active(&config("0.1.0", target("http://127.0.0.1:1")));
    let settings = ProxySettings { max_connections: 2, ..ProxySettings::default() };
    let gateway = Gateway::with(Some(policy), settings).await;
    let mut held = [
        TcpStream::connect(gateway.address).await.unwrap(),
        TcpStream::connect(gateway.address).await.unwrap(),
    ];
    for stream in &mut held {
        answered(stream).await;
    }
    // With a body on the way: what is not read would reset the connection, and the answer with it.
    let body = chat(&"hi ".repeat(20_000));
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    for _ in 0..20 {
        let answer = exchange(gateway.address, &format!("{head}{body}")).await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");
        is_whole_error(&answer, "overloaded");
    }
    for stream in &mut held {
        answered(stream).await;
    }
    drop(held);
    let mut served = false;
    for _ in 0..1000 {
        let text = std::str::from_utf8(HEALTH).unwrap().replace("host", "connection: close\r\nhost");
        served = exchange(gateway.address, &text).await.starts_with("HTTP/1.1 200 ");
        if served {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(served, "the seats of those that left are given again");
}

async fn crowd_leaves() {
    const CROWD: usize = 1000;
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&config("1.0.0", target(&provider.base_url))).await;
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // With the workers awake, and the connection of this client there.
    assert_eq!(gateway.get("/v1/models").await.status, 200);
    let before = descriptors();
    let body = streamed("hi");
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    let (mut clients, mut fed) = (Vec::new(), Vec::new());
    for _ in 0..CROWD {
        let mut client = TcpStream::connect(gateway.address).await.unwrap();
        client.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let feed = feeds.recv().await.unwrap();
        feed.send(Ok(delta("one"))).await.unwrap();
        clients.push(client);
        fed.push(feed);
    }
    for client in &mut clients {
        assert!(client.read(&mut [0; 16]).await.unwrap() > 0, "its stream has begun");
    }
    assert_eq!(gateway.live.in_flight().values().sum::<usize>(), CROWD);
    gateway.live.swap(active(&config("2.0.0", target(&provider.base_url))));
    assert_eq!(gateway.live.retired_draining(), 1);
    drop(clients);
    eventually("every provider call is ended", || fed.iter().all(tokio::sync::mpsc::Sender::is_closed)).await;
    eventually("the old pack is let go", || gateway.live.retired_draining() == 0).await;
    assert_eq!(gateway.live.in_flight().values().sum::<usize>(), 0);
    assert_eq!(gateway.get("/v1/models").await.header("x-kt-config-version"), Some("2.0.0"));
    eventually("every descriptor is given back", || descriptors() <= before).await;
    let events = gateway.decisions().await;
    let gone =
        events.iter().filter(|event| event["ended"] == "client_gone" && event["config_version"] == "1.0.0");
    assert_eq!(gone.count(), CROWD);
}

#[test]
fn a_thousand_clients_that_leave_at_once_during_a_swap_leave_nothing_behind() {
    alone(
        "proxy::tests::limits::a_thousand_clients_that_leave_at_once_during_a_swap_leave_nothing_behind",
        4096,
        crowd_leaves,
    );
}

// === HTTP/2, frame by frame ===

/// Sends frames until the gateway has had enough; how many it took.
async fn until_closed(address: SocketAddr, mut next: impl FnMut(u32) -> Vec<u8>, most: u32) -> u32 {
    let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    writer.write_all(OPENING).await.unwrap();
    writer.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let sent = async {
        for number in 0..most {
            if writer.write_all(&next(number)).await.is_err() {
                return number;
            }
        }
        most
    };
    let mut heard = Vec::new();
    let ended = async {
        // A reset is an end as well.
        let _ = reader.read_to_end(&mut heard).await;
    };
    let both = async { tokio::join!(sent, ended).0 };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("the gateway ends the connection")
}

#[tokio::test]
async fn an_http2_flood_ends_its_connection_and_nobody_elses() {
    let provider = ScriptedProvider::fixed(200, COMPLETION).await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let mut other = TcpStream::connect(gateway.address).await.unwrap();
    answered(&mut other).await;
    let resets = |number: u32| {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, 0x4, stream, &request_head());
        bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        bytes
    };
    const MANY: u32 = 1_000_000;
    assert!(until_closed(gateway.address, resets, MANY).await < MANY);
    let filler = vec![0; 16 * 1024];
    let continues = |number: u32| match number {
        0 => frame(HEADERS, 0, 1, &request_head()),
        _ => frame(CONTINUATION, 0, 1, &filler),
    };
    assert!(until_closed(gateway.address, continues, 10_000).await < 10_000);
    answered(&mut other).await;
    assert_eq!(gateway.post(chat("hi")).await.status, 200);
    eventually("nothing of it is in flight", || gateway.live.in_flight().values().sum::<usize>() == 0).await;
}
