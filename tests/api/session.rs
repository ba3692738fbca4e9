//! One stream, message by message.

use std::time::Duration;

use proto::v1;
use proto::v1::from_agent;
use proto::v1::to_agent::Message;
use tests::eventually::eventually;
use tonic::Code;
use uuid::Uuid;

use tests::operator::{Bearer, pack};
use tests::plane::{PATIENCE, Plane};
use tests::scripted_agent::{Agent, held, hello};

async fn fleet_of_one() -> (Plane, Bearer) {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    (plane, credential)
}

#[tokio::test]
async fn an_offer_comes_with_its_bytes_and_an_ack_ends_the_rollout() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    assert_eq!(agent.welcome.gateway, "prod/edge-1");
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offered = agent.offered().await;
    assert_eq!(offered.offer.session_id, agent.welcome.session_id);
    assert_eq!(offered.offer.lineage, agent.welcome.lineage);
    assert_eq!(offered.offer.digest, pushed.digest);
    assert_eq!(offered.source.as_deref(), Some(pack("0.1.0").as_str()));
    agent.ack(&offered.offer).await;
    let id = pushed.rollout.unwrap().id;
    ends_in(&plane, &id, v1::RolloutState::Succeeded).await;
    agent.hears_nothing().await;
    plane.end().await;
}

#[tokio::test]
async fn what_was_refused_is_offered_again_only_by_order() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offered = agent.offered().await;
    agent.report(agent.nacked(&offered.offer, v1::Stage::Lint, None)).await;
    let rollout = ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    let refusal = rollout.rejections[0].refusal.clone().unwrap();
    assert_eq!((rollout.rejections[0].gateway.as_str(), refusal.stage()), ("prod/edge-1", v1::Stage::Lint));
    assert_eq!(refusal.findings[0].line, 7);
    agent.hears_nothing().await;
    plane.push("prod", &pack("0.1.0")).await;
    let again = agent.offered().await;
    assert!(again.offer.generation > offered.offer.generation);
    plane.end().await;
}

#[tokio::test]
async fn what_a_returning_gateway_runs_counts_without_its_report() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    drop(agent);
    // Its report was confirmed, but by a database that has forgotten it since.
    let returning = v1::Hello {
        lineage: offer.lineage.clone(),
        active: Some(held(&offer)),
        highest_generation: offer.generation,
        staged: vec![offer.digest.clone()],
        ..hello()
    };
    let _agent = Agent::attach(&plane, &credential, returning).await;
    ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    plane.end().await;
}

#[tokio::test]
async fn a_report_that_was_not_confirmed_is_confirmed_after_a_reconnect() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let offer = agent.offered().await.offer;
    let report = agent.acked(&offer);
    drop(agent);
    let returning = v1::Hello {
        lineage: offer.lineage.clone(),
        active: Some(held(&offer)),
        highest_generation: offer.generation,
        unconfirmed: Some(report),
        staged: vec![offer.digest.clone()],
        ..hello()
    };
    let mut agent = Agent::attach(&plane, &credential, returning).await;
    assert_eq!(agent.confirmed().await.offer_id, offer.offer_id);
    ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    plane.end().await;
}

#[tokio::test]
async fn the_newest_stream_of_a_gateway_wins() {
    let (plane, credential) = fleet_of_one().await;
    let mut older = Agent::attach(&plane, &credential, hello()).await;
    let mut newer = Agent::attach(&plane, &credential, hello()).await;
    assert_eq!(older.end().await, Code::Aborted);
    plane.push("prod", &pack("0.1.0")).await;
    newer.offered().await;
    plane.end().await;
}

#[tokio::test]
async fn an_older_stream_of_the_same_start_is_refused() {
    let (plane, credential) = fleet_of_one().await;
    let boot_id = Uuid::new_v4().to_string();
    let first = v1::Hello { boot_id: boot_id.clone(), ..hello() };
    let stale = v1::Hello { boot_id, session_counter: 0, ..hello() };
    let mut agent = Agent::attach(&plane, &credential, first).await;
    let mut late = Agent::open(&plane, &credential, Some(from_agent::Message::Hello(stale))).await;
    assert_eq!(late.end().await, Code::Aborted);
    agent.hears_nothing().await;
    plane.end().await;
}

#[tokio::test]
async fn silence_is_an_answer() {
    let plane = Plane::start_with(|timings| timings.offer_deadline = Duration::from_millis(300)).await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    agent.offered().await;
    let rollout = ends_in(&plane, &pushed.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    assert_eq!(rollout.counts.unwrap().timed_out, 1);
    plane.end().await;
}

#[tokio::test]
async fn a_drain_sends_every_stream_away_and_ends_in_time() {
    let (plane, credential) = fleet_of_one().await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let tail = plane.history().tail_events(v1::TailEventsRequest::default()).await;
    let mut tail = tail.unwrap().into_inner();
    plane.drain();
    match agent.hear().await {
        Ok(Some(Message::Reconnect(reconnect))) => assert!(reconnect.retry_after.is_some()),
        other => panic!("expected a Reconnect, heard {other:?}"),
    }
    assert_eq!(agent.end().await, Code::Ok);
    let ended = tokio::time::timeout(PATIENCE, tail.message()).await.expect("ends in time");
    assert_eq!(ended.unwrap_err().code(), Code::Unavailable);
    plane.end().await;
}

/// Waits for a rollout's end and answers it.
pub async fn ends_in(plane: &Plane, id: &str, state: v1::RolloutState) -> v1::Rollout {
    eventually("the end of the rollout", PATIENCE, || async {
        let rollout = plane.rollout(id).await;
        if rollout.state() == state { Ok(rollout) } else { Err(rollout) }
    })
    .await
}
