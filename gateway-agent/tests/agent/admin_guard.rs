//! The guarded routes on the data port: to anybody but a program of this host that knows the token they are not there.

use std::net::{Ipv4Addr, UdpSocket};

use bytes::Bytes;
use gateway_agent::settings::Source;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::admin::{Answer, House, Way};
use crate::support::{eventually, pack, settings, start};

/// A request as lines of its head, `{path}` to be filled in, and a body.
struct Knock {
    what: &'static str,
    method: &'static str,
    target: &'static str,
    head: Vec<String>,
    body: &'static str,
}

/// What differs between any two answers.
const EACH_ITS_OWN: [&str; 2] = ["x-kt-request-id", "date"];

fn bytes(knock: &Knock, path: &str) -> Vec<u8> {
    let target = knock.target.replace("{path}", path);
    let mut text = format!("{} {target} HTTP/1.1\r\nconnection: close\r\n", knock.method);
    for line in &knock.head {
        text += &format!("{line}\r\n");
    }
    if !knock.body.is_empty() {
        text += &format!("content-length: {}\r\n", knock.body.len());
    }
    format!("{text}\r\n{}", knock.body).into_bytes()
}

fn same(mut answer: Answer) -> Answer {
    answer.headers.retain(|(name, _)| !EACH_ITS_OWN.contains(&name.as_str()));
    answer
}

/// Knocks that each lack one thing or have one too many.
fn knocks(token: &str) -> Vec<Knock> {
    let auth = format!("authorization: Bearer {token}");
    let host = "host: localhost:41002".to_owned();
    let json = "content-type: application/json".to_owned();
    let right = vec![host.clone(), auth.clone(), json.clone()];
    let with = |line: &str| right.iter().cloned().chain([line.to_owned()]).collect::<Vec<_>>();
    let but = |left_out: &str, line: &str| {
        let kept = right.iter().filter(|kept| !kept.starts_with(left_out)).cloned();
        kept.chain([line.to_owned()]).filter(|line| !line.is_empty()).collect::<Vec<_>>()
    };
    let authorization = |value: &str| but("authorization", &format!("authorization: {value}"));
    let mut heads: Vec<(&'static str, Vec<String>)> = vec![
        ("no token", but("authorization", "")),
        ("an empty token", authorization("Bearer ")),
        ("no scheme", authorization(token)),
        ("another scheme", authorization(&format!("Basic {token}"))),
        ("half a token", authorization(&format!("Bearer {}", &token[..40]))),
        ("a longer token", authorization(&format!("Bearer {token}0"))),
        ("another token", authorization(&format!("Bearer kt_{}", "0".repeat(64)))),
        ("in capitals", authorization(&format!("Bearer {}", token.to_uppercase()))),
        ("two tokens", with(&auth)),
        ("two in one", authorization(&format!("Bearer {token}, Bearer {token}"))),
        ("as a key", but("authorization", &format!("x-api-key: {token}"))),
        ("as a cookie", but("authorization", &format!("cookie: token={token}"))),
        ("another host", but("host", "host: evil.com")),
        ("a rebound name", but("host", "host: localhost.evil.com:41002")),
        ("an address of the network", but("host", "host: 192.168.1.10:41002")),
        ("any address", but("host", "host: 0.0.0.0:41002")),
        ("an empty host", but("host", "host: ")),
        ("a mapped address", but("host", "host: [::ffff:127.0.0.1]:41002")),
        ("an origin", with("origin: http://evil.com")),
        ("its own origin", with("origin: http://localhost:41002")),
        ("no origin to speak of", with("origin: null")),
        ("another site", with("sec-fetch-site: cross-site")),
        ("the same site", with("sec-fetch-site: same-origin")),
        ("nobody's site", with("sec-fetch-site: none")),
        ("a mode", with("Sec-Fetch-Mode: no-cors")),
        ("a browser's hint", with("sec-ch-ua: \"x\"")),
        ("behind a proxy", with("x-forwarded-for: 127.0.0.1")),
        ("behind a named proxy", with("x-forwarded-host: localhost")),
        ("behind a proxy of the book", with("forwarded: for=127.0.0.1")),
        ("via a proxy", with("via: 1.1 proxy")),
        ("a real address", with("x-real-ip: 127.0.0.1")),
        ("a form", but("content-type", "content-type: application/x-www-form-urlencoded")),
        ("plain text", but("content-type", "content-type: text/plain")),
        ("text that says it is JSON", but("content-type", "content-type: text/plain; application/json")),
        ("like JSON", but("content-type", "content-type: application/json5")),
        ("no type", but("content-type", "")),
        ("two types", with("content-type: text/plain")),
        ("nothing at all", vec![host.clone()]),
    ];
    for (what, line) in [("no host", ""), ("two hosts", "host: localhost:41002")] {
        heads.push((what, if line.is_empty() { but("host", "") } else { with(line) }));
    }
    let body = r#"{"config_path":"policy.yaml"}"#;
    let post = |(what, head)| Knock { what, method: "POST", target: "{path}", head, body };
    let mut knocks: Vec<Knock> = heads.into_iter().map(post).collect();
    let target = |what, target| Knock { what, method: "POST", target, head: right.clone(), body };
    knocks.push(target("a query", "{path}?x=1"));
    knocks.push(target("an empty query", "{path}?"));
    knocks.push(target("an end", "{path}/"));
    knocks.push(target("two slashes", "/{path}"));
    knocks.push(target("a parameter", "{path};x"));
    knocks.push(target("an escape", "/%6b{path}"));
    knocks.push(target("a way round", "/v1/..{path}"));
    knocks.push(target("another authority", "http://evil.com{path}"));
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FROB"] {
        let head = vec![
            host.clone(),
            "origin: http://evil.com".to_owned(),
            "access-control-request-method: POST".to_owned(),
        ];
        knocks.push(Knock { what: "a preflight or a stranger", method, target: "{path}", head, body: "" });
    }
    knocks
}

