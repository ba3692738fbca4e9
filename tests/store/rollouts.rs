//! A whole rollout, from the order to its end: succeeded, refused, superseded, out of time.

use std::time::Duration;

use control_plane::operations::{StartRollout, start_rollout};
use control_plane::reconcile::{driver, expire};
use control_plane::store::fleets::{StableBy, fleet_get};
use control_plane::store::rollout_reads::rollout_list;
use fleet_core::history::EventKind;
use fleet_core::offer::Stage;
use fleet_core::rollout::{Counts, RolloutState, RolloutStrategy};
use fleet_core::version::Revision;
use tests::eventually::eventually;

use crate::world::{FLEET, OPERATOR, World, pack, precondition, rollout, running};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_rollout_that_everybody_activates_succeeds() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2", "edge-3"]).await;
    let pushed = world.push(pack("p", "0.1.0", "a")).await.unwrap();
    let planned = pushed.rollout.unwrap();
    assert_eq!((planned.state, planned.counts.total()), (RolloutState::Planned, 3));
    let declared = fleet_get(&world.context.store, &FLEET.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(declared.stable.unwrap().by, StableBy::Declared);

    world.reconcile().await;
    world.ack(&agents[0]).await;
    world.ack(&agents[1]).await;
    world.reconcile().await;
    let open = world.rollout(planned.id).await;
    assert_eq!(open.state, RolloutState::Advancing);
    assert_eq!(open.counts, Counts { pending: 1, active: 2, ..Counts::default() });
    assert_eq!(open.waiting_on, ["1 gateway to activate (edge-3)"]);
    assert_eq!((open.waves[0].state.as_str(), open.waves[0].targets, open.waves[0].active), ("open", 3, 2));

    world.ack(&agents[2]).await;
    world.reconcile().await;
    let ended = world.rollout(planned.id).await;
    assert_eq!(ended.state, RolloutState::Succeeded);
    assert_eq!(ended.counts, Counts { active: 3, proven: 3, ..Counts::default() });
    assert_eq!(ended.waves[0].state, "passed");
    let fleet = fleet_get(&world.context.store, &FLEET.parse().unwrap()).await.unwrap().unwrap();
    let stable = fleet.stable.unwrap();
    assert_eq!((stable.by, stable.version), (StableBy::Succeeded, pushed.version));
    for agent in &agents {
        assert_eq!(world.outcomes(agent).await, [(1, "active".into()), (1, "proven".into())]);
        assert!(world.gateway(agent).await.in_sync);
    }
    let told = [EventKind::RolloutStarted, EventKind::WaveStarted, EventKind::RolloutEnded];
    let kinds: Vec<EventKind> = world.events(&told).await.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, told);
    world.assert_gapless().await;
}

#[tokio::test]
async fn a_refusal_sends_everybody_back_and_the_counts_stay() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let id = world.push(pack("p", "0.2.0", "b")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.ack(&agents[0]).await;
    world.nack(&agents[1], Stage::Secrets).await;
    world.reconcile().await;
    let reverting = world.rollout(id).await;
    assert_eq!(reverting.state, RolloutState::Reverting);
    assert_eq!(reverting.settled, Some(Counts { active: 1, rejected: 1, ..Counts::default() }));
    assert_eq!(reverting.reason, "1 of 2 gateways refused it");
    assert_eq!(reverting.rejections.len(), 1);
    assert_eq!(reverting.rejections[0].gateway.to_string(), "prod/edge-2");
    assert_eq!(reverting.rejections[0].refusal.stage, Stage::Secrets);
    assert_eq!(reverting.waiting_on, ["2 gateways to go back (edge-1, edge-2)"]);

    for agent in &agents {
        let desired = world.desired(agent).await;
        assert_eq!(
            (desired.revision, desired.generation.0),
            (Revision(1), 3),
            "a new generation, old content"
        );
        world.ack(agent).await;
    }
    world.reconcile().await;
    let ended = world.rollout(id).await;
    assert_eq!(ended.state, RolloutState::Reverted);
    assert_eq!(ended.reason, "1 of 2 gateways refused it");
    assert_eq!(ended.settled, Some(Counts { active: 1, rejected: 1, ..Counts::default() }));
    let expected = ["active", "proven", "active", "rolled_back", "active"];
    let mut outcomes: Vec<String> =
        world.outcomes(&agents[0]).await.into_iter().map(|(_, outcome)| outcome).collect();
    // Both came in one report: left first or arrived first is the same fact.
    outcomes.sort_unstable();
    let mut sorted = expected.map(String::from).to_vec();
    sorted.sort_unstable();
    assert_eq!(outcomes, sorted);
    let fleet = fleet_get(&world.context.store, &FLEET.parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(fleet.stable.unwrap().version.revision, Revision(1));
    world.assert_gapless().await;
}

#[tokio::test]
async fn a_first_push_that_is_refused_has_nothing_to_go_back_to() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.nack(&agents[0], Stage::Compile).await;
    world.nack(&agents[1], Stage::Compile).await;
    world.reconcile().await;
    assert_eq!(world.rollout(id).await.state, RolloutState::Reverted, "none keeps it");

    // With one that keeps it, it is halted; it was offered anew because an operator pushed again.
    let again = world.push(pack("p", "0.1.0", "a")).await.unwrap();
    assert!(!again.created);
    let id = again.rollout.unwrap().id;
    world.reconcile().await;
    assert_eq!(world.desired(&agents[0]).await.generation.0, 2);
    world.ack(&agents[0]).await;
    world.nack(&agents[1], Stage::Compile).await;
    world.reconcile().await;
    let halted = world.rollout(id).await;
    assert_eq!(halted.state, RolloutState::Halted);
    assert_eq!(halted.settled, Some(Counts { active: 1, rejected: 1, ..Counts::default() }));
}

