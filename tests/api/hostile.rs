//! Peers that break the protocol: each is told what is wrong, harms nobody, and the server goes on.

use std::time::Duration;

use proto::v1;
use proto::v1::from_agent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use uuid::Uuid;

use tests::operator::{Bearer, pack, push_request};
use tests::plane::{PATIENCE, Plane};
use tests::scripted_agent::{Agent, hello};

async fn plane() -> (Plane, Bearer) {
    let plane = Plane::start_with(|timings| timings.hello = Duration::from_millis(300)).await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    (plane, credential)
}

#[tokio::test]
async fn a_stream_begins_with_one_good_hello() {
    let (plane, credential) = plane().await;
    let heartbeat = from_agent::Message::Heartbeat(v1::Heartbeat::default());
    let nameless = from_agent::Message::Hello(v1::Hello { boot_id: "me".into(), ..hello() });
    let cases = [
        (Some(heartbeat), Code::InvalidArgument),
        (Some(nameless), Code::InvalidArgument),
        (None, Code::DeadlineExceeded),
    ];
    for (first, expected) in cases {
        let mut agent = Agent::open(&plane, &credential, first.clone()).await;
        assert_eq!(agent.end().await, expected, "{first:?}");
    }
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    agent.say(from_agent::Message::Hello(hello())).await;
    assert_eq!(agent.end().await, Code::Aborted);
    plane.end().await;
}

#[tokio::test]
async fn forged_reports_change_nothing() {
    let (plane, credential) = plane().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    let forged = [
        v1::Offer { generation: offer.generation + 7, ..offer.clone() },
        v1::Offer { lineage: Uuid::new_v4().to_string(), ..offer.clone() },
        v1::Offer { digest: format!("sha256:{}", "0".repeat(64)), ..offer.clone() },
    ];
    for offer in forged {
        let report = v1::Report { active: None, offer_id: Uuid::new_v4().to_string(), ..agent.acked(&offer) };
        agent.report(report).await;
    }
    let counts = plane.rollout(&pushed.rollout.unwrap().id).await.counts.unwrap();
    assert_eq!((counts.pending, counts.total), (1, 1));
    agent.say(from_agent::Message::Report(v1::Report { offer_id: "x".into(), ..agent.acked(&offer) })).await;
    assert_eq!(agent.end().await, Code::InvalidArgument);
    plane.end().await;
}

#[tokio::test]
async fn too_large_is_told_as_such() {
    let (plane, credential) = plane().await;
    let huge = "x".repeat(600 * 1024);
    let refused = plane.configs().push_config(push_request("prod", &huge)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let big = "x".repeat(300 * 1024);
    let refused = plane.configs().push_config(push_request("prod", &big)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    agent.say(from_agent::Message::Heartbeat(v1::Heartbeat { session_id: huge, active: None })).await;
    assert_eq!(agent.end().await, Code::ResourceExhausted);
    plane.end().await;
}

#[tokio::test]
async fn garbage_on_the_port_is_closed_and_the_server_goes_on() {
    let (plane, _) = plane().await;
    let address = plane.url.strip_prefix("http://").unwrap().to_owned();
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", &[0xff; 4096]]
    {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        let _closed_or_reset = read.expect("the server closes it");
    }
    plane.create_fleet("still-there").await;
    plane.end().await;
}

#[tokio::test]
async fn another_authority_is_refused() {
    let (plane, _) = plane().await;
    let origin = "http://evil.example".parse().unwrap();
    let channel =
        tonic::transport::Endpoint::from_shared(plane.url.clone()).unwrap().origin(origin).connect_lazy();
    let mut fleets =
        v1::fleet_service_client::FleetServiceClient::with_interceptor(channel, plane.operator.clone());
    let refused = fleets.list_fleets(v1::ListFleetsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    plane.end().await;
}
