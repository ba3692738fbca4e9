//! What a push stores, refuses and remembers.

use control_plane::operations::{OperationError, PushConfig, create_fleet, push_config};
use control_plane::store::configs::{config_get, config_list, revision_list, source_by_digest};
use fleet_core::history::EventKind;
use fleet_core::version::Revision;

use crate::world::{FLEET, OPERATOR, World, order, pack, precondition, rollout};

#[tokio::test]
async fn the_same_bytes_are_the_same_revision() {
    let world = World::new().await;
    let first = world.store(pack("p", "0.1.0", "a")).await.unwrap();
    let again = world.store(pack("p", "0.1.0", "a")).await.unwrap();
    assert_eq!((first.version.revision, first.created), (Revision(1), true));
    assert_eq!((again.version.clone(), again.created), (first.version.clone(), false));
    assert_eq!(world.events(&[EventKind::ConfigPushed]).await.len(), 1);

    let second = world.store(pack("p", "0.2.0", "b")).await.unwrap();
    assert_eq!(second.version.revision, Revision(2));
    let (record, source) =
        config_get(&world.context.store, &"p".parse().unwrap(), None).await.unwrap().unwrap();
    assert_eq!((record.version, source.to_vec()), (second.version.clone(), pack("p", "0.2.0", "b")));
    let by_digest = source_by_digest(&world.context.store, first.version.digest).await.unwrap().unwrap();
    assert_eq!(by_digest.to_vec(), pack("p", "0.1.0", "a"));
}

#[tokio::test]
async fn pages_go_on_where_they_ended() {
    let world = World::new().await;
    for (config, version) in [("a", "0.1.0"), ("a", "0.2.0"), ("a", "0.3.0"), ("b", "0.1.0"), ("c", "0.1.0")]
    {
        world.store(pack(config, version, "")).await.unwrap();
    }
    let store = &world.context.store;
    let first = config_list(store, None, 2).await.unwrap();
    let names: Vec<String> = first.items.iter().map(|record| record.version.config.to_string()).collect();
    assert_eq!((names, first.next.clone()), (vec!["a".into(), "b".into()], Some("b".parse().unwrap())));
    let rest = config_list(store, first.next.as_ref(), 2).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));

    let newest = revision_list(store, &"a".parse().unwrap(), None, 2).await.unwrap();
    assert_eq!(newest.next, Some(Revision(2)));
    let oldest = revision_list(store, &"a".parse().unwrap(), newest.next, 2).await.unwrap();
    assert_eq!(oldest.items.iter().map(|record| record.version.revision.0).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_version_with_other_bytes_is_refused_unless_allowed() {
    let world = World::new().await;
    world.store(pack("p", "0.1.0", "a")).await.unwrap();
    let refused = precondition(world.store(pack("p", "0.1.0", "b")).await.unwrap_err());
    assert_eq!(refused.code, "version_reused");
    let allowed = PushConfig { allow_same_version: true, ..order(pack("p", "0.1.0", "b")) };
    let pushed = push_config(&world.context, &OPERATOR, allowed).await.unwrap();
    assert_eq!(pushed.version.revision, Revision(2), "the refusal left no gap");
    let refusals = world.events(&[EventKind::Refused]).await;
    assert_eq!(refusals.len(), 1);
    assert_eq!((refusals[0].config.as_str(), &refusals[0].detail["code"]), ("p", &"version_reused".into()));
    world.assert_gapless().await;
}

#[tokio::test]
async fn the_expected_revision_must_be_the_newest() {
    let world = World::new().await;
    let expecting = |revision, version: &str| PushConfig {
        expect_revision: Some(Revision(revision)),
        ..order(pack("p", version, ""))
    };
    let push = |order| push_config(&world.context, &OPERATOR, order);
    assert_eq!(precondition(push(expecting(1, "0.1.0")).await.unwrap_err()).found, Some("0".into()));
    assert!(push(expecting(0, "0.1.0")).await.unwrap().created);
    let refused = precondition(push(expecting(0, "0.2.0")).await.unwrap_err());
    assert_eq!((refused.expected, refused.found), (Some("0".into()), Some("1".into())));
    assert!(push(expecting(1, "0.2.0")).await.unwrap().created);
}

#[tokio::test]
async fn a_pack_with_errors_is_refused_with_every_finding() {
    let world = World::new().await;
    create_fleet(&world.context, &OPERATOR, FLEET.parse().unwrap()).await.unwrap();
    let source = String::from_utf8(pack("p", "0.1.0", "a")).unwrap();
    let source = source.replace("pii-detector]", "pii-detectr, nonsense]");
    let Err(OperationError::Lint(report)) = world.push(source.into_bytes()).await else { panic!("admitted") };
    assert!(report.errors().count() >= 2, "{report:?}");
    assert!(!report.admissible());
    let refusals = world.events(&[EventKind::Refused]).await;
    assert_eq!((refusals.len(), refusals[0].fleet.as_str()), (1, FLEET));
}

#[tokio::test]
async fn a_key_answers_its_request_again_and_no_other() {
    let (world, _) = World::with_gateways(&[]).await;
    let keyed = |source| PushConfig {
        idempotency_key: Some("ci-1".into()),
        rollout: Some(rollout(FLEET)),
        ..order(source)
    };
    let push = |order| push_config(&world.context, &OPERATOR, order);
    let first = push(keyed(pack("p", "0.1.0", "a"))).await.unwrap();
    world.reconcile().await;
    let again = push(keyed(pack("p", "0.1.0", "a"))).await.unwrap();
    assert_eq!((first.created, again.created), (true, true), "as the first time");
    assert_eq!(first.rollout.unwrap().id, again.rollout.unwrap().id);
    let Err(OperationError::Conflict(conflict)) = push(keyed(pack("p", "0.2.0", "b"))).await else {
        panic!("the key was taken")
    };
    assert_eq!(conflict.code, "idempotency_key_reused");
}

#[tokio::test]
async fn a_dangerous_change_needs_to_be_accepted() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    let unguarded = String::from_utf8(pack("p", "0.2.0", "a")).unwrap();
    let unguarded = unguarded
        .replace("[prompt-injection, pii-detector]", "[pii-detector]")
        .replace("  prompt-injection: {}\n", "")
        .into_bytes();
    let refused = precondition(world.push(unguarded.clone()).await.unwrap_err());
    assert_eq!(refused.code, "risky_change");
    assert!(!refused.findings.is_empty());
    let accepted = PushConfig { accept_risk: true, rollout: Some(rollout(FLEET)), ..order(unguarded) };
    assert_eq!(push_config(&world.context, &OPERATOR, accepted).await.unwrap().version.revision, Revision(2));
}

#[tokio::test]
async fn a_fleet_runs_one_config_until_it_is_replaced() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    let unknown = world.push_with(pack("p", "0.1.0", "a"), rollout("nowhere")).await.unwrap_err();
    assert!(matches!(unknown, OperationError::NotFound { what: "fleet", .. }), "{unknown:?}");
    world.settled(pack("p", "0.1.0", "a"), &agents).await;
    assert_eq!(precondition(world.push(pack("q", "0.1.0", "a")).await.unwrap_err()).code, "fleet_bound");
    let mut replacing = rollout(FLEET);
    replacing.replace_config = true;
    let pushed = world.push_with(pack("q", "0.1.0", "a"), replacing).await.unwrap();
    assert_eq!(pushed.rollout.unwrap().version.config.as_str(), "q");
}
