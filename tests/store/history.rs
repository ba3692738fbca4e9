//! The history: filters, pages, tails, and what was in force when.

use control_plane::store::history::{EventFilter, event_in_force_at, event_list, event_newest};
use fleet_core::history::{ActivatedEvent, Cursor, EventKind, in_force_at};
use fleet_core::time::Timestamp;
use fleet_core::version::{Generation, Revision};
use time::OffsetDateTime;

use crate::world::{FLEET, World, acked, pack, rollout};

fn stamp(at: OffsetDateTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap())
}

#[tokio::test]
async fn pages_and_tails_never_skip() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let store = &world.context.store;
    let all = world.events(&[]).await;
    let mut read = Vec::new();
    let mut cursor = Cursor(0);
    loop {
        let page = event_list(store, &EventFilter::default(), cursor, 2).await.unwrap();
        cursor = page.next;
        read.extend(page.events);
        if !page.more {
            break;
        }
    }
    assert_eq!(read, all);
    let tail = event_list(store, &EventFilter::default(), cursor, 2).await.unwrap();
    assert_eq!((tail.events.len(), tail.next), (0, cursor));
    world.agent("edge-3").await;
    let tail = event_list(store, &EventFilter::default(), cursor, 2).await.unwrap();
    assert_eq!(tail.events[0].kind, EventKind::GatewayEnrolled);
    let newest = event_newest(store, &EventFilter::default(), 3).await.unwrap();
    assert!(newest.more);
    assert_eq!(newest.events.last().unwrap().cursor, newest.next);
    assert!(newest.events.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
}

#[tokio::test]
async fn filters_fit_all_at_once() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.store(pack("q", "0.1.0", "a")).await.unwrap();
    let find = async |filter: EventFilter| {
        event_list(&world.context.store, &filter, Cursor(0), 100).await.unwrap().events
    };
    let all = EventFilter::default();
    let of_gateway = find(EventFilter { gateway: Some("edge-2".parse().unwrap()), ..all.clone() }).await;
    assert!(of_gateway.iter().all(|event| event.gateway == "prod/edge-2"));
    assert_eq!(of_gateway.len(), 3, "enrolled, active, proven");
    let of_config = find(EventFilter { config: Some("q".parse().unwrap()), ..all.clone() }).await;
    assert_eq!(of_config.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::ConfigPushed]);
    let kinds = vec![EventKind::Activation, EventKind::RolloutEnded];
    let both = EventFilter { fleet: Some(FLEET.parse().unwrap()), kinds, ..all.clone() };
    assert_eq!(find(both).await.len(), 5);
    let other = EventFilter { fleet: Some("other".parse().unwrap()), ..all.clone() };
    assert!(find(other).await.is_empty());
    let later = of_config[0].at + time::Duration::seconds(1);
    assert!(find(EventFilter { since: Some(later), ..all }).await.is_empty());
}

#[tokio::test]
async fn in_force_agrees_with_its_oracle_on_random_histories() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2", "edge-3"]).await;
    for round in 0..12 {
        let mut order = rollout(FLEET);
        order.supersede = true;
        world.push_with(pack("p", &format!("0.{round}.0"), ""), order).await.unwrap();
        world.reconcile().await;
        let mut reports = Vec::new();
        for agent in &agents {
            if random.u8(..) < 180 {
                let mut report = acked(&world, agent, world.desired(agent).await);
                // Agents may be late by minutes, so that commit order is not the order of events.
                let ago = std::time::Duration::from_secs(random.u64(0..300));
                report.answered.as_mut().unwrap().ago = ago;
                report.running.as_mut().unwrap().ago = ago;
                reports.push(report);
            }
        }
        world.report(reports).await;
    }
    let mut told = Vec::new();
    for event in world.events(&[EventKind::Activation]).await {
        if event.outcome != "active" {
            continue;
        }
        let agent = agents.iter().find(|agent| event.gateway == format!("{FLEET}/{}", agent.name)).unwrap();
        told.push((
            event.at,
            ActivatedEvent {
                cursor: event.cursor,
                at: stamp(event.at),
                gateway: agent.id,
                revision: event.revision.unwrap(),
                generation: event.generation.unwrap(),
                digest: event.digest.unwrap(),
            },
        ));
    }
    assert!(told.len() > 5, "seed {seed}");
    let oracle: Vec<ActivatedEvent> = told.iter().map(|(_, event)| *event).collect();
    let mut times: Vec<OffsetDateTime> = told.iter().map(|(at, _)| *at).collect();
    times.extend(told.iter().map(|(at, _)| *at - time::Duration::microseconds(1)));
    for at in times {
        for agent in &agents {
            let expected: Option<(Revision, Generation)> =
                in_force_at(&oracle, agent.id, stamp(at)).map(|event| (event.revision, event.generation));
            let found = event_in_force_at(&world.context.store, agent.id, at).await.unwrap();
            assert_eq!(found.map(|found| (found.revision, found.generation)), expected, "seed {seed}, {at}");
        }
    }
}
