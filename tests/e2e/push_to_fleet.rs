//! A push reaches every gateway, is acknowledged, recorded and proven.

use std::sync::Arc;

use proto::v1;
use tests::fleet::{FLEET, Fleet};
use tests::http::chat;
use tests::operator::push_request;

const CHAIN: &str = "prompt-injection, pii-detector, audit-logger";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gateway_activates_and_history_tells_it() {
    let fleet = Fleet::start(&["edge-1", "edge-2", "edge-3"]).await;
    let before = fleet.http.post(&fleet.chat_url("edge-1"), &chat("hello")).await.unwrap();
    assert_eq!(
        (before.status.as_u16(), before.json().unwrap()["error"]["code"].as_str()),
        (503, Some("no_policy_loaded"))
    );
    assert_eq!(fleet.http.get(&fleet.ready_url("edge-1")).await.unwrap().status, 503);

    let pushed = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    assert!(pushed.created);
    assert_eq!((pushed.config.as_str(), pushed.revision), ("local-dev", 1));
    let rollout = fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let counts = rollout.counts.unwrap();
    assert_eq!((counts.active, counts.proven, counts.total), (3, 3, 3));

    for name in ["edge-1", "edge-2", "edge-3"] {
        let answer = fleet.http.post(&fleet.chat_url(name), &chat("mail ada@example.com")).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.version(), Some("0.1.0"));
        let digest = answer.headers["x-kt-config-digest"].to_str().unwrap();
        assert_eq!(digest, pushed.digest);
        assert!(fleet.http.get(&fleet.ready_url(name)).await.unwrap().status.is_success());
        let gateway = fleet.plane.gateway(FLEET, name).await;
        assert!(gateway.in_sync);
        assert_eq!(gateway.observed.unwrap().digest, pushed.digest);
    }
    let seen = fleet.provider.received.last().unwrap();
    assert!(seen.body.to_string().contains("mail [EMAIL]"), "{:?}", seen.body);

    let events = fleet.plane.events(v1::EventFilter { fleet: FLEET.into(), ..Default::default() }).await;
    let count = |kind: &str, outcome: &str| {
        events.iter().filter(|event| event.kind == kind && event.outcome == outcome).count()
    };
    assert_eq!(count("activation", "active"), 3);
    assert_eq!(count("activation", "proven"), 3);
    assert_eq!(count("rollout_ended", "succeeded"), 1);
    let stable = fleet.plane.fleets().get_fleet(v1::GetFleetRequest { name: FLEET.into() }).await.unwrap();
    assert_eq!(stable.into_inner().stable.unwrap().revision, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_the_same_revision_and_no_new_activation() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let source = fleet.provider.pack("0.1.0", CHAIN);
    let first = fleet.plane.push(FLEET, &source).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let policy = fleet.policy("edge-1").unwrap();

    let again = fleet.plane.push(FLEET, &source).await;
    assert!(!again.created);
    assert_eq!(again.revision, 1);
    fleet.until_ended(&again.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let kept = fleet.policy("edge-1").unwrap();
    assert!(Arc::ptr_eq(&policy, &kept), "the engine that runs is the one that ran");
    let filter = v1::EventFilter { kinds: vec!["activation".into()], ..Default::default() };
    let events = fleet.plane.events(filter).await;
    assert_eq!(events.iter().filter(|event| event.outcome == "active").count(), 1, "{events:?}");
    let revisions = v1::ListRevisionsRequest { config: "local-dev".into(), ..Default::default() };
    let revisions = fleet.plane.configs().list_revisions(revisions).await.unwrap().into_inner().revisions;
    assert_eq!(revisions.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_joins_later_gets_the_stable_revision() {
    let mut fleet = Fleet::start(&["edge-1"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    fleet.start_gateway("edge-2").await;
    fleet.until_serves("edge-2", "0.1.0").await;

    // A rollout that is still open is not stable: what joins now gets what was proven.
    let mut slow = push_request(FLEET, &fleet.provider.pack("0.2.0", CHAIN));
    slow.rollout.as_mut().unwrap().strategy = None;
    let open = fleet.plane.configs().push_config(slow).await.unwrap().into_inner();
    fleet.until_serves("edge-1", "0.2.0").await;
    fleet.start_gateway("edge-3").await;
    fleet.until_serves("edge-3", "0.1.0").await;
    assert_eq!(fleet.plane.rollout(&open.rollout.unwrap().id).await.state(), v1::RolloutState::Advancing);
}
