//! The end: what is in flight is finished, what is idle is closed, nothing new is taken.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use service_kit::clock::Clock;
use service_kit::drain::{self, DrainWatcher};
use service_kit::readiness::Readiness;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::harness::{Gateway, config, target};
use super::streaming::{delta, fed_provider, piece, streamed};
use crate::activation::live::LivePolicy;
use crate::decisions::DecisionLog;
use crate::proxy::{BoundProxy, Proxy, ProxySettings};

#[tokio::test]
async fn a_stream_in_flight_is_finished_and_the_listener_is_gone() {
    let (provider, mut feeds) = fed_provider().await;
    let gateway = Gateway::start(&config("0.1.0", target(&provider.base_url))).await;
    let request = gateway.chat_request(streamed("hi"));
    let (mut response, feed) = tokio::join!(gateway.open(request), async { feeds.recv().await.unwrap() });
    feed.send(Ok(delta("before"))).await.unwrap();
    assert_eq!(piece(&mut response).await.unwrap(), delta("before"));

    gateway.trigger.start();
    let address = gateway.address;
    let mut refused = false;
    for _ in 0..200 {
        refused = TcpStream::connect(address).await.is_err();
        if refused {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused, "a draining gateway still listens");
    let busy = gateway.trigger.drained(Duration::from_millis(50)).await.unwrap_err();
    assert!(busy.held.iter().any(|(name, _)| *name == "client connection"), "{busy:?}");

    feed.send(Ok(delta("after"))).await.unwrap();
    assert_eq!(piece(&mut response).await.unwrap(), delta("after"));
    drop(feed);
    assert!(piece(&mut response).await.is_none());
    let [event] = &gateway.decisions().await[..] else { panic!("one event") };
    assert_eq!(event["ended"], "complete");
}

#[tokio::test]
async fn a_kept_alive_client_is_told_to_leave_and_not_reset() {
    let gateway = Gateway::start(&config("0.1.0", target("http://127.0.0.1:1"))).await;
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    let ask = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut first = [0u8; 12];
    stream.read_exact(&mut first).await.unwrap();
    gateway.trigger.start();
    stream.write_all(ask).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let second = text.split("HTTP/1.1 200").nth(1).unwrap_or_else(|| panic!("no second answer: {text}"));
    assert!(second.contains("connection: close"), "{text}");
    assert_eq!(gateway.decisions().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_a_shared_backlog_is_left_to_the_other_process() {
    let shared = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for other in [true, false] {
        let bound = BoundProxy::inherit(shared.try_clone().unwrap()).unwrap();
        bound.heir().is_there(other);
        let mut client = TcpStream::connect(bound.address()).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (trigger, drain) = drain::channel();
        trigger.start();
        bound.serve(proxy(dir.path(), &drain), drain.clone()).await;
        let left = shared.accept().is_ok();
        assert_eq!(left, other, "the socket is open, and whoever is alone serves whoever waits");
        if !other {
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            assert!(text.starts_with("HTTP/1.1 200") && text.contains("connection: close"), "{text}");
        }
        trigger.drained(Duration::from_secs(30)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_any_length_is_served_at_a_stop() {
    // More than the runtime lets a task accept in one go.
    const MANY: usize = 200;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let bound = BoundProxy::inherit(socket.listen(1024).unwrap().into_std().unwrap()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..MANY {
        let mut client = TcpStream::connect(bound.address()).await.unwrap();
        client.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        clients.push(client);
    }
    let dir = tempfile::tempdir().unwrap();
    let (trigger, drain) = drain::channel();
    trigger.start();
    bound.serve(proxy(dir.path(), &drain), drain.clone()).await;
    for (number, client) in clients.iter_mut().enumerate() {
        let mut text = String::new();
        let reading = client.read_to_string(&mut text);
        let read = tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer in time");
        assert!(read.is_ok() && text.starts_with("HTTP/1.1 200"), "client {number}: {read:?} {text}");
    }
    trigger.drained(Duration::from_secs(30)).await.unwrap();
}

fn proxy(dir: &Path, drain: &DrainWatcher) -> Arc<Proxy> {
    let decisions = DecisionLog::open(&dir.join("decisions.jsonl"), drain).unwrap();
    let settings = ProxySettings::default();
    Arc::new(Proxy::new(settings, LivePolicy::empty(), Readiness::new(), decisions, Clock::system()).unwrap())
}
