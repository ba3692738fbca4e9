//! What agents say, late, twice and out of order.

use std::time::Duration;

use fleet_core::ids::{BootId, Lineage};
use fleet_core::offer::Stage;
use fleet_core::standing::Held;
use fleet_core::version::Generation;
use policy_config::ConfigDigest;
use uuid::Uuid;

use crate::world::{Agent, World, acked, nacked, pack, rollout, running};

#[tokio::test]
async fn a_repeated_report_is_confirmed_and_changes_nothing() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let desired = world.desired(&agents[0]).await;
    for _ in 0..3 {
        let confirmed = world.report(vec![acked(&world, &agents[0], desired)]).await;
        assert_eq!(confirmed.len(), 1);
        assert_eq!((confirmed[0].gateway, confirmed[0].generation), (agents[0].id, Generation(1)));
    }
    let late = nacked(&world, &agents[0], desired, Stage::Lint);
    assert_eq!(world.report(vec![late]).await.len(), 1);
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "active".into())]);
    world.assert_gapless().await;
}

#[tokio::test]
async fn reports_out_of_order_never_move_back() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let first = world.desired(&agents[0]).await;
    let mut order = rollout(crate::world::FLEET);
    order.supersede = true;
    world.push_with(pack("p", "0.2.0", "b"), order).await.unwrap();
    world.reconcile().await;
    let second = world.desired(&agents[0]).await;
    assert!(first.generation < second.generation);
    world.report(vec![acked(&world, &agents[0], second), acked(&world, &agents[0], first)]).await;
    world.report(vec![running(&world, &agents[0], first)]).await;
    let observed = world.gateway(&agents[0]).await.observed.unwrap();
    assert_eq!((observed.generation, observed.digest), (Some(second.generation), second.digest));
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "superseded".into()), (2, "active".into())]);
}

#[tokio::test]
async fn a_new_process_that_runs_less_than_the_last_one_is_believed_in_its_hello_alone() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let old = &agents[0];
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let first = world.desired(old).await;
    world.settled(pack("p", "0.2.0", "b"), &agents).await;
    let second = world.desired(old).await;
    let observed = async || world.gateway(old).await.observed.unwrap().generation;
    let hello = |agent: &Agent, desired| {
        let mut record = running(&world, agent, desired);
        record.running.as_mut().unwrap().from_hello = true;
        record
    };
    // Its process came back on the pack before: the new one was spoiled, or withdrawn after crashes.
    let mut new = old.clone();
    new.boot = BootId(Uuid::new_v4());
    world.attach(&new).await;
    world.report(vec![running(&world, &new, first), hello(old, first)]).await;
    assert_eq!(
        observed().await,
        Some(second.generation),
        "neither a heartbeat nor the hello of an older process"
    );
    // In one batch with the first thing that is said after it.
    world.report(vec![hello(&new, first), running(&world, &new, first)]).await;
    assert_eq!(observed().await, Some(first.generation));
    assert!(!world.gateway(old).await.in_sync);
    world.report(vec![hello(&new, first), acked(&world, &new, second)]).await;
    assert_eq!(observed().await, Some(second.generation), "an ack behind the hello is newer");
    assert!(world.gateway(old).await.in_sync);
}

#[tokio::test]
async fn what_means_nothing_here_is_confirmed_and_left_out() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let desired = world.desired(&agents[0]).await;
    let mut other_lineage = acked(&world, &agents[0], desired);
    other_lineage.lineage = Lineage(Uuid::new_v4());
    let mut never_assigned = acked(&world, &agents[0], desired);
    never_assigned.answered.as_mut().unwrap().generation = Generation(77);
    never_assigned.running = None;
    let mut other_bytes = acked(&world, &agents[0], desired);
    other_bytes.answered.as_mut().unwrap().digest = ConfigDigest::of(b"other");
    other_bytes.running = None;
    assert_eq!(world.report(vec![other_lineage, never_assigned, other_bytes]).await.len(), 3);
    assert!(world.outcomes(&agents[0]).await.is_empty());
    assert_eq!(world.gateway(&agents[0]).await.observed, None);
}

