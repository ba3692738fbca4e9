//! Reads while the database is away: the last answer, and as of when it is.
#![cfg(test)]

use std::time::Duration;

use proto::v1;
use serde_json::Value;
use service_kit::clock::Clock;
use tests::eventually::eventually;
use tests::http::Http;
use tests::kt::Kt;
use tests::operator::pack;
use tests::plane::{PATIENCE, Plane};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tonic::{Response, Status};

use crate::support::{Outage, assert_away, until_away};

fn stale_since<T>(response: &Response<T>) -> Option<OffsetDateTime> {
    let text = response.metadata().get("x-kt-stale-since")?.to_str().unwrap();
    Some(OffsetDateTime::parse(text, &Rfc3339).expect("RFC 3339"))
}

async fn fleets(plane: &Plane) -> Result<Response<v1::ListFleetsResponse>, Status> {
    plane.fleets().list_fleets(v1::ListFleetsRequest::default()).await
}

fn names(response: &Response<v1::ListFleetsResponse>) -> Vec<&str> {
    response.get_ref().fleets.iter().map(|fleet| fleet.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_answered_from_memory_and_says_as_of_when() {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    plane.create_fleet("prod").await;
    let clock = Clock::system();
    // What is told is cut to the millisecond.
    let before = clock.now() - Duration::from_millis(1);
    let fresh = fleets(&plane).await.unwrap();
    let after = clock.now();
    assert_eq!((names(&fresh), stale_since(&fresh)), (vec!["prod"], None));
    // Written after it was read: what is told later is honest about that.
    plane.create_fleet("test").await;

    Outage::Refused.begin(&link);
    // Also by who finds it out.
    let stale = fleets(&plane).await.unwrap();
    let since = stale_since(&stale).expect("it says that it is stale");
    assert!((before..=after).contains(&since), "{before} {since} {after}");
    assert_eq!(names(&stale), ["prod"]);
    until_away(&plane, true).await;
    assert_eq!(stale_since(&fleets(&plane).await.unwrap()), Some(since));
    let other = v1::ListFleetsRequest { page_size: 7, ..Default::default() };
    assert_away(&plane.fleets().list_fleets(other).await.expect_err("never asked"));

    let metrics = Http::new().get(&format!("{}/metrics", plane.admin_url)).await.unwrap().text();
    let counted = "kt_stale_answers_total{method=\"kt.fleet.v1.FleetService/ListFleets\"}";
    assert!(metrics.contains(counted), "{metrics}");

    // Nobody else is told what was read: not an agent, not a stranger.
    let guess = format!("kt_{}", "A".repeat(43));
    for (caller, code) in [(guess, tonic::Code::Unavailable), (String::new(), tonic::Code::Unauthenticated)] {
        let mut stranger = v1::fleet_service_client::FleetServiceClient::with_interceptor(
            plane.channel(),
            tests::operator::Bearer(caller),
        );
        let refused = stranger.list_fleets(v1::ListFleetsRequest::default()).await;
        assert_eq!(refused.expect_err("not an operator").code(), code);
    }

    link.pass();
    until_away(&plane, false).await;
    let fresh = fleets(&plane).await.unwrap();
    assert_eq!((names(&fresh), stale_since(&fresh)), (vec!["prod", "test"], None));
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kt_warns_that_an_answer_is_old() {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    plane.create_fleet("prod").await;
    plane.enroll("prod", "edge-1").await;
    plane.push("prod", &pack("0.1.0")).await;
    // From here on nothing changes.
    eventually("it is assigned", PATIENCE, async || {
        let gateway = plane.gateway("prod", "edge-1").await;
        if gateway.desired.is_some() { Ok(()) } else { Err(gateway) }
    })
    .await;
    let kt = Kt::new().with("KT_CONTROL_PLANE", &plane.url).with("KT_TOKEN_FILE", plane.token_file());
    // kt blocks; the control plane runs on the other threads.
    let run = |words: &[&str]| tokio::task::block_in_place(|| kt.run(words));
    let list = ["gateway", "list", "--fleet", "prod"];
    let json = ["gateway", "list", "--fleet", "prod", "--json"];
    let fresh = run(&list).ok();
    assert_eq!(fresh.stderr, "");
    let fresh_json: Value = run(&json).ok().json();

    Outage::Silent.begin(&link);
    let stale = run(&list).ok();
    assert_eq!(stale.stdout, fresh.stdout);
    let warning = "warning: the control plane's database is away; this is as of 20";
    assert!(stale.stderr.starts_with(warning) && stale.stderr.ends_with(" ago)\n"), "{stale}");
    assert_eq!(stale.stderr.lines().count(), 1, "{stale}");
    let stale = run(&json).ok();
    assert_eq!(stale.json(), fresh_json);
    assert!(stale.stderr.starts_with(warning), "{stale}");

    let refused = run(&["fleet", "create", "other"]);
    assert_eq!(refused.code, 5, "{refused}");
    assert!(refused.stderr.contains("the database has been away since 20"), "{refused}");
    assert!(refused.stderr.contains("nothing was changed"), "{refused}");

    link.pass();
    until_away(&plane, false).await;
    assert_eq!(run(&list).ok().stderr, "");
    plane.end().await;
}
