//! A pack that a gateway refuses: nothing changes there, the reason is told, the others go back.

use proto::v1;
use tests::fleet::{CHAIN, FLEET, Fleet, KEY, pack};
use tests::http::chat;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refusal_takes_the_wave_back_and_names_the_variable() {
    let mut fleet = Fleet::start(&["edge-1"]).await;
    fleet.start_gateway_with("edge-2", &[(KEY, "sk-test"), ("OTHER_API_KEY", "sk-other")]).await;
    fleet.until_online("edge-2").await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;

    let second = pack(&fleet.provider.url, "0.2.0", CHAIN, "OTHER_API_KEY");
    let pushed = fleet.plane.push(FLEET, &second).await;
    let rollout = fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    let settled = rollout.settled.unwrap();
    assert_eq!((settled.active, settled.rejected, settled.total), (1, 1, 2));
    assert!(rollout.reason.contains("1 of 2 gateways refused"), "{}", rollout.reason);
    let [rejection] = rollout.rejections.as_slice() else { panic!("{:?}", rollout.rejections) };
    assert_eq!(rejection.gateway, "prod/edge-1");
    let refusal = rejection.refusal.as_ref().unwrap();
    assert_eq!(refusal.stage(), v1::Stage::Secrets);
    assert!(format!("{refusal:?}").contains("OTHER_API_KEY"), "{refusal:?}");

    for name in ["edge-1", "edge-2"] {
        fleet.until_serves(name, "0.1.0").await;
        let answer = fleet.http.post(&fleet.chat_url(name), &chat("hello")).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.version()), (200, Some("0.1.0")));
    }
    let stable = fleet.plane.fleets().get_fleet(v1::GetFleetRequest { name: FLEET.into() }).await.unwrap();
    assert_eq!(stable.into_inner().stable.unwrap().revision, Some(1));
    let rejected = fleet
        .plane
        .events(v1::EventFilter {
            gateway: "prod/edge-1".into(),
            kinds: vec!["activation".into()],
            ..Default::default()
        })
        .await;
    assert!(rejected.iter().any(|event| event.outcome == "rejected"), "{rejected:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_is_offered_again_when_its_cause_may_have_gone() {
    let mut fleet = Fleet::start(&[]).await;
    fleet.start_gateway_with("edge-1", &[]).await;
    fleet.until_online("edge-1").await;
    let pushed = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Reverted).await;
    assert!(fleet.policy("edge-1").is_none());

    // A new boot may have the key.
    fleet.stop_gateway("edge-1").await;
    fleet.start_gateway("edge-1").await;
    fleet.until_serves("edge-1", "0.1.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_lint_refuses_never_leaves_the_server() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let bad = fleet.provider.pack("0.1.0", "prompt-injektion");
    let status =
        fleet.plane.configs().push_config(tests::operator::push_request(FLEET, &bad)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(fleet.policy("edge-1").is_none());
    let configs = fleet.plane.configs().list_configs(v1::ListConfigsRequest::default()).await.unwrap();
    assert!(configs.into_inner().configs.is_empty());
}
