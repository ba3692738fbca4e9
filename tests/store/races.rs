//! Several at once: publishers, rollbacks, drivers, agents.

use std::time::Duration;

use control_plane::operations::{PresenceRecord, PushConfig, push_config, record_presence};
use control_plane::reconcile::driver;
use fleet_core::history::EventKind;
use fleet_core::ids::{BootId, GatewayId};
use fleet_core::rollout::RolloutState;
use fleet_core::version::{DesiredVersion, Generation, Revision};
use futures_util::future::join_all;
use policy_config::ConfigDigest;
use tests::eventually::eventually;
use uuid::Uuid;

use crate::world::{Agent, FLEET, OPERATOR, World, order, pack, precondition, rollout, running};

#[tokio::test]
async fn the_same_bytes_at_once_are_one_revision() {
    let world = World::new().await;
    let pushed = join_all((0..8).map(|_| world.store(pack("p", "0.1.0", "a")))).await;
    let created = pushed.iter().filter(|pushed| pushed.as_ref().unwrap().created).count();
    assert_eq!(created, 1);
    assert!(pushed.iter().all(|pushed| pushed.as_ref().unwrap().version.revision.0 == 1));
    world.assert_gapless().await;
}

#[tokio::test]
async fn other_bytes_at_once_are_numbered_without_gaps_whatever_is_rolled_back() {
    let world = World::new().await;
    // Every third is refused after it has taken its locks: it names a fleet that is not there.
    let pushes = (0..24).map(|n| {
        let source = pack("p", &format!("0.{n}.0"), "x");
        let rollout = (n % 3 == 0).then(|| rollout("nowhere"));
        push_config(&world.context, &OPERATOR, PushConfig { rollout, ..order(source) })
    });
    let pushed = join_all(pushes).await;
    let mut revisions: Vec<u64> =
        pushed.iter().filter_map(|pushed| Some(pushed.as_ref().ok()?.version.revision.0)).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=16).collect::<Vec<u64>>());
    let events = world.events(&[EventKind::ConfigPushed]).await;
    let told: Vec<u64> = events.iter().map(|event| event.revision.unwrap().0).collect();
    assert_eq!(told, revisions, "history is in commit order");
    world.assert_gapless().await;
}

#[tokio::test]
async fn of_two_with_the_same_version_one_wins() {
    let world = World::new().await;
    let (one, other) =
        tokio::join!(world.store(pack("p", "0.1.0", "a")), world.store(pack("p", "0.1.0", "b")));
    let refused = match (one, other) {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        both => panic!("{both:?}"),
    };
    assert_eq!(precondition(refused).code, "version_reused");
}

#[tokio::test]
async fn the_same_key_at_once_is_one_request() {
    let (world, _) = World::with_gateways(&[]).await;
    let pushes = (0..6).map(|_| {
        let key = Some("ci-1".into());
        let push = PushConfig {
            idempotency_key: key,
            rollout: Some(rollout(FLEET)),
            ..order(pack("p", "0.1.0", "a"))
        };
        push_config(&world.context, &OPERATOR, push)
    });
    let pushed = join_all(pushes).await;
    let ids: std::collections::BTreeSet<_> =
        pushed.iter().map(|pushed| pushed.as_ref().unwrap().rollout.as_ref().unwrap().id).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.events(&[EventKind::RolloutStarted]).await.len(), 1);
}

#[tokio::test]
async fn of_two_rollouts_at_once_one_is_open() {
    let (world, _) = World::with_gateways(&["edge-1"]).await;
    let (one, other) = tokio::join!(world.push(pack("p", "0.1.0", "a")), world.push(pack("p", "0.2.0", "b")));
    let refused = match (one, other) {
        (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
        both => panic!("{both:?}"),
    };
    assert_eq!(precondition(refused).code, "rollout_open");
}

#[tokio::test]
async fn any_number_of_drivers_take_each_step_once() {
    let (world, agents) = World::with_gateways(&["edge-1", "edge-2", "edge-3"]).await;
    let id = world.push(pack("p", "0.1.0", "a")).await.unwrap().rollout.unwrap().id;
    let looks = join_all((0..6).map(|_| driver::look(&world.context))).await;
    let steps: usize = looks.iter().map(|look| look.as_ref().unwrap().steps).sum();
    assert_eq!(steps, 1, "the others lost the compare-and-set and that is no error");
    for agent in &agents {
        assert_eq!(world.desired(agent).await.generation.0, 1);
    }
    join_all(agents.iter().map(|agent| world.ack(agent))).await;
    while join_all((0..4).map(|_| driver::look(&world.context)))
        .await
        .iter()
        .any(|look| look.as_ref().unwrap().steps > 0)
    {}
    assert_eq!(world.rollout(id).await.state, RolloutState::Succeeded);
    let ended = world.events(&[EventKind::RolloutEnded]).await;
    assert_eq!(ended.len(), 1);
    world.assert_gapless().await;
}

#[tokio::test]
async fn presence_and_reports_of_many_never_wait_in_a_circle() {
    let world = World::new().await;
    let pool = &world.database.pool;
    sqlx::query("insert into fleets (name) values ('prod')").execute(pool).await.unwrap();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "insert into gateways (id, fleet, name, agent_version)
         select gen_random_uuid(), 'prod', 'g' || n, '0.1.0' from generate_series(1, 4000) n returning id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    sqlx::query("analyze gateways").execute(pool).await.unwrap();
    let agent = |id: &Uuid| Agent {
        id: GatewayId(*id),
        name: String::new(),
        boot: BootId(Uuid::from_u128(1)),
        session_counter: 1,
    };
    let heard = |ids: &[Uuid]| {
        let record = |id: &Uuid| PresenceRecord {
            gateway: GatewayId(*id),
            boot: BootId(Uuid::from_u128(1)),
            session_counter: 1,
            seen_ago: Duration::ZERO,
            attached: true,
        };
        ids.iter().map(record).collect::<Vec<_>>()
    };
    let presence = async || {
        for _ in 0..6 {
            record_presence(&world.context, heard(&ids)).await.unwrap();
        }
    };
    let reports = async || {
        for round in 1..=4_u64 {
            for some in ids.chunks(500) {
                let digest = ConfigDigest::of(&round.to_be_bytes());
                let desired = DesiredVersion { revision: Revision(1), generation: Generation(round), digest };
                let said = some.iter().map(|id| running(&world, &agent(id), desired)).collect();
                world.report(said).await;
            }
        }
    };
    tokio::join!(presence(), presence(), reports(), reports());
    // A server process hands in its counts when it ends.
    world.context.store.close().await;
    eventually("every session of the store has ended", Duration::from_secs(20), || async move {
        let sessions: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and application_name = 'kt-control-plane'",
        )
        .fetch_one(pool)
        .await
        .unwrap();
        if sessions == 0 { Ok(()) } else { Err(sessions) }
    })
    .await;
    let deadlocks: i64 =
        sqlx::query_scalar("select deadlocks from pg_stat_database where datname = current_database()")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(deadlocks, 0);
}