#[tokio::test]
async fn what_runs_already_is_not_assigned_again() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let before = world.events(&[EventKind::Activation]).await.len();
    let again = world.push(pack("p", "0.1.0", "a")).await.unwrap();
    assert!(!again.created);
    world.reconcile().await;
    let ended = world.rollout(again.rollout.unwrap().id).await;
    assert_eq!((ended.state, ended.counts.proven), (RolloutState::Succeeded, 2));
    assert_eq!(world.desired(&agents[0]).await.generation.0, 1);
    assert_eq!(world.events(&[EventKind::Activation]).await.len(), before, "no new activation");
}

#[tokio::test]
async fn an_open_rollout_is_superseded_on_request_or_in_its_bake() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let first = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    let same = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    assert_eq!(same, first, "the open rollout of the same revision");
    assert_eq!(precondition(world.push(pack("p", "0.2.0", "b")).await.unwrap_err()).code, "rollout_open");
    let mut forced = rollout(FLEET);
    forced.supersede = true;
    forced.strategy.bake = Duration::from_secs(600);
    let second = world.push_with(pack("p", "0.2.0", "b"), forced).await.unwrap().rollout.unwrap().id;
    let aborted = world.rollout(first).await;
    assert_eq!((aborted.state, aborted.reason), (RolloutState::Aborted, format!("superseded by {second}")));
    world.reconcile().await;
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "superseded".into())]);

    world.ack(&agents[0]).await;
    world.reconcile().await;
    assert_eq!(world.rollout(second).await.waves[0].state, "baking");
    let third = world.push(pack("p", "0.3.0", "c")).await.unwrap().rollout.unwrap().id;
    assert_eq!(world.rollout(second).await.state, RolloutState::Aborted);
    world.reconcile().await;
    assert_eq!(world.rollout(third).await.state, RolloutState::Advancing);
    let page = rollout_list(&world.context.store, None, None, 2).await.unwrap();
    assert_eq!(page.items.iter().map(|view| view.id).collect::<Vec<_>>(), [third, second]);
    let rest = rollout_list(&world.context.store, None, page.next, 2).await.unwrap();
    assert_eq!((rest.items[0].id, rest.next), (first, None));
}

