//! A gateway that somebody changes on its host while a control plane runs its fleet: it stays as it was made until it is
//! given back, and is what the control plane wants soon after.

use gateway_agent::activation::handle::{Asked, LocalChange, OrderError};
use instance::Action;
use policy_config::ConfigDigest;
use proto::v1;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::operator::push_request;
use tests::plane::PATIENCE;

async fn until_pinned(fleet: &Fleet, pinned: bool) {
    eventually(&format!("pinned: {pinned}"), PATIENCE, async || {
        let gateway = fleet.plane.find_gateway(FLEET, "edge-1").await.unwrap();
        if gateway.pinned == pinned { Ok(()) } else { Err(gateway) }
    })
    .await;
}

/// What it runs and what it should are told apart.
async fn until_drifts(fleet: &Fleet, observed: &str, desired: &str) {
    eventually(&format!("it runs {observed} and should run {desired}"), PATIENCE, async || {
        let gateway = fleet.plane.find_gateway(FLEET, "edge-1").await.unwrap();
        let runs = gateway.observed.clone().unwrap_or_default();
        let wanted = gateway.desired.clone().unwrap_or_default();
        let told = (runs.version.as_str(), wanted.version.as_str()) == (observed, desired);
        let drifts = told && runs.generation.is_none() && gateway.pinned && !gateway.in_sync;
        if drifts { Ok(()) } else { Err(gateway) }
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

    until_drifts(&fleet, "0.9.0", "0.1.0").await;
    // So does another change of the same host.
    reload(&fleet, "0.9.1", true).await.unwrap();
    until_drifts(&fleet, "0.9.1", "0.1.0").await;

    // An emergency on one host is no breach of the rollout of all.
    let second = fleet.plane.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    let rollout = fleet.until_ended(&second.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    assert_eq!(rollout.rejections, []);
    let counts = rollout.counts.unwrap();
    assert_eq!((counts.active, counts.proven, counts.offline, counts.total), (1, 1, 1, 2), "{counts:?}");
    fleet.until_serves("edge-2", "0.2.0").await;
    until_drifts(&fleet, "0.9.1", "0.2.0").await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.9.1");

    // Also in a later process.
    fleet.stop_gateway("edge-1").await;
    fleet.start_gateway("edge-1").await;
    fleet.until_online("edge-1").await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.9.1");
    until_pinned(&fleet, true).await;
    until_drifts(&fleet, "0.9.1", "0.2.0").await;

    fleet.activator("edge-1").unpin(Asked::by("root", Action::Reload)).await.unwrap();
    fleet.until_serves("edge-1", "0.2.0").await;
    until_pinned(&fleet, false).await;
    eventually("it is what it should be", PATIENCE, async || {
        let gateway = fleet.plane.find_gateway(FLEET, "edge-1").await.unwrap();
        let observed = gateway.observed.clone().unwrap_or_default();
        let back = gateway.in_sync && observed.version == "0.2.0" && observed.generation.is_some();
        if back { Ok(()) } else { Err(gateway) }
    })
    .await;
    let kinds = vec!["pinned".to_owned(), "unpinned".to_owned()];
    let filter = v1::EventFilter { gateway: "prod/edge-1".into(), kinds, ..Default::default() };
    let events = fleet.plane.events(filter).await;
    let told: Vec<_> = events.iter().map(|event| (event.kind.as_str(), event.version.as_str())).collect();
    assert_eq!(told, [("pinned", "0.9.0"), ("pinned", "0.9.1"), ("unpinned", "")]);
    let local = fleet.provider.pack("0.9.1", CHAIN);
    assert_eq!(events[1].digest, ConfigDigest::of(local.as_bytes()).to_string());
    let third = fleet.plane.push(FLEET, &fleet.provider.pack("0.3.0", CHAIN)).await;
    fleet.until_ended(&third.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    assert_eq!(fleet.policy("edge-1").unwrap().version.to_string(), "0.3.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_one_host_during_a_bake_takes_no_rollout_back() {
    let fleet = Fleet::start(&["edge-1", "edge-2"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let mut push = push_request(FLEET, &fleet.provider.pack("0.2.0", CHAIN));
    let strategy = push.rollout.as_mut().and_then(|rollout| rollout.strategy.as_mut()).unwrap();
    strategy.bake = Some(prost_types::Duration { seconds: 3, nanos: 0 });
    let baking = fleet.plane.configs().push_config(push).await.unwrap().into_inner().rollout.unwrap().id;
    fleet.until_serves("edge-1", "0.2.0").await;
    reload(&fleet, "0.9.0", true).await.unwrap();
    until_drifts(&fleet, "0.9.0", "0.2.0").await;
    let rollout = fleet.until_ended(&baking, v1::RolloutState::Succeeded).await;
    assert_eq!((rollout.reason.as_str(), rollout.counts.unwrap().total), ("", 2));
    fleet.until_serves("edge-2", "0.2.0").await;
}
