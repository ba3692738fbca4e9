//! Who is a gateway, where it is placed, whether it is there.

use std::time::Duration;

use control_plane::operations::{EnrollGateway, OperationError, create_fleet, enroll_gateway};
use control_plane::reconcile::expire;
use control_plane::store::desired::{ChangeMark, Changes, desired_since};
use control_plane::store::gateways::gateway_list;
use control_plane::store::tokens::{TokenHash, agent_find};
use fleet_core::gateway::Labels;
use fleet_core::history::EventKind;
use fleet_core::ids::BootId;
use fleet_core::liveness::Liveness;
use fleet_core::offer::Stage;
use fleet_core::rollout::RolloutState;
use fleet_core::version::{Generation, Revision};
use tests::eventually::eventually;
use uuid::Uuid;

use crate::world::{Agent, FLEET, OPERATOR, World, pack, precondition, rollout};

const LIMIT: Duration = Duration::from_secs(20);

fn enrolment(path: &str) -> EnrollGateway {
    let labels = Labels::new([("region".to_owned(), "eu".to_owned())]).unwrap();
    EnrollGateway { path: path.parse().unwrap(), labels, agent_version: "0.1.0".to_owned() }
}

#[tokio::test]
async fn a_fleet_is_made_once() {
    let world = World::new().await;
    create_fleet(&world.context, &OPERATOR, FLEET.parse().unwrap()).await.unwrap();
    let again = create_fleet(&world.context, &OPERATOR, FLEET.parse().unwrap()).await.unwrap_err();
    assert!(matches!(again, OperationError::AlreadyExists { what: "fleet", .. }), "{again:?}");
    assert_eq!(world.events(&[EventKind::Refused]).await.len(), 1);
}

#[tokio::test]
async fn a_name_is_taken_over_unless_it_holds_a_live_stream() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let path = "prod/edge-1";
    let refused = enroll_gateway(&world.context, &OPERATOR, enrolment(path)).await.unwrap_err();
    assert_eq!(precondition(refused).code, "gateway_online");
    world.leave(&agents[0]).await;
    let first = enroll_gateway(&world.context, &OPERATOR, enrolment(path)).await.unwrap();
    let second = enroll_gateway(&world.context, &OPERATOR, enrolment(path)).await.unwrap();
    assert_eq!((first.id, second.id), (agents[0].id, agents[0].id), "(fleet, name) is one gateway");
    let store = &world.context.store;
    let find = |enrolled: &control_plane::operations::EnrolledGateway| {
        TokenHash(*enrolled.credential.hash().as_bytes())
    };
    assert_eq!(agent_find(store, find(&first)).await.unwrap(), None, "the older credential is void");
    assert_eq!(agent_find(store, find(&second)).await.unwrap().unwrap().0, agents[0].id);
    let unknown = enroll_gateway(&world.context, &OPERATOR, enrolment("nowhere/edge-1")).await.unwrap_err();
    let OperationError::NotFound { what: "fleet", known, .. } = unknown else { panic!("{unknown:?}") };
    assert_eq!(known, [FLEET]);
}

#[tokio::test]
async fn a_new_gateway_gets_stable_and_not_the_head() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.push(pack("p", "0.2.0", "b")).await.unwrap();
    world.reconcile().await;
    let newcomer = world.agent("edge-2").await;
    assert_eq!(world.desired(&newcomer).await.revision, Revision(1));
    assert_eq!(world.attach(&newcomer).await.desired.unwrap().revision, Revision(1));
    world.ack(&agents[0]).await;
    world.reconcile().await;
    assert_eq!(world.desired(&newcomer).await.revision, Revision(2), "the rest follows the success");
    assert_eq!(world.desired(&newcomer).await.generation.0, 2);
    assert_eq!(world.outcomes(&newcomer).await, [(1, "superseded".into())]);
}

#[tokio::test]
async fn a_returning_gateway_gets_stable_when_its_rollout_failed() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.leave(&agents[1]).await;
    // Refused by the only one there: the other one was told revision 1 but never heard of it.
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    world.nack(&agents[0], Stage::Compile).await;
    world.reconcile().await;
    let second = world.push(pack("p", "0.2.0", "b")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.ack(&agents[0]).await;
    world.reconcile().await;
    assert!(world.rollout(second).await.state.is_end());
    let mut returning = agents[1].clone();
    returning.boot = BootId(Uuid::new_v4());
    assert_eq!(world.attach(&returning).await.desired.unwrap().revision, Revision(2));

    // An aborted one is not proven: back to stable, with a new generation.
    let mut open = rollout(FLEET);
    open.supersede = true;
    world.push_with(pack("p", "0.3.0", "c"), open.clone()).await.unwrap();
    world.reconcile().await;
    let told = world.desired(&returning).await;
    assert_eq!(world.attach(&returning).await.desired, Some(told), "its rollout is open");
    // Only one gateway is left to answer; the other is away when the next rollout takes over and ends.
    world.leave(&returning).await;
    world.nack(&agents[0], Stage::Compile).await;
    world.reconcile().await;
    world.ack(&agents[0]).await;
    world.reconcile().await;
    let back = world.attach(&returning).await.desired.unwrap();
    assert_eq!(back.revision, Revision(2));
    assert!(back.generation > told.generation);
}

