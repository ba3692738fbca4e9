//! What wakes other replicas, and what must not.

use std::time::Duration;

use control_plane::operations::Wake;
use control_plane::store::{Store, StoreOptions, migrate::UnsafeServer, wakeup};
use service_kit::drain;
use sqlx::postgres::PgListener;
use tests::cut_link::CutLink;
use tokio::time::{Instant, timeout};

use crate::world::{World, pack};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_order_wakes_the_other_replicas() {
    let (world, _) = World::with_gateways(&["edge-1"]).await;
    let options = StoreOptions {
        connect: world.database.options.clone(),
        max_connections: 2,
        unsafe_server: UnsafeServer::Warn,
    };
    let store = Store::open(options).await.unwrap();
    let (trigger, watcher) = drain::channel();
    let wake = Wake::new();
    let mut other = wake.listen();
    watcher.spawn("wake-ups", wakeup::listen(store, wake, watcher.clone()));
    timeout(LIMIT, other.woken())
        .await
        .expect("a new connection is a wake-up: something may have been missed");
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    timeout(LIMIT, other.woken()).await.expect("the order is heard of");
    trigger.start();
    trigger.drained(LIMIT).await.unwrap();
}

/// The connection that only listens never learns by itself that its peer is gone.
#[tokio::test]
async fn a_listener_whose_peer_vanished_hears_again() {
    let (world, _) = World::with_gateways(&["edge-1"]).await;
    let (link, url) = CutLink::to_database(&world.database).await;
    let options =
        StoreOptions { connect: url.parse().unwrap(), max_connections: 2, unsafe_server: UnsafeServer::Warn };
    let store = Store::open(options).await.unwrap();
    let (trigger, watcher) = drain::channel();
    let wake = Wake::new();
    let mut other = wake.listen();
    watcher.spawn("wake-ups", wakeup::listen(store, wake, watcher.clone()));
    timeout(LIMIT, other.woken()).await.expect("it listens");
    link.lose();
    let lost = Instant::now();
    timeout(LIMIT, other.woken()).await.expect("a new connection is a wake-up");
    eprintln!("a listener whose peer vanished was found out after {:?}", lost.elapsed());
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    timeout(LIMIT, other.woken()).await.expect("the order is heard of");
    trigger.start();
    trigger.drained(LIMIT).await.unwrap();
}

#[tokio::test]
async fn reports_notify_nobody() {
    let (world, agents) = World::with_gateways(&["edge-1"]).await;
    world.push(pack("p", "0.1.0", "a")).await.unwrap();
    world.reconcile().await;
    let mut listener = PgListener::connect_with(&world.database.pool).await.unwrap();
    listener.listen("fleet").await.unwrap();
    world.sent(&agents[0], LIMIT).await;
    world.ack(&agents[0]).await;
    world.presence(&agents[0], Duration::ZERO, true).await;
    // Whatever was notified before comes before this.
    sqlx::query("select pg_notify('fleet', 'end of test')").execute(&world.database.pool).await.unwrap();
    let first = timeout(LIMIT, listener.recv()).await.unwrap().unwrap();
    assert_eq!(first.payload(), "end of test");
}
