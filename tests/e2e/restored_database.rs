//! The database goes back to a backup: it knows lower generations than the gateways have seen, and the fleet follows
//! it all the same, forwards.

use proto::v1;
use tests::eventually::eventually;
use tests::fleet::{CHAIN, FLEET, Fleet};
use tests::plane::PATIENCE;
use tests::postgres::TestDatabase;

const GATEWAYS: [&str; 2] = ["edge-1", "edge-2"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_follows_a_database_that_was_restored() {
    let (mut fleet, backup) = backed_up().await;
    for version in ["0.2.0", "0.3.0", "0.4.0"] {
        push(&fleet, version).await;
    }
    let seen = fleet.plane.gateway(FLEET, "edge-1").await.observed.unwrap().generation();

    fleet.plane.stop().await;
    fleet.plane.restore(backup);
    fleet.plane.start_again().await;
    for name in GATEWAYS {
        fleet.until_online(name).await;
        // What the restored database wants, under a generation that the gateway has not seen.
        fleet.until_serves(name, "0.1.0").await;
    }
    push(&fleet, "0.5.0").await;
    for name in GATEWAYS {
        fleet.until_serves(name, "0.5.0").await;
        let gateway = fleet.plane.gateway(FLEET, name).await;
        assert!(gateway.in_sync && gateway.desired.unwrap().generation() > seen);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_that_runs_meanwhile_follows_it_too() {
    let fleet = Fleet::start(&GATEWAYS).await;
    push(&fleet, "0.1.0").await;
    let backup = fleet.plane.backup().await;
    until_there_again(&fleet).await;
    for version in ["0.2.0", "0.3.0", "0.4.0"] {
        push(&fleet, version).await;
    }
    fleet.plane.database.go_back_to(backup).await;
    for name in GATEWAYS {
        fleet.until_serves(name, "0.1.0").await;
    }
    until_there_again(&fleet).await;
    push(&fleet, "0.5.0").await;
    for name in GATEWAYS {
        fleet.until_serves(name, "0.5.0").await;
        assert!(fleet.plane.gateway(FLEET, name).await.in_sync);
    }
}

/// While it was away, the restored database counted to the very generation that it had seen of the one before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_knows_its_generation_by_other_bytes_gets_another() {
    let (mut fleet, backup) = backed_up().await;
    push(&fleet, "0.2.0").await;
    let seen = fleet.plane.gateway(FLEET, "edge-2").await.observed.unwrap().generation();

    fleet.stop_gateway("edge-2").await;
    fleet.plane.stop().await;
    fleet.plane.restore(backup);
    fleet.plane.start_again().await;
    fleet.until_online("edge-1").await;
    fleet.plane.push(FLEET, &fleet.provider.pack("0.3.0", CHAIN)).await;
    fleet.until_serves("edge-1", "0.3.0").await;
    let told = fleet.plane.gateway(FLEET, "edge-2").await.desired.unwrap();
    assert_eq!((told.generation(), told.version.as_str()), (seen, "0.3.0"));
    fleet.start_gateway("edge-2").await;
    fleet.until_serves("edge-2", "0.3.0").await;
}

/// A fleet that runs 0.1.0, and its database as it is then.
async fn backed_up() -> (Fleet, TestDatabase) {
    let mut fleet = Fleet::start(&GATEWAYS).await;
    push(&fleet, "0.1.0").await;
    fleet.plane.stop().await;
    let backup = fleet.plane.backup().await;
    fleet.plane.start_again().await;
    for name in GATEWAYS {
        fleet.until_online(name).await;
    }
    (fleet, backup)
}

/// An order is taken again.
async fn until_there_again(fleet: &Fleet) {
    eventually("the control plane is ready", PATIENCE, async || {
        let url = format!("{}/readyz", fleet.plane.admin_url);
        let answer = fleet.http.get(&url).await.map_err(|error| format!("{error:#}"))?;
        let request = tests::operator::push_request(FLEET, "no pack");
        let refused = fleet.plane.configs().push_config(request).await.expect_err("it is none").code();
        if answer.status == 200 && refused == tonic::Code::InvalidArgument {
            Ok(())
        } else {
            Err(refused.to_string())
        }
    })
    .await;
}

async fn push(fleet: &Fleet, version: &str) {
    let pushed = fleet.plane.push(FLEET, &fleet.provider.pack(version, CHAIN)).await;
    fleet.until_ended(&pushed.rollout.unwrap().id, v1::RolloutState::Succeeded).await;
}