#[tokio::test]
async fn what_a_gateway_says_it_runs_stands_in_for_a_lost_ack() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let desired = world.desired(&agents[0]).await;
    assert!(world.report(vec![running(&world, &agents[0], desired)]).await.is_empty());
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "active".into())]);
    assert!(world.gateway(&agents[0]).await.in_sync);
}

#[tokio::test]
async fn an_older_stream_says_nothing_about_what_runs() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let desired = world.desired(&agents[0]).await;
    let mut newer = agents[0].clone();
    newer.session_counter = 2;
    world.attach(&newer).await;
    let mut zombie = running(&world, &agents[0], desired);
    zombie.running.as_mut().unwrap().digest = ConfigDigest::of(b"other");
    world.report(vec![zombie]).await;
    assert_eq!(world.gateway(&newer).await.observed, None);
    world.leave(&agents[0]).await;
    assert_eq!(
        world.gateway(&newer).await.liveness,
        fleet_core::liveness::Liveness::Online,
        "the end of the old stream does not end the new one"
    );
    assert!(world.try_attach(&agents[0]).await.is_err(), "the old stream cannot come back");
}

#[tokio::test]
async fn a_refusal_is_kept_for_the_next_stream() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    world.nack(&agents[0], Stage::Secrets).await;
    let mut reborn = agents[0].clone();
    reborn.boot = BootId(Uuid::new_v4());
    let outcome = world.attach(&reborn).await;
    let refusal = outcome.refusal.unwrap();
    assert_eq!((refusal.stage, refusal.boot), (Stage::Secrets, agents[0].boot));
    assert_eq!(Some(refusal.generation), outcome.desired.map(|desired| desired.generation));
    // The secret is there now.
    world.sent(&reborn, Duration::from_secs(30)).await;
    world.ack(&reborn).await;
    assert_eq!(world.outcomes(&reborn).await, [(1, "rejected".into()), (1, "active".into())]);
}

#[tokio::test]
async fn a_batch_of_many_is_recorded_as_one() {
    let names: Vec<String> = (0..40).map(|n| format!("edge-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (world, agents) = World::with_gateways(&names).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let mut records = Vec::new();
    for (index, agent) in agents.iter().enumerate() {
        let desired = world.desired(agent).await;
        records.push(match index % 4 {
            0 => nacked(&world, agent, desired, Stage::Lint),
            _ => acked(&world, agent, desired),
        });
    }
    let confirmed = world.report(records).await;
    let order: Vec<_> = confirmed.iter().map(|confirmed| confirmed.gateway).collect();
    assert_eq!(order, agents.iter().map(|agent| agent.id).collect::<Vec<_>>());
    let events = world.events(&[fleet_core::history::EventKind::Activation]).await;
    assert_eq!(events.iter().filter(|event| event.outcome == "active").count(), 30);
    let refused = events.iter().find(|event| event.outcome == "rejected").unwrap();
    assert_eq!((&refused.detail["stage"], refused.reason.as_str()), (&"lint".into(), "lacks OPENAI_API_KEY"));
    assert_eq!(refused.actor, format!("agent:{}", refused.gateway));
    world.assert_gapless().await;
}

#[tokio::test]
async fn a_stream_learns_what_was_heard_of_its_gateway() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let told = world.desired(&agents[0]).await;
    assert_eq!(world.attach(&agents[0]).await.observed, None);
    world.ack(&agents[0]).await;
    let held = Held { generation: told.generation, digest: told.digest };
    assert_eq!(world.attach(&agents[0]).await.observed, Some(held));
}

#[tokio::test]
async fn an_absurd_age_harms_nobody() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let mut record = acked(&world, &agents[0], world.desired(&agents[0]).await);
    record.answered.as_mut().unwrap().ago = Duration::MAX;
    record.running.as_mut().unwrap().ago = Duration::MAX;
    assert_eq!(world.report(vec![record]).await.len(), 1);
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "active".into())]);
}
