//! History is gapless and resumable: a tail that is cut and resumed by its cursor sees every event once, in order.

use proto::v1;
use proto::v1::tail_events_response::Item;
use service_kit::clock::Clock;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::plane::PATIENCE;

/// Tails from `cursor` until `wanted` events came.
async fn tail(fleet: &Fleet, cursor: u64, wanted: usize) -> Vec<v1::HistoryEvent> {
    let request = v1::TailEventsRequest { filter: None, cursor: Some(cursor) };
    let mut stream = fleet.plane.history().tail_events(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while events.len() < wanted {
        let next = tokio::time::timeout(PATIENCE, stream.message()).await.expect("an event in time").unwrap();
        if let Some(Item::Event(event)) = next.expect("the tail goes on").item {
            events.push(event);
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_resumes_where_it_was_cut() {
    let mut fleet = Fleet::start(&["edge-1", "edge-2"]).await;
    let first = fleet.plane.push(FLEET, &fleet.provider.pack("0.1.0", CHAIN)).await;
    fleet.until_ended(&first.rollout.unwrap().id, v1::RolloutState::Succeeded).await;

    let head = tail(&fleet, 0, 4).await;
    fleet.plane.stop().await;
    fleet.plane.start_again().await;
    let second = fleet.plane.push(FLEET, &fleet.provider.pack("0.2.0", CHAIN)).await;
    fleet.until_ended(&second.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
    let all = fleet.plane.events(v1::EventFilter::default()).await;
    let rest = tail(&fleet, head.last().unwrap().cursor, all.len() - head.len()).await;

    let seen: Vec<u64> = head.iter().chain(&rest).map(|event| event.cursor).collect();
    let expected: Vec<u64> = (1..=u64::try_from(all.len()).unwrap()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_force_then() {
    let fleet = Fleet::start(&["edge-1"]).await;
    let mut moments = Vec::new();
    for version in ["0.1.0", "0.2.0"] {
        let pushed = fleet.plane.push(FLEET, &fleet.provider.pack(version, CHAIN)).await;
        fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
        moments.push((version, Clock::system().now()));
    }
    for (version, moment) in moments {
        let at = prost_types::Timestamp {
            seconds: moment.unix_timestamp(),
            nanos: i32::try_from(moment.nanosecond()).unwrap(),
        };
        let request = v1::InForceAtRequest { fleet: FLEET.into(), gateway: "edge-1".into(), at: Some(at) };
        let answer = fleet.plane.history().in_force_at(request).await.unwrap().into_inner();
        assert_eq!(answer.version, version);
    }
}
