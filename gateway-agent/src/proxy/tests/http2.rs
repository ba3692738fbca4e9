//! HTTP/2, frame by frame: clients that open a connection and do nothing with it, that take nothing, and a drain.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Gateway, active, config, eventually, target};
use super::streaming::{delta, fed_provider, streamed};
use super::wire::exchange;
use crate::proxy::{ProxySettings, ProxyTimeouts};

pub(super) const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
/// Of HEADERS: that is all of them. Of DATA and HEADERS: nothing follows.
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const SHORT: Duration = Duration::from_millis(300);

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `POST /v1/chat/completions`, as HPACK writes it without a table.
pub(super) fn request_head() -> Vec<u8> {
    head(0x83, "/v1/chat/completions")
}

fn head(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 1, b'x']);
    block
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A client that does what it is told and nothing more.
struct Client {
    socket: TcpStream,
    heard: Vec<u8>,
    /// Answers pings.
    is_alive: bool,
}

impl Client {
    /// With a window of that many bytes for each response.
    async fn connect(address: SocketAddr, window: u32) -> Self {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(OPENING).await.unwrap();
        let mut client = Self { socket, heard: Vec::new(), is_alive: true };
        client.window(window).await;
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.socket.write_all(&frame(kind, flags, stream, payload)).await.unwrap();
    }

    async fn window(&mut self, window: u32) {
        let mut setting = vec![0, 4];
        setting.extend(window.to_be_bytes());
        self.send(SETTINGS, 0, 0, &setting).await;
    }

    async fn post(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &request_head()).await;
        self.send(DATA, END_STREAM, stream, streamed("hi").as_bytes()).await;
    }

    /// The next frame; `None` at the end of the connection, however it comes.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((head, rest)) = self.heard.split_at_checked(9) {
                let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                if let Some(payload) = rest.get(..length) {
                    let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
                    let frame = Frame { kind: head[3], flags: head[4], stream, payload: payload.to_vec() };
                    self.heard.drain(..9 + length);
                    if frame.kind == PING && frame.flags & ACK == 0 && self.is_alive {
                        self.send(PING, ACK, 0, &frame.payload).await;
                    }
                    return Some(frame);
                }
            }
            let read = tokio::time::timeout(Duration::from_secs(10), self.socket.read_buf(&mut self.heard));
            match read.await.expect("the connection neither speaks nor ends") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Skips to a frame of this kind, and of this stream.
    async fn until(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection ended before");
            if (frame.kind, frame.stream) == (kind, stream) {
                return frame;
            }
        }
    }

    /// All that is sent until the connection ends.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}

/// The last stream that is served, and the reason.
fn goaway(frame: &Frame) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
    (number(0), number(4))
}

async fn gateway(base_url: &str, timeouts: ProxyTimeouts) -> Gateway {
    let policy = active(&config("0.1.0", target(base_url)));
    Gateway::with(Some(policy), ProxySettings { timeouts, ..ProxySettings::default() }).await
}

