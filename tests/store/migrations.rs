//! Constraints that hold whoever writes, and the schema's guard.

use control_plane::store::migrate::{MigrateError, UnsafeServer};
use control_plane::store::{Store, StoreError, StoreOptions};
use sqlx::{AssertSqlSafe, Executor};
use tests::postgres::empty_database;

use crate::world::{World, pack};

/// The constraint that refuses this statement.
async fn refused_by(world: &World, statement: &str) -> String {
    let error = world.database.pool.execute(AssertSqlSafe(statement.to_owned())).await.unwrap_err();
    let error = error.as_database_error().unwrap_or_else(|| panic!("{statement}: {error}"));
    error.constraint().unwrap_or_else(|| panic!("{statement}: {error}")).to_owned()
}

#[tokio::test]
async fn each_rule_is_held_by_the_database_too() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    world.push(pack("p", "0.2.0", "b")).await.unwrap();
    world.reconcile().await;
    let copy_revision = "insert into config_revisions select name, 9, version, digest, source, author, note, \
        created_at from config_revisions where revision = 1";
    let copy_gateway = "insert into gateways (id, fleet, name, agent_version) values \
        ('00000000-0000-0000-0000-000000000001', 'prod', 'edge-1', '0')";
    let copy_rollout = "insert into rollouts (id, kind, fleet, config, revision, state, bake_ms, deadline_ms, \
        created_by) select '00000000-0000-0000-0000-000000000001', kind, fleet, config, revision, 'planned', \
        bake_ms, deadline_ms, created_by from rollouts where state = 'advancing'";
    for (statement, constraint) in [
        ("update config_revisions set note = 'x'", "config_revisions_immutable"),
        ("update history set reason = 'x'", "history_immutable"),
        (copy_revision, "config_revisions_digest"),
        (copy_gateway, "gateways_name"),
        (copy_rollout, "rollouts_one_open"),
        ("update desired_versions set generation = generation - 1", "desired_versions_generation"),
        ("update desired_versions set revision = 1", "desired_versions_generation"),
        ("update activations set state = 'rejected', stage = null", "activations_stage"),
        ("update rollouts set ended_at = now() where state = 'advancing'", "rollouts_ended"),
        ("update fleets set stable_by = null", "fleets_stable_whole"),
        ("update fleets set stable_revision = 99", "fleets_stable"),
    ] {
        assert_eq!(refused_by(&world, statement).await, constraint, "{statement}");
    }
}

#[tokio::test]
async fn replicas_migrate_an_empty_database_together_and_share_its_lineage() {
    let database = empty_database().await;
    let open = || {
        Store::open(StoreOptions {
            connect: database.options.clone(),
            max_connections: 2,
            unsafe_server: UnsafeServer::Warn,
        })
    };
    let (one, other) = tokio::join!(open(), open());
    assert_eq!(one.unwrap().lineage(), other.unwrap().lineage());
    let another = World::new().await;
    assert_ne!(open().await.unwrap().lineage(), another.context.store.lineage());
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let world = World::new().await;
    world
        .database
        .pool
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (9999, 'later', true, '', 0)",
        )
        .await
        .unwrap();
    let options = StoreOptions {
        connect: world.database.options.clone(),
        max_connections: 2,
        unsafe_server: UnsafeServer::Warn,
    };
    let refused = Store::open(options).await.unwrap_err();
    assert!(matches!(refused, MigrateError::SchemaTooNew { version: 9999 }), "{refused:?}");
}

#[tokio::test]
async fn a_server_that_became_a_standby_is_away_and_no_bug_of_ours() {
    let world = World::new().await;
    let error = world.database.pool.execute("begin read only; delete from fleets").await.unwrap_err();
    let error = StoreError::from(error);
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
