//! The control plane goes and comes back: gateways serve on, find it again and miss nothing.

use std::time::Duration;

use proto::v1;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::http::chat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_resume_after_the_control_plane_restarted() {
    let mut fleet = Fleet::start(&["edge-1", "edge-2"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let generation = fleet.plane.gateway(FLEET, "edge-1").await.desired.unwrap().generation;

    fleet.plane.stop().await;
    let alone = fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
    assert_eq!((alone.status.as_u16(), alone.version()), (200, Some("0.1.0")));

    fleet.plane.start_again().await;
    for name in ["edge-1", "edge-2"] {
        fleet.until_online(name).await;
    }
    // In sync already: nothing was assigned and nothing activated again.
    let resumed = fleet.plane.gateway(FLEET, "edge-1").await;
    assert_eq!(resumed.desired.unwrap().generation, generation);
    assert!(resumed.in_sync);

    let second = fleet.plane.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    let rollout = fleet.until_ended(&second.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    assert_eq!(rollout.counts.unwrap().active, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_away_catches_up() {
    let mut fleet = Fleet::start(&["edge-1", "edge-2"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    fleet.stop_gateway("edge-2").await;
    tests::eventually::eventually("edge-2 is known to be away", tests::plane::PATIENCE, async || {
        let gateway = fleet.plane.gateway(FLEET, "edge-2").await;
        if gateway.liveness() == v1::Liveness::Online { Err(gateway.last_seen) } else { Ok(()) }
    })
    .await;

    let second = fleet.plane.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    let rollout = fleet.until_ended(&second.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let counts = rollout.counts.unwrap();
    assert_eq!((counts.active, counts.offline, counts.total), (1, 1, 2));

    fleet.start_gateway("edge-2").await;
    fleet.until_serves("edge-2", "0.2.0").await;
}

/// Its streams live for a third of a second: about every push falls near the end of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_end_by_age_miss_no_push() {
    let fleet =
        Fleet::start_with(&["edge-1"], |timings| timings.stream_age = Duration::from_millis(300)).await;
    for number in 1..=8 {
        let version = format!("0.1.{number}");
        let pushed = fleet.plane.push(FLEET, &fleet.provider.pack(&version, CHAIN)).await;
        let rollout = fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
        let counts = rollout.counts.unwrap();
        assert_eq!((counts.active, counts.offline, counts.timed_out), (1, 0, 0), "{version}");
        let answer = fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.version()), (200, Some(version.as_str())));
    }
    let kinds: Vec<String> =
        fleet.plane.events(v1::EventFilter::default()).await.into_iter().map(|event| event.kind).collect();
    assert!(!kinds.iter().any(|kind| kind.contains("lost") || kind.contains("returned")), "{kinds:?}");
}
