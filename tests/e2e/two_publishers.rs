//! Publishers race: one revision for the same bytes, one winner for the same version, no gap, no lost push.

use std::collections::BTreeSet;

use proto::v1;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::operator::push_request;
use tonic::Code;

fn store_only(source: &str) -> v1::PushConfigRequest {
    v1::PushConfigRequest { rollout: None, ..push_request(FLEET, source) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_stored_once() {
    let fleet = Fleet::start(&[]).await;
    let source = fleet.provider.pack("0.1.0", CHAIN);
    let pushes = (0..8).map(|_| {
        let (mut configs, request) = (fleet.plane.configs(), store_only(&source));
        async move { configs.push_config(request).await.unwrap().into_inner() }
    });
    let answers = futures_util::future::join_all(pushes).await;
    assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1);
    assert!(answers.iter().all(|answer| answer.revision == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn different_versions_are_numbered_without_a_gap_and_one_version_has_one_winner() {
    let fleet = Fleet::start(&[]).await;
    let pushes = (0..16).map(|n| {
        // Each version is pushed twice with other bytes.
        let source = format!("{}# publisher {n}\n", fleet.provider.pack(&format!("0.{}.0", n / 2), CHAIN));
        let mut configs = fleet.plane.configs();
        async move { configs.push_config(store_only(&source)).await }
    });
    let answers = futures_util::future::join_all(pushes).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let revisions: BTreeSet<u64> =
        won.into_iter().map(|answer| answer.unwrap().into_inner().revision).collect();
    assert_eq!(revisions, (1..=8).collect());
    for refusal in lost {
        assert_eq!(refusal.unwrap_err().code(), Code::FailedPrecondition);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rollouts_at_once_one_is_refused_and_the_gateway_runs_the_winner() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let pushes = ["0.2.0", "0.3.0"].map(|version| {
        let mut request = push_request(FLEET, &fleet.provider.pack(version, CHAIN));
        request.expect_revision = Some(1);
        let mut configs = fleet.plane.configs();
        async move { configs.push_config(request).await }
    });
    let [one, two] = pushes;
    let (one, two) = tokio::join!(one, two);
    let (won, lost) = if one.is_ok() { (one, two) } else { (two, one) };
    assert_eq!(lost.unwrap_err().code(), Code::FailedPrecondition);
    let won = won.unwrap().into_inner();
    assert_eq!(won.revision, 2);
    fleet.until_ended(&won.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    fleet.until_serves("edge-1", &won.version).await;
}
