//! What an operator sees: errors as data, pages, tails and watches.

use prost::Message;
use proto::v1;
use proto::v1::tail_events_response::Item;
use tonic::Code;
use tonic_types::{StatusExt, pb};

use tests::operator::{pack, push_request};
use tests::plane::{PATIENCE, Plane};
use tests::scripted_agent::{Agent, hello};

#[tokio::test]
async fn a_lint_refusal_carries_its_findings() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let source = pack("0.1.0").replace("pii-detector, audit-logger", "pii-detectr, audit-logger");
    let refused = plane.configs().push_config(push_request("prod", &source)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "lint");
    let details = pb::Status::decode(refused.details()).unwrap().details;
    let list = details.iter().find(|any| any.type_url.ends_with("kt.fleet.v1.FindingList")).unwrap();
    let findings = v1::FindingList::decode(list.value.as_slice()).unwrap().findings;
    assert!(findings.iter().any(|finding| finding.code == "E001" && finding.line > 0), "{findings:?}");
    plane.end().await;
}

#[tokio::test]
async fn unknown_names_are_answered_with_the_known_ones() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let refused = plane.fleets().get_fleet(v1::GetFleetRequest { name: "prd".into() }).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.get_details_help().unwrap().links[0].description.contains("prod"));
    let taken =
        plane.fleets().create_fleet(v1::CreateFleetRequest { name: "prod".into() }).await.unwrap_err();
    assert_eq!(taken.code(), Code::AlreadyExists);
    plane.end().await;
}

#[tokio::test]
async fn pages_are_stable_and_complete() {
    let plane = Plane::start().await;
    for number in 0..7 {
        plane.create_fleet(&format!("fleet-{number}")).await;
    }
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListFleetsRequest { page_size: 3, page_token: page_token.clone() };
        let page = plane.fleets().list_fleets(request).await.unwrap().into_inner();
        names.extend(page.fleets.into_iter().map(|fleet| fleet.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, (0..7).map(|number| format!("fleet-{number}")).collect::<Vec<_>>());
    plane.end().await;
}

#[tokio::test]
async fn a_watch_ends_with_the_end_and_a_tail_resumes_where_it_stopped() {
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let credential = plane.enroll("prod", "edge-1").await;
    let mut agent = Agent::attach(&plane, &credential, hello()).await;
    let pushed = plane.push("prod", &pack("0.1.0")).await;
    let id = pushed.rollout.unwrap().id;
    let mut watch = plane
        .rollouts()
        .watch_rollout(v1::WatchRolloutRequest { id: id.clone() })
        .await
        .unwrap()
        .into_inner();
    let offer = agent.offered().await.offer;
    agent.ack(&offer).await;
    let mut last = None;
    while let Some(rollout) = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap() {
        last = Some(rollout);
    }
    let last = last.unwrap();
    assert_eq!(last.state(), v1::RolloutState::Succeeded);
    assert_eq!(last.counts.unwrap().proven, 1);

    let all = plane.events(v1::EventFilter::default()).await;
    let cursors: Vec<u64> = all.iter().map(|event| event.cursor).collect();
    assert_eq!(cursors, (1..=all.len() as u64).collect::<Vec<_>>());
    for half in [0, all.len() / 2] {
        let request = v1::TailEventsRequest { filter: None, cursor: Some(half as u64) };
        let mut tail = plane.history().tail_events(request).await.unwrap().into_inner();
        let mut seen = Vec::new();
        while seen.len() < all.len() - half {
            let item = tokio::time::timeout(PATIENCE, tail.message()).await.unwrap().unwrap().unwrap().item;
            if let Some(Item::Event(event)) = item {
                seen.push(event.cursor);
            }
        }
        assert_eq!(seen, cursors[half..]);
    }
    plane.end().await;
}
