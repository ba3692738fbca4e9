//! A gateway that somebody changes on its host while a control plane runs its fleet: it stays as it was made until it is
//! given back, and is what the control plane wants soon after.

use gateway_agent::activation::handle::{Asked, LocalChange, OrderError};
use instance::Action;
use proto::v1;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::plane::PATIENCE;

async fn until_pinned(fleet: &Fleet, pinned: bool) {
    eventually(&format!("pinned: {pinned}"), PATIENCE, async || {
        let gateway = fleet.plane.find_gateway(FLEET, "edge-1").await.unwrap();
        if gateway.pinned == pinned { Ok(()) } else { Err(gateway) }
    })
    .await;
}

async fn reload(fleet: &Fleet, version: &str, break_glass: bool) -> Result<(), OrderError> {
    let reason = break_glass.then(|| "too many refusals".to_owned());
    let asked = Asked { reason, break_glass, ..Asked::by("root", Action::Reload) };
    let source = fleet.provider.pack(version, CHAIN).into_bytes();
    fleet.activator("edge-1").order(asked, LocalChange::Load(source)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_gateway_keeps_what_it_runs_and_converges_when_it_is_unpinned() {
    let mut fleet = Fleet::start(&["edge-1", "edge-2"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    assert_eq!(reload(&fleet, "0.9.0", false).await, Err(OrderError::Managed));
    reload(&fleet, "0.9.0", true).await.unwrap();
    fleet.until_serves("edge-1", "0.9.0").await;
    // It says so by itself, and not only at its next start.
    until_pinned(&fleet, true).await;

    let second = fleet.plane.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    let rollout = fleet.until_ended(&second.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    let [rejection] = rollout.rejections.as_slice() else { panic!("{:?}", rollout.rejections) };
    assert_eq!(rejection.gateway, "prod/edge-1");
    let refusal = rejection.refusal.as_ref().unwrap();
    assert_eq!(refusal.stage(), v1::Stage::Generation);
    assert!(refusal.reason.contains("pinned"), "{refusal:?}");
    fleet.until_serves("edge-2", "0.1.0").await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.9.0");

    // Also in a later process.
    fleet.stop_gateway("edge-1").await;
    fleet.start_gateway("edge-1").await;
    fleet.until_online("edge-1").await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.9.0");
    until_pinned(&fleet, true).await;

    fleet.activator("edge-1").unpin(Asked::by("root", Action::Reload)).await.unwrap();
    fleet.until_serves("edge-1", "0.1.0").await;
    until_pinned(&fleet, false).await;
    let kinds = vec!["pinned".to_owned(), "unpinned".to_owned()];
    let filter = v1::EventFilter { gateway: "prod/edge-1".into(), kinds, ..Default::default() };
    let told: Vec<_> = fleet.plane.events(filter).await.into_iter().map(|event| event.kind).collect();
    assert_eq!(told, ["pinned", "unpinned"]);
    let third = fleet.plane.push(FLEET, &fleet.provider.pack("0.3.0", CHAIN)).await;
    fleet.until_ended(&third.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.3.0");
}
