//! Three hundred gateways in one process: one push reaches them all, the number of transactions does not grow with
//! the fleet, and a restart of the control plane sends nobody what it has.

use std::time::Duration;

use proto::v1;
use sqlx::PgPool;
use tests::eventually::eventually;
use tests::fleet::{FLEET, Fleet};
use tests::operator::push_request;

const GATEWAYS: usize = 300;
/// What a push to any fleet may cost, over the seconds that it takes here: batches, the steps of the rollout, and
/// what runs by the clock.
const TRANSACTIONS: i64 = 150;
const PATIENCE: Duration = Duration::from_secs(120);

/// Transactions of this database so far.
async fn transactions(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn until_active(fleet: &Fleet, rollout: &str) -> v1::Rollout {
    eventually("every gateway is active", PATIENCE, async || {
        let rollout = fleet.plane.rollout(rollout).await;
        let counts = rollout.counts.unwrap_or_default();
        if usize::try_from(counts.active) == Ok(GATEWAYS) {
            Ok(rollout)
        } else {
            Err((rollout.state, counts))
        }
    })
    .await
}

async fn until_all_online(fleet: &Fleet) -> Vec<v1::Gateway> {
    eventually("every gateway is online", PATIENCE, async || {
        let request = v1::ListGatewaysRequest { fleet: FLEET.into(), page_size: 500, ..Default::default() };
        let gateways =
            fleet.plane.gateways().list_gateways(request).await.map_err(|error| error.to_string())?;
        let gateways = gateways.into_inner().gateways;
        let online = gateways.iter().filter(|one| one.liveness() == v1::Liveness::Online).count();
        if online == GATEWAYS { Ok(gateways) } else { Err(format!("{online} are online")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_push_reaches_them_all_in_a_bounded_number_of_transactions() {
    let names: Vec<String> = (0..GATEWAYS).map(|number| format!("edge-{number}")).collect();
    let mut fleet = Fleet::start(&[]).await;
    for name in &names {
        fleet.start_gateway(name).await;
    }
    until_all_online(&fleet).await;

    let before = transactions(&fleet.plane.database.pool).await;
    let mut push = push_request(FLEET, &fleet.provider.pack("0.1.0", "prompt-injection, audit-logger"));
    push.rollout.as_mut().unwrap().strategy = None;
    let pushed = fleet.plane.configs().push_config(push).await.unwrap().into_inner();
    let rollout = until_active(&fleet, &pushed.rollout.unwrap().id).await;
    let used = transactions(&fleet.plane.database.pool).await - before;
    // The server tells its counts up to a second late; a transaction for each gateway would show all the same.
    eprintln!("{used} transactions for one push to {GATEWAYS} gateways");
    assert!(used <= TRANSACTIONS, "{used} transactions for {GATEWAYS} gateways");
    assert_eq!(rollout.counts.unwrap().total, u32::try_from(GATEWAYS).unwrap());
    let serves =
        |name: &String| fleet.policy(name).is_some_and(|policy| policy.version.to_string() == "0.1.0");
    assert!(names.iter().all(serves));

    // In sync already: they come back, and nothing is offered, sent or activated again.
    let events = fleet.plane.events(v1::EventFilter::default()).await.len();
    fleet.plane.stop().await;
    fleet.plane.start_again().await;
    let gateways = until_all_online(&fleet).await;
    assert!(gateways.iter().all(|gateway| gateway.in_sync));
    let after = fleet.plane.events(v1::EventFilter::default()).await;
    assert!(after.iter().skip(events).all(|event| event.kind != "activation"), "{:?}", after.last());
}
