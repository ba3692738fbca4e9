//! Agents that break the protocol on their stream: each is told a reason, changes nothing that is not its own, and
//! costs nobody else.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use proto::v1;
use proto::v1::delivery_service_client::DeliveryServiceClient;
use proto::v1::from_agent::Message;
use proto::v1::to_agent;
use service_kit::drain;
use tests::operator::{Bearer, pack, push_request};
use tests::plane::Plane;
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::raw::{DATA, END_HEADERS, HEADERS, INITIAL_WINDOW, Raw, call, frame, message};
use crate::session::ends_in;
use crate::witness::Witness;
use tests::scripted_agent::{Agent, held, hello, next_counter};

async fn fleet_of_one() -> (Plane, Bearer) {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    (plane, credential)
}

#[tokio::test]
async fn an_answer_that_was_given_is_not_taken_back() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    agent.ack(&offer).await;
    let id = pushed.rollout.unwrap().id;
    ends_in(&plane, &id, v1::RolloutState::Succeeded).await;
    agent.report(agent.nacked(&offer, v1::Stage::Lint, Some(held(&offer)))).await;
    let counts = plane.rollout(&id).await.counts.unwrap();
    assert_eq!((counts.proven, counts.rejected), (1, 0));
    agent.hears_nothing().await;
    plane.end().await;
}

#[tokio::test]
async fn a_refusal_says_why_and_its_text_is_cut_and_inert() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    let refusal = v1::Refusal {
        stage: v1::Stage::Lint.into(),
        reason: format!("\u{1b}[31m<script>\r\n{}", "x".repeat(200 * 1024)),
        // More than a list may have, each of the two bytes that one needs at least.
        findings: vec![v1::Finding::default(); 10_000],
    };
    let nack = |refusal, agent: &Agent, offer: &v1::Offer| v1::Report {
        outcome: Some(v1::report::Outcome::Nack(refusal)),
        active: None,
        ..agent.acked(offer)
    };
    let silent = v1::Refusal { stage: v1::Stage::Lint.into(), ..Default::default() };
    agent.say(Message::Report(nack(silent, &agent, &offer))).await;
    let status = agent.end_status().await.unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "refusal.reason");
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let offer = agent.offered().await.offer;
    agent.report(nack(refusal, &agent, &offer)).await;
    let rollout = ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    let told = rollout.rejections[0].refusal.clone().unwrap();
    assert!(told.reason.len() <= 512 && !told.reason.chars().any(char::is_control), "{told:?}");
    assert!(told.findings.len() <= 32);
    plane.end().await;
}

#[tokio::test]
async fn messages_that_are_too_large_or_cannot_be_read_are_told_as_such() {
    let (plane, credential) = fleet_of_one().await;
    let huge = v1::Refusal { reason: "x".repeat(10 * 1024 * 1024), ..Default::default() };
    let many = v1::Refusal { findings: vec![v1::Finding::default(); 150_000], ..Default::default() };
    let labels = (0..50_000).map(|number| (number.to_string(), String::new())).collect();
    let nack = |refusal| {
        Message::Report(v1::Report {
            outcome: Some(v1::report::Outcome::Nack(refusal)),
            ..Default::default()
        })
    };
    let cases = [
        (nack(huge), Code::ResourceExhausted),
        (nack(many), Code::ResourceExhausted),
        (Message::Hello(v1::Hello { labels, ..hello() }), Code::ResourceExhausted),
        (Message::Report(v1::Report::default()), Code::InvalidArgument),
    ];
    for (number, (said, expected)) in cases.into_iter().enumerate() {
        let mut agent = Agent::attach(&plane, &credential, hello()).await;
        agent.say(said).await;
        assert_eq!(agent.end().await, expected, "{number}");
    }
    plane.end().await;
}

/// Bytes that are no message: the frame of gRPC with something else in it.
#[tokio::test]
async fn bytes_that_are_no_message_are_refused_cleanly() {
    let (plane, credential) = fleet_of_one().await;
    // A hello in a report in a report …: ten thousand deep, each length right.
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(nested.len() as u64, &mut outer);
        outer.extend(nested);
        nested = outer;
    }
    let group = vec![0x0b; 10_000];
    let mut compressed = message(&[0x1f, 0x8b, 8, 0]);
    compressed[0] = 1;
    let mut endless = message(&[]);
    endless[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    let million = [0x1a, 0].repeat(1_000_000);
    let scripts = [
        message(&nested),
        message(&group),
        message(&million),
        message(&[0xff; 64]),
        compressed,
        endless,
        vec![9; 64],
    ];
    for (number, script) in scripts.into_iter().enumerate() {
        let status = said_by_hand(&plane.url, &credential, script.into()).await;
        let fair = [Code::InvalidArgument, Code::ResourceExhausted, Code::Unimplemented];
        assert!(fair.contains(&status.code()), "{number}: {status:?}");
        assert!(
            status.get_details_error_info().is_some_and(|info| !info.reason.is_empty()),
            "{number}: {status:?}"
        );
    }
    Witness::attach(&plane).await.is_served().await;
    plane.end().await;
}