#[tokio::test]
async fn whoever_may_not_know_meets_the_404_of_an_unknown_path() {
    let house = House::open().await;
    let paths = [
        "/keeptrusts/config",
        "/keeptrusts/config/reload",
        "/keeptrusts/config/revert",
        "/keeptrusts/config/unpin",
        "/keeptrusts/handover",
    ];
    let knocks = knocks(&house.token());
    house.write("policy.yaml", pack("0.2.0"));
    let mut events = 0;
    for (index, knock) in knocks.iter().enumerate() {
        let elsewhere = house.says(Way::Port, &bytes(knock, "/no/such/path")).await;
        let here = paths[index % paths.len()];
        let mut answers = vec![house.says(Way::Port, &bytes(knock, here)).await];
        if knock.what == "no token" {
            for path in paths {
                answers.push(house.says(Way::Port, &bytes(knock, path)).await);
            }
        }
        events += answers.len() + 1;
        // A head that is none is refused before anything is looked up, here as there.
        let status = if knock.what.ends_with("no host") || knock.what == "two hosts" { 400 } else { 404 };
        let status = if knock.what == "another authority" { 400 } else { status };
        for answer in answers {
            assert_eq!(answer.status, status, "{} {here}: {answer:?}", knock.what);
            assert_eq!(same(answer), same(elsewhere.clone()), "{} {} {here}", knock.what, knock.method);
        }
    }
    // The hand-over is not there for the token either.
    let answer = house.asks(Way::Port, "POST", "/keeptrusts/handover", "").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    events += 1;
    assert_eq!(house.runs().await.as_deref(), Some("0.1.0"), "nothing was done");

    // Who may know it leaves no event of traffic; each of the others left one like any unknown path.
    assert_eq!(house.reloads(Way::Port, "policy.yaml").await.status, 200);
    assert_eq!(house.asks(Way::Port, "GET", "/keeptrusts/config/reload", "").await.status, 405);
    let log = house.place.logs().join("decisions.jsonl");
    house.gateway.stop().await.unwrap();
    let told = std::fs::read_to_string(log).unwrap();
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), events);
    assert!(told.iter().all(|event| event["route"].is_null() && event["status"].as_u64() > Some(399)));
}

#[tokio::test]
async fn every_loopback_name_opens_and_so_does_http_2() {
    let house = House::open().await;
    let token = house.token();
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:41002", "[::1]", "[::1]:41002"] {
        let request = format!(
            "GET /keeptrusts/config HTTP/1.1\r\nHost: {host}\r\nAuthorization: bearer {token}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(house.says(Way::Port, request.as_bytes()).await.status, 200, "{host}");
    }
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let url = format!("http://{}/keeptrusts/config", house.gateway.address());
    for (credential, status) in [(format!("Bearer {token}"), 200), ("Bearer x".to_owned(), 404)] {
        let request = Request::get(&url).header("authorization", credential).body(Full::default()).unwrap();
        let answer = client.request(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.starts_with(br#"{"name":"edge-1""#), status == 200, "{body:?}");
    }
}

#[tokio::test]
async fn a_peer_from_elsewhere_is_nobody_whatever_it_says() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("policy.yaml"), pack("0.1.0")).unwrap();
    let mut settings = settings(home.path(), Source::File(home.path().join("policy.yaml")));
    settings.listen = "[::]:0".parse().unwrap();
    // A host without IPv6 has the other one.
    if std::net::TcpListener::bind(settings.listen).is_err() {
        settings.listen = "0.0.0.0:0".parse().unwrap();
    }
    let place = settings.place();
    let house = House { gateway: start(settings).await, place, home };
    let port = house.gateway.address().port();
    let ask = async |address: Ipv4Addr| {
        let mut stream = TcpStream::connect((address, port)).await.unwrap();
        stream.write_all(&house.request(Way::Port, "GET", "/keeptrusts/config", "")).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        Answer::parse(&said).status
    };
    // Also where IPv6 carries it as ::ffff:127.0.0.1.
    assert_eq!(ask(Ipv4Addr::LOCALHOST).await, 200);
    // Nothing is sent: it only asks which address of ours would be used. Without a network there is none to ask from.
    let ours = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    if let Ok(std::net::SocketAddr::V4(ours)) = ours
        && !ours.ip().is_loopback()
    {
        assert_eq!(ask(*ours.ip()).await, 404);
    }
}

#[tokio::test]
async fn the_token_is_its_gateways_own_and_of_its_start() {
    let (house, other) = (House::open().await, House::open().await);
    assert_ne!(house.token(), other.token());
    let request = other.request(Way::Port, "GET", "/keeptrusts/config", "");
    assert_eq!(house.says(Way::Port, &request).await.status, 404, "of another gateway");

    // A removed file closes nothing and opens nothing until the next start, which makes a new one.
    let (old, request) = (house.token(), house.request(Way::Port, "GET", "/keeptrusts/config", ""));
    std::fs::remove_file(house.place.admin_token()).unwrap();
    assert_eq!(house.says(Way::Port, &request).await.status, 200);
    let House { gateway, place, home } = house;
    gateway.stop().await.unwrap();
    let settings = settings(home.path(), Source::File(home.path().join("policy.yaml")));
    let house = House { gateway: start(settings).await, place, home };
    eventually("a new token", || if house.token() == old { Err(old.clone()) } else { Ok(()) }).await;
    assert_eq!(house.says(Way::Port, &request).await.status, 404, "the old one");
    assert_eq!(house.asks(Way::Port, "GET", "/keeptrusts/config", "").await.status, 200);
}