#[tokio::test]
async fn silence_is_an_answer_and_a_late_ack_still_counts() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.sent(&agents[0], Duration::from_secs(60)).await;
    assert_eq!(expire::look(&world.context).await.unwrap(), 0, "in time");
    // Sent again, on a stream that ends: away is not silent.
    world.sent(&agents[0], Duration::ZERO).await;
    world.leave(&agents[0]).await;
    assert_eq!(expire::look(&world.context).await.unwrap(), 0, "it is offline");
    assert_eq!(world.rollout(id).await.counts.offline, 1);
    // Cut off, and its stream not yet known to be dead: the rollout calls it offline, so it is not silent either.
    world.presence(&agents[0], Duration::ZERO, true).await;
    sqlx::query("update gateways set last_seen = now() - interval '20 s'")
        .execute(&world.database.pool)
        .await
        .unwrap();
    assert_eq!(world.rollout(id).await.counts.offline, 1);
    assert_eq!(expire::look(&world.context).await.unwrap(), 0, "it is cut off");
    world.presence(&agents[0], Duration::ZERO, true).await;
    assert_eq!(expire::look(&world.context).await.unwrap(), 1);
    assert_eq!(expire::look(&world.context).await.unwrap(), 0, "once");
    assert_eq!(world.rollout(id).await.counts.timed_out, 1);
    world.ack(&agents[0]).await;
    assert_eq!(world.outcomes(&agents[0]).await, [(1, "timed_out".into()), (1, "active".into())]);
}

#[tokio::test]
async fn offline_gateways_are_waited_for_only_when_nobody_else_is_there() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.leave(&agents[1]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.ack(&agents[0]).await;
    world.reconcile().await;
    let ended = world.rollout(id).await;
    assert_eq!(ended.state, RolloutState::Succeeded);
    assert_eq!(ended.counts, Counts { active: 1, proven: 1, offline: 1, ..Counts::default() });
    // Caught up later: it keeps what it was told.
    let mut returning = agents[1].clone();
    returning.session_counter = 2;
    assert_eq!(world.attach(&returning).await.desired, Some(world.desired(&agents[1]).await));
}

#[tokio::test]
async fn the_deadline_ends_the_waiting() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let mut order = rollout(FLEET);
    order.strategy = RolloutStrategy { bake: Duration::ZERO, deadline: Duration::from_secs(1) };
    let id = world.push_with(pack("p", "0.2.0", "b"), order).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.ack(&agents[0]).await;
    let look = driver::look(&world.context).await.unwrap();
    assert!(look.due_in.is_some_and(|due| due <= Duration::from_secs(1)), "{look:?}");
    let (world, agents) = (&world, &agents);
    eventually("the rollout goes back", LIMIT, || async move {
        world.reconcile().await;
        let state = world.rollout(id).await.state;
        if state == RolloutState::Reverting { Ok(()) } else { Err(state) }
    })
    .await;
    assert_eq!(world.rollout(id).await.reason, "1 gateway not active before the deadline");
    // One arrives; the other says nothing, and the waiting for it ends too.
    world.ack(&agents[0]).await;
    eventually("the rollout ends", LIMIT, || async move {
        world.reconcile().await;
        let state = world.rollout(id).await.state;
        if state == RolloutState::Reverted { Ok(()) } else { Err(state) }
    })
    .await;
}

#[tokio::test]
async fn a_replaced_config_comes_back_when_the_new_one_is_refused() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let mut order = rollout(FLEET);
    order.replace_config = true;
    let id = world.push_with(pack("q", "0.1.0", "a"), order).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.nack(&agents[0], Stage::Compile).await;
    world.reconcile().await;
    world.report(vec![running(&world, &agents[0], world.desired(&agents[0]).await)]).await;
    world.reconcile().await;
    assert_eq!(world.rollout(id).await.state, RolloutState::Reverted);
    let fleet = fleet_get(&world.context.store, &FLEET.parse().unwrap()).await.unwrap().unwrap();
    let stable = fleet.stable.unwrap();
    assert_eq!((stable.version.config.as_str(), stable.by), ("p", StableBy::Succeeded));
}

#[tokio::test]
async fn a_stored_revision_can_be_rolled_out() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.settled(pack("p", "0.2.0", "b"), &agents).await;
    let start = |revision| StartRollout {
        config: "p".parse().unwrap(),
        revision: Revision(revision),
        order: rollout(FLEET),
        accept_risk: false,
        idempotency_key: None,
    };
    let view = start_rollout(&world.context, &OPERATOR, start(1)).await.unwrap();
    world.reconcile().await;
    assert_eq!(world.desired(&agents[0]).await.revision, Revision(1));
    assert_eq!(world.desired(&agents[0]).await.generation.0, 3);
    world.ack(&agents[0]).await;
    world.reconcile().await;
    assert_eq!(world.rollout(view.id).await.state, RolloutState::Succeeded);
    let missing = start_rollout(&world.context, &OPERATOR, start(9)).await.unwrap_err();
    assert_eq!(missing.code(), "not_found");
    assert_eq!(world.events(&[EventKind::Refused]).await.len(), 1);
}