#[tokio::test]
async fn a_stream_speaks_for_its_credential_only() {
    let (plane, credential) = fleet_of_one().await;
    plane.create_fleet("evil").await;
    let evil = plane.enroll("evil", "edge-1").await;
    let first = hello();
    let mut victim = Agent::attach(&plane, &credential, first.clone()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = victim.offered().await.offer;
    // It knows all of the other's hello and offer, and says them as if they were its own.
    let later = v1::Hello { session_counter: first.session_counter + 1, ..first };
    let mut thief = Agent::attach(&plane, &evil, later).await;
    assert_eq!(thief.welcome.gateway, "evil/edge-1");
    thief.report(thief.nacked(&offer, v1::Stage::Lint, None)).await;
    thief.report(thief.acked(&offer)).await;
    let counts = plane.rollout(&pushed.rollout.clone().unwrap().id).await.counts.unwrap();
    assert_eq!((counts.pending, counts.rejected, counts.total), (1, 0, 1));
    victim.ack(&offer).await;
    ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    plane.end().await;
}

#[tokio::test]
async fn a_stream_that_talks_too_much_is_ended_and_nobody_waits_for_it() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let mut witness = Witness::attach(&plane).await;
    let beat =
        || Message::Heartbeat(v1::Heartbeat { session_id: agent.welcome.session_id.clone(), active: None });
    let flood = async {
        for _ in 0..100_000 {
            if !agent.try_say(beat()).await {
                return;
            }
        }
    };
    tokio::join!(flood, witness.is_served());
    let status = agent.end_status().await.expect("a reason");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "too_many_messages");
    assert!(status.get_details_retry_info().is_some());
    plane.end().await;
}

#[tokio::test]
async fn an_agent_that_comes_again_and_again_is_slowed_down_alone() {
    let (plane, credential) = fleet_of_one().await;
    let mut witness = Witness::attach(&plane).await;
    let mut client = DeliveryServiceClient::with_interceptor(plane.channel(), credential);
    let mut refused = None;
    for _ in 0..200 {
        match client.attach(tokio_stream::empty()).await {
            Ok(_) => {}
            Err(status) => {
                refused = Some(status);
                break;
            }
        }
    }
    let refused = refused.expect("it is slowed down");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let reason = refused.get_details_error_info().unwrap().reason;
    assert!(["too_fast", "too_many_calls"].contains(&reason.as_str()), "{reason}");
    witness.is_served().await;
    plane.end().await;
}

#[tokio::test]
async fn an_agent_that_never_reads_holds_up_nobody() {
    let (plane, credential) = fleet_of_one().await;
    let mut witness = Witness::attach(&plane).await;
    let mut raw = Raw::begin(&plane.url, &[(INITIAL_WINDOW, 0)]).await;
    let block = call("/kt.fleet.v1.DeliveryService/Attach", Some(&credential.0), &[]);
    raw.say(&frame(HEADERS, END_HEADERS, 1, &block)).await;
    let hello = v1::FromAgent { message: Some(Message::Hello(hello())) };
    raw.say(&frame(DATA, 0, 1, &message(&hello.encode_to_vec()))).await;
    assert!(raw.hear_of(HEADERS, 1).await.is_some(), "the stream is open");
    for number in 0..3 {
        let mut push = push_request("prod", &pack(&format!("0.1.{number}")));
        push.rollout.as_mut().unwrap().supersede = true;
        plane.configs().push_config(push).await.unwrap();
        witness.is_served().await;
    }
    drop(raw);
    plane.end().await;
}

#[tokio::test]
async fn an_old_stream_is_asked_to_come_again_between_two_offers() {
    // Long enough for a push on a loaded machine.
    let age = Duration::from_secs(3);
    let plane = Plane::start_with(|timings| timings.stream_age = age).await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    // Past its age, which is at most a tenth more, with an offer open: nothing comes before the answer.
    let heard = tokio::time::timeout(age.mul_f64(1.2), agent.hear()).await;
    assert!(heard.is_err(), "{heard:?}");
    agent.ack(&offer).await;
    match agent.hear().await {
        Ok(Some(to_agent::Message::Reconnect(reconnect))) => {
            assert_eq!(reconnect.retry_after, Some(prost_types::Duration::default()));
        }
        other => panic!("expected a Reconnect, heard {other:?}"),
    }
    assert_eq!(agent.end().await, Code::Ok);
    ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let returning = v1::Hello {
        lineage: offer.lineage.clone(),
        active: Some(held(&offer)),
        highest_generation: offer.generation,
        session_counter: next_counter(),
        staged: vec![offer.digest.clone()],
        ..hello()
    };
    let mut agent = Agent::attach(&plane, &credential, returning).await;
    match agent.hear().await {
        Ok(Some(to_agent::Message::Reconnect(_))) => {}
        other => panic!("expected no offer and then a Reconnect, heard {other:?}"),
    }
    plane.end().await;
}

/// Opens a stream, says these bytes in place of messages, and hears its status.
async fn said_by_hand(url: &str, credential: &Bearer, bytes: Bytes) -> Status {
    let tcp = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    let (_trigger, watcher) = drain::channel();
    let connection = watcher.spawn("a connection by hand", connection);
    let request = http::Request::post(format!("{url}/kt.fleet.v1.DeliveryService/Attach"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", "gzip")
        .header("authorization", format!("Bearer {}", credential.0))
        .body(())
        .unwrap();
    let (answer, mut said) = client.send_request(request, false).unwrap();
    said.send_data(bytes, true).unwrap();
    let (head, mut body) = answer.await.unwrap().into_parts();
    while let Some(data) = body.data().await {
        let length = data.unwrap().len();
        body.flow_control().release_capacity(length).unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
    drop((client, said));
    connection.abort();
    Status::from_header_map(&trailers).expect("a status of gRPC")
}
