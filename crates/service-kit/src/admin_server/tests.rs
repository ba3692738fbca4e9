//! The admin port over a real socket.

use super::*;
use crate::drain;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn start(routes: AdminRoutes) -> (std::net::SocketAddr, drain::DrainTrigger) {
    let (trigger, watcher) = drain::channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    watcher.spawn("admin server", serve(listener, routes, watcher.clone()));
    (address, trigger)
}

/// Status and body of one request; `Connection: close` bounds the read.
async fn ask(address: std::net::SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn readyz_lists_what_is_awaited_until_nothing_is() {
    let readiness = Readiness::new();
    let (store, policy) = (readiness.block("store"), readiness.block("policy"));
    let (address, _trigger) = start(AdminRoutes { readiness, metrics: None }).await;

    assert_eq!(ask(address, "GET", "/healthz").await, (200, "ok\n".into()));
    let (status, body) = ask(address, "GET", "/readyz").await;
    assert_eq!((status, body.as_str()), (503, "{\"ready\":false,\"waiting_on\":[\"policy\",\"store\"]}\n"));
    drop((store, policy));
    let (status, body) = ask(address, "GET", "/readyz").await;
    assert_eq!((status, body.as_str()), (200, "{\"ready\":true,\"waiting_on\":[]}\n"));
}

#[tokio::test]
async fn metrics_are_rendered_when_asked_for_and_unknown_things_are_refused() {
    let metrics: Arc<dyn Fn() -> String + Send + Sync> = Arc::new(|| "requests_total 3\n".to_owned());
    let (address, _trigger) =
        start(AdminRoutes { readiness: Readiness::new(), metrics: Some(metrics) }).await;
    assert_eq!(ask(address, "GET", "/metrics").await, (200, "requests_total 3\n".into()));
    assert_eq!(ask(address, "GET", "/metrics/..").await.0, 404);
    assert_eq!(ask(address, "POST", "/readyz").await.0, 405);

    let (address, _trigger) = start(AdminRoutes { readiness: Readiness::new(), metrics: None }).await;
    assert_eq!(ask(address, "GET", "/metrics").await.0, 404);
}

#[tokio::test]
async fn a_drain_closes_idle_connections_and_ends_the_server() {
    let (address, trigger) = start(AdminRoutes { readiness: Readiness::new(), metrics: None }).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut first = [0_u8; 15];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");

    trigger.start();
    trigger.drained(Duration::from_secs(10)).await.unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[test]
fn a_draining_program_is_not_ready() {
    let response = answer_ready(&Readiness::new(), true);
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