#[tokio::test]
async fn a_gateway_that_lost_its_disk_is_placed_like_a_new_one() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.leave(&agents[0]).await;
    let wiped = world.agent("edge-1").await;
    assert_eq!(wiped.id, agents[0].id);
    let desired = world.desired(&wiped).await;
    assert_eq!((desired.revision, desired.generation.0), (Revision(1), 2), "a new assignment of stable");
    assert_eq!(world.gateway(&wiped).await.observed, None);
    world.ack(&wiped).await;
    let outcomes = [(1, "active".into()), (1, "proven".into()), (2, "active".into())];
    assert_eq!(world.outcomes(&wiped).await, outcomes);
}

#[tokio::test]
async fn who_is_not_heard_of_is_lost_and_may_return() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    expire::look(&world.context).await.unwrap();
    assert!(world.events(&[EventKind::GatewayLost]).await.is_empty());
    sqlx::query("update gateways set last_seen = now() - interval '61 seconds'")
        .execute(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(world.gateway(&agents[0]).await.liveness, Liveness::Offline);
    expire::look(&world.context).await.unwrap();
    expire::look(&world.context).await.unwrap();
    assert_eq!(world.events(&[EventKind::GatewayLost]).await.len(), 1, "told once");
    world.presence(&agents[0], Duration::ZERO, true).await;
    world.presence(&agents[0], Duration::ZERO, true).await;
    let returned = world.events(&[EventKind::GatewayReturned]).await;
    assert_eq!((returned.len(), returned[0].gateway.as_str()), (1, "prod/edge-1"));
    assert_eq!(world.gateway(&agents[0]).await.liveness, Liveness::Online);
}

#[tokio::test]
async fn readers_of_changes_see_each_once() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    let store = &world.context.store;
    assert_eq!(desired_since(store, ChangeMark(0)).await.unwrap(), Changes::default());
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let Changes { desired: changed, mark, .. } = desired_since(store, ChangeMark(0)).await.unwrap();
    assert_eq!(changed.len(), 2);
    assert!(mark > ChangeMark(0));
    assert_eq!(desired_since(store, mark).await.unwrap(), Changes { mark, ..Changes::default() });
    let ahead = desired_since(store, ChangeMark(mark.0 + 1)).await.unwrap();
    assert!(ahead.went_back && ahead.mark == mark);
    let newcomer = world.agent("edge-3").await;
    let changed = desired_since(store, mark).await.unwrap().desired;
    assert_eq!(changed, [(newcomer.id, world.desired(&newcomer).await)]);
}

#[tokio::test]
async fn gateways_are_listed_by_page() {
    let (world, _) = World::with_gateways(&["c", "a", "b"]).await;
    let store = &world.context.store;
    let first = gateway_list(store, Some(&FLEET.parse().unwrap()), None, 2).await.unwrap();
    let names: Vec<String> = first.items.iter().map(|gateway| gateway.path.to_string()).collect();
    assert_eq!(names, ["prod/a", "prod/b"]);
    let rest = gateway_list(store, None, first.next.as_ref(), 2).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
}

#[tokio::test]
async fn what_is_told_late_of_an_older_start_ends_no_newer_stream() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let restarted = Agent { boot: BootId(Uuid::new_v4()), ..agents[0].clone() };
    world.attach(&restarted).await;
    // Another replica writes what it heard before, then that its stream ended.
    world.presence(&agents[0], Duration::from_secs(1), true).await;
    world.presence(&agents[0], Duration::ZERO, false).await;
    assert_eq!(world.gateway(&restarted).await.liveness, Liveness::Online);
    // What was heard since stands, should the attach itself have been lost in a crash of the server.
    sqlx::query("update gateways set boot_id = gen_random_uuid(), attached = false, last_seen = now() - interval '9 s'")
        .execute(&world.database.pool)
        .await
        .unwrap();
    world.presence(&restarted, Duration::ZERO, true).await;
    assert_eq!(world.gateway(&restarted).await.liveness, Liveness::Online);
}

#[tokio::test]
async fn what_a_gateway_has_seen_lifts_its_next_generation_and_keeps_its_rollout() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let agent = &agents[0];
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let pushed = world.push(pack("p", "0.2.0", "b")).await.unwrap();
    world.reconcile().await;
    let told = world.desired(agent).await;
    // The database was restored: it counts where the gateway has been.
    let seen = Generation(told.generation.0 + 5);
    let outcome = world.attach_having_seen(agent, Some(seen)).await;
    let again = world.desired(agent).await;
    assert_eq!((again.generation, again.revision), (seen.next(), told.revision));
    assert_eq!(outcome.desired, Some(again));
    let rollout = world.rollout(pushed.rollout.as_ref().unwrap().id).await;
    assert_eq!((rollout.state, rollout.counts.pending), (RolloutState::Advancing, 1), "it is still asked");
    // Once it was lifted there is nothing to lift.
    world.attach_having_seen(agent, Some(seen)).await;
    assert_eq!(world.desired(agent).await, again);
    world.attach_having_seen(agent, Some(Generation(u64::MAX))).await;
    assert_eq!(world.desired(agent).await, again, "nobody counted to that");

    world.nack(agent, Stage::Lint).await;
    eventually("its refusal counts, and it goes back", LIMIT, async || {
        world.reconcile().await;
        let rollout = world.rollout(rollout.id).await;
        if rollout.state == RolloutState::Reverting { Ok(()) } else { Err(rollout.state) }
    })
    .await;
    assert_eq!(world.desired(agent).await.revision, Revision(1));
    world.assert_gapless().await;
}
