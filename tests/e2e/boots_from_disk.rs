//! A gateway starts and serves without the control plane, from what its disk holds.

use proto::v1;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::http::chat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_start_with_the_control_plane_down_serves_the_last_pack() {
    let mut fleet = Fleet::start(&["edge-1"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    fleet.stop_gateway("edge-1").await;
    fleet.plane.stop().await;

    fleet.start_gateway("edge-1").await;
    let answer = fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.version()), (200, Some("0.1.0")), "{}", answer.text());

    // Back again: it is the same gateway, in sync, with nothing activated twice.
    fleet.plane.start_again().await;
    fleet.until_online("edge-1").await;
    let filter = v1::EventFilter { kinds: vec!["activation".into()], ..Default::default() };
    let events = fleet.plane.events(filter).await;
    assert_eq!(events.iter().filter(|event| event.outcome == "active").count(), 1, "{events:?}");
}