#[tokio::test]
async fn a_preface_that_does_not_end_is_closed_like_a_head() {
    let timeouts = ProxyTimeouts { header_read: Duration::from_millis(150), ..ProxyTimeouts::default() };
    let gateway = gateway("http://127.0.0.1:1", timeouts).await;
    for part in ["PRI", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
        let answer = exchange(gateway.address, part).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{part:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_ends_and_one_with_a_stream_stays() {
    let (provider, mut feeds) = fed_provider().await;
    let timeouts = ProxyTimeouts { idle: SHORT, write_stall: SHORT * 2, ..ProxyTimeouts::default() };
    let gateway = gateway(&provider.base_url, timeouts).await;
    let mut busy = Client::connect(gateway.address, 65_535).await;
    busy.post(1).await;
    let feed = feeds.recv().await.unwrap();
    busy.until(HEADERS, 1).await;

    let mut idle = Client::connect(gateway.address, 65_535).await;
    let frames = idle.rest().await;
    let told: Vec<_> = frames.iter().filter(|frame| frame.kind == GOAWAY).map(goaway).collect();
    assert_eq!(told, [(0x7fff_ffff, 0), (0, 0)], "{frames:?}");
    // It does not even answer the ping of the farewell.
    let mut dead = Client::connect(gateway.address, 65_535).await;
    dead.is_alive = false;
    let frames = dead.rest().await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");

    feed.send(Ok(delta("late"))).await.unwrap();
    assert_eq!(busy.until(DATA, 1).await.payload, delta("late"), "a stream that is silent is no rest");
    drop(feed);
    let frames = busy.rest().await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY && goaway(frame) == (1, 0)), "{frames:?}");
}

#[tokio::test]
async fn streams_that_their_client_does_not_take_are_reset_and_their_places_given_back() {
    const MANY: u32 = 8;
    let (provider, mut feeds) = fed_provider().await;
    let timeouts = ProxyTimeouts { write_stall: SHORT, ..ProxyTimeouts::default() };
    let gateway = gateway(&provider.base_url, timeouts).await;
    let free = gateway.places.available_permits();
    let mut client = Client::connect(gateway.address, 0).await;
    let streams = || (0..MANY).map(|number| number * 2 + 1);
    let mut fed = Vec::new();
    for stream in streams() {
        client.post(stream).await;
        let feed = feeds.recv().await.unwrap();
        feed.send(Ok(delta("one"))).await.unwrap();
        fed.push(feed);
    }
    // Of all these, the first takes what is there. Another response is whole.
    client.send(WINDOW_UPDATE, 0, 1, &60_000_u32.to_be_bytes()).await;
    let models = MANY * 2 + 1;
    client.send(HEADERS, END_HEADERS | END_STREAM, models, &head(0x82, "/v1/models")).await;
    let mut reset = Vec::new();
    while reset.len() < streams().count() {
        let frame = client.next().await.expect("the connection stays");
        if frame.kind == RST_STREAM {
            reset.push(frame.stream);
        }
    }
    reset.sort_unstable();
    assert_eq!(reset, (3..=models).step_by(2).collect::<Vec<_>>());
    eventually("their places are given back", || gateway.places.available_permits() == free - 1).await;
    let taken = fed.remove(0);
    eventually("their provider calls are ended", || fed.iter().all(tokio::sync::mpsc::Sender::is_closed))
        .await;

    taken.send(Ok(delta("two"))).await.unwrap();
    assert_eq!(client.until(DATA, 1).await.payload, delta("two"), "who takes is served");
    drop(taken);
    while client.until(DATA, 1).await.flags & END_STREAM == 0 {}
    drop(client);
    let events = gateway.decisions().await;
    let gone = events.iter().filter(|event| event["ended"] == "client_gone").count();
    assert_eq!(gone, fed.len(), "{events:?}");
}

#[tokio::test]
async fn a_drain_tells_http2_clients_at_once_and_cuts_nobody() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = gateway(&provider.base_url, ProxyTimeouts::default()).await;
    // Another process serves: idle HTTP/1 connections may stay for as long as they ever may.
    gateway.heir.is_there(true);
    let mut idle = Client::connect(gateway.address, 65_535).await;
    let mut busy = Client::connect(gateway.address, 65_535).await;
    busy.post(1).await;
    let first = feeds.recv().await.unwrap();
    busy.until(HEADERS, 1).await;
    idle.until(SETTINGS, 0).await;

    gateway.trigger.start();
    let frames = idle.rest().await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY), "{frames:?}");
    // A request that has crossed the farewell is served.
    busy.is_alive = false;
    assert_eq!(goaway(&busy.until(GOAWAY, 0).await), (0x7fff_ffff, 0));
    let ping = busy.until(PING, 0).await;
    busy.post(3).await;
    let second = feeds.recv().await.unwrap();
    busy.send(PING, ACK, 0, &ping.payload).await;
    assert_eq!(goaway(&busy.until(GOAWAY, 0).await), (3, 0));
    for (stream, feed) in [(1, first), (3, second)] {
        feed.send(Ok(delta("last"))).await.unwrap();
        assert_eq!(busy.until(DATA, stream).await.payload, delta("last"));
    }
    assert!(busy.rest().await.iter().all(|frame| frame.kind != RST_STREAM));
    let events = gateway.decisions().await;
    assert!(events.len() == 2 && events.iter().all(|event| event["ended"] == "complete"), "{events:?}");
}
