//! A real gateway that is killed twice on a pack that had not proved itself: the last good pack runs, the control
//! plane sees which, and the next push goes on from there.
#![cfg(test)]

use std::fs;
use std::time::Duration;

use gateway_agent::app::gateway::Gateway;
use proto::v1::RolloutState;
use service_kit::clock::Clock;
use tests::eventually::eventually;
use tests::http::Http;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, passable_dir};

use crate::state_files::settings;
use crate::support::{PATIENCE, push_until, served, until_serves};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twice_on_a_new_pack_a_gateway_goes_back_and_says_so() {
    let dir = passable_dir();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let http = Http::new();
    let mut program = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    fs::copy(plane.token_file(), program.home.join("operator.token")).expect("the token");
    // In this process first, where a pack can prove itself in less than a minute.
    let mut settings = settings(&program.home, "edge-1", "prod", &plane.url);
    settings.proving_time = Duration::from_millis(1);
    let gateway = Gateway::start(settings, Clock::system()).await.expect("it starts");
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    let mut records = gateway.watch();
    let proven = records.wait_for(|record| record.active_pack().is_some_and(|pack| pack.good));
    tokio::time::timeout(PATIENCE, proven).await.expect("in time").expect("it runs");
    gateway.stop().await.expect("it ends in order");

    program.launch();
    push_until(&plane, "prod", "0.2.0", RolloutState::Succeeded).await;
    for expected in ["0.2.0", "0.1.0"] {
        program.kill();
        program.launch();
        program.until_ready().await;
        assert_eq!(served(&http, &program).await, Ok(Some(expected.to_owned())));
    }
    let log = program.process.as_ref().expect("it runs").log();
    assert!(log.contains("crash loop: the gateway ended twice"), "{log}");
    eventually("the control plane sees what runs", PATIENCE, async || {
        let gateway = plane.gateway("prod", "edge-1").await;
        let observed = gateway.observed.as_ref().map(|version| version.version.as_str());
        if observed == Some("0.1.0") && !gateway.in_sync { Ok(()) } else { Err(gateway) }
    })
    .await;
    // Killed on the good pack, however often, it stays there.
    for _ in 0..2 {
        program.kill();
        program.launch();
        program.until_ready().await;
        assert_eq!(served(&http, &program).await, Ok(Some("0.1.0".to_owned())));
    }
    push_until(&plane, "prod", "0.3.0", RolloutState::Succeeded).await;
    until_serves(&http, &program, "0.3.0").await;
}
