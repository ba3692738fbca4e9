//! Orders while the database is away: refused with the reason, soon, and made once when they are repeated.
#![cfg(test)]

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use proto::v1;
use tests::cut_link::Stalled;
use tests::eventually::eventually;
use tests::operator::{Operator, pack, push_request};
use tests::plane::{PATIENCE, Plane};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::support::{Outage, assert_away, until_away};

/// What a control plane that is cut from its database may take to say so.
const WITHIN: Duration = Duration::from_secs(3);
/// Once it knows; for the loaded machine.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Every order there is, at the same time; each with how long its refusal took.
async fn order_everything(plane: &Operator) -> [(&'static str, Status, Duration); 4] {
    let start = v1::StartRolloutRequest {
        config: "local-dev".into(),
        revision: 1,
        fleet: "prod".into(),
        ..Default::default()
    };
    let enroll = v1::EnrollRequest {
        fleet: "prod".into(),
        name: "edge-9".into(),
        agent_version: "0.1.0".into(),
        ..Default::default()
    };
    let create = v1::CreateFleetRequest { name: "other".into() };
    let push = push_request("prod", &pack("0.9.0"));
    let (mut configs, mut rollouts) = (plane.configs(), plane.rollouts());
    let (mut fleets, mut gateways) = (plane.fleets(), plane.gateways());
    let given = tokio::join!(
        refused("push", async { configs.push_config(push).await.map(drop) }),
        refused("start", async { rollouts.start_rollout(start).await.map(drop) }),
        refused("create", async { fleets.create_fleet(create).await.map(drop) }),
        refused("enroll", async { gateways.enroll(enroll).await.map(drop) }),
    );
    [given.0, given.1, given.2, given.3]
}

async fn refused(
    order: &'static str,
    given: impl Future<Output = Result<(), Status>>,
) -> (&'static str, Status, Duration) {
    let began = Instant::now();
    let status = given.await.expect_err(order);
    (order, status, began.elapsed())
}

async fn orders_are_refused(outage: Outage) {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    plane.create_fleet("prod").await;
    plane.push("prod", &pack("0.1.0")).await;
    let before = plane.whole_history().await.len();
    let follow = plane.history().tail_events(v1::TailEventsRequest::default()).await;
    let mut follow = follow.expect("news").into_inner();

    // Not known yet: the first to ask find out.
    outage.begin(&link);
    for (order, status, took) in order_everything(&plane).await {
        assert_away(&status);
        eprintln!("{outage:?}: {order} was refused after {took:?}");
        assert!(took <= WITHIN, "{outage:?}: {order} took {took:?}");
    }
    until_away(&plane, true).await;
    let ended = loop {
        match timeout(PATIENCE, follow.message()).await.expect("it does not hang") {
            Ok(Some(_)) => {}
            Ok(None) => panic!("not the end of the history"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended:?}");
    for (order, status, took) in order_everything(&plane).await {
        assert_away(&status);
        assert!(took <= AT_ONCE, "{outage:?}, known: {order} took {took:?}");
    }
    // A stream of news is refused as well, until there can be news.
    let tail = plane.history().tail_events(v1::TailEventsRequest::default()).await;
    assert_away(&tail.expect_err("no news"));

    link.pass();
    until_away(&plane, false).await;
    // What was under way when it went may have been carried out, but nothing was half.
    let after = plane.whole_history().await;
    let pushed = after.iter().skip(before).filter(|event| event.kind == "config_pushed").count();
    assert!(pushed <= 1, "{after:?}");
    let mut push = push_request("prod", &pack("0.10.0"));
    push.rollout.as_mut().expect("an order").supersede = true;
    plane.configs().push_config(push).await.expect("orders are taken again");
    plane.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_refused_with_the_reason_within_three_seconds() {
    join_all(Outage::ALL.map(orders_are_refused)).await;
}

/// One publisher, who repeats each push with its key until it is taken.
async fn publish(plane: Operator, publisher: usize, pushes: usize) -> Vec<(String, u64)> {
    let mut taken = Vec::new();
    for number in 0..pushes {
        let version = format!("{}.{number}.0", publisher + 1);
        let mut push = push_request("prod", &pack(&version));
        push.idempotency_key = format!("{publisher}-{number}");
        // Another publisher's rollout may be open.
        push.rollout.as_mut().expect("an order").supersede = true;
        let answer = eventually(&format!("{version} is taken"), PATIENCE, async || {
            match plane.configs().push_config(push.clone()).await {
                Ok(answer) => Ok(answer.into_inner()),
                Err(status) if matches!(status.code(), Code::Unavailable | Code::Aborted) => {
                    Err(status.message().to_owned())
                }
                Err(status) => panic!("{status:?}"),
            }
        })
        .await;
        taken.push((version, answer.revision));
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_over_a_flapping_link_are_made_once_each() {
    let (plane, link) = Plane::start_cut_off(|_| {}).await;
    plane.create_fleet("prod").await;
    let flapping = async {
        for round in 0..4 {
            sleep(Duration::from_secs(1)).await;
            // The answers first, so that what is committed is not told.
            link.stall(Stalled::Answers);
            sleep(Duration::from_millis(if round % 2 == 0 { 50 } else { 900 })).await;
            link.cut();
            sleep(Duration::from_millis(if round % 2 == 0 { 950 } else { 100 })).await;
            link.pass();
        }
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            link.reset();
        }
    };
    let publishers = (0..2).map(|publisher| publish(Operator::clone(&plane), publisher, 25));
    let (taken, ()) = tokio::join!(join_all(publishers), flapping);
    until_away(&plane, false).await;

    let taken: Vec<(String, u64)> = taken.into_iter().flatten().collect();
    let revisions: BTreeSet<u64> = taken.iter().map(|(_, revision)| *revision).collect();
    assert_eq!(revisions, (1..=50).collect(), "a revision is missing or given twice: {taken:?}");
    let pushed = plane.whole_history().await;
    let pushed = pushed.iter().filter(|event| event.kind == "config_pushed").count();
    assert_eq!(pushed, taken.len(), "one event each");
    plane.end().await;
}