#[tokio::test]
async fn a_breach_sends_nobody_away_from_what_was_proven_before() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.leave(&agents[1]).await;
    world.settled(pack("p", "0.2.0", "b"), &agents[..1]).await;
    // The other one comes back and refuses what the fleet runs; an operator pushes it again.
    world.attach(&agents[1]).await;
    world.nack(&agents[1], Stage::Secrets).await;
    let again = world.push(pack("p", "0.2.0", "b")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.nack(&agents[1], Stage::Secrets).await;
    world.reconcile().await;
    assert_eq!(world.desired(&agents[0]).await.revision, Revision(2), "it was proven there before");
    assert_eq!(world.desired(&agents[1]).await.revision, Revision(1));
    world.ack(&agents[1]).await;
    world.reconcile().await;
    assert_eq!(world.rollout(again).await.state, RolloutState::Halted, "one keeps it");
}

#[tokio::test]
async fn a_member_that_lost_its_disk_follows_the_success() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let id = world.push(pack("p", "0.2.0", "b")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.leave(&agents[1]).await;
    let wiped = world.agent("edge-2").await;
    assert_eq!(world.desired(&wiped).await.revision, Revision(1), "stable, not head");
    world.ack(&agents[0]).await;
    world.reconcile().await;
    assert_eq!(world.rollout(id).await.state, RolloutState::Succeeded);
    assert_eq!(world.desired(&wiped).await.revision, Revision(2));
}

#[tokio::test]
async fn a_disk_lost_before_the_first_answer_leaves_the_rollout_its_gateway() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.leave(&agents[0]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    let wiped = world.agent("edge-1").await;
    world.ack(&wiped).await;
    world.reconcile().await;
    let ended = world.rollout(id).await;
    assert_eq!((ended.state, ended.counts.active), (RolloutState::Succeeded, 1));
}

#[tokio::test]
async fn a_rollout_that_takes_over_gives_the_fleet_back_as_well() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let mut order = rollout(FLEET);
    order.replace_config = true;
    order.supersede = true;
    let stable = async || {
        let fleet = fleet_get(&world.context.store, &FLEET.parse().unwrap()).await.unwrap().unwrap();
        let stable = fleet.stable.unwrap();
        (stable.version.config.to_string(), stable.version.revision.0, stable.by)
    };
    for (source, bound) in [
        (pack("q", "0.1.0", "a"), ("q".to_owned(), 1, StableBy::Declared)),
        (pack("q", "0.2.0", "b"), ("q".to_owned(), 2, StableBy::Declared)),
        (pack("p", "0.2.0", "b"), ("p".to_owned(), 1, StableBy::Succeeded)),
        (pack("q", "0.3.0", "c"), ("q".to_owned(), 3, StableBy::Declared)),
        (pack("q", "0.4.0", "d"), ("q".to_owned(), 4, StableBy::Declared)),
    ] {
        world.push_with(source, order.clone()).await.unwrap();
        world.reconcile().await;
        assert_eq!(stable().await, bound);
    }
    world.nack(&agents[0], Stage::Compile).await;
    world.reconcile().await;
    assert_eq!(stable().await, ("p".to_owned(), 1, StableBy::Succeeded), "as before the first of them");
    world.ack(&agents[0]).await;
    world.reconcile().await;
    let told = world.desired(&agents[0]).await;
    assert_eq!(world.attach(&agents[0]).await.desired, Some(told), "a reconnect moves nothing");
}

#[tokio::test]
async fn an_offer_of_a_stream_that_ended_is_not_unanswered_on_the_next() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    world.reconcile().await;
    world.sent(&agents[0], Duration::ZERO).await;
    world.leave(&agents[0]).await;
    let mut returning = agents[0].clone();
    returning.session_counter = 2;
    world.attach(&returning).await;
    // Back, and not offered anything yet on this stream.
    assert_eq!(expire::look(&world.context).await.unwrap(), 0);
    world.sent(&returning, Duration::ZERO).await;
    assert_eq!(expire::look(&world.context).await.unwrap(), 1);
    assert_eq!(world.rollout(id).await.counts.timed_out, 1);
}
