//! A real gateway that is killed twice on a pack that had not proved itself: the last good pack runs, the control
//! plane sees which, and the next push goes on from there.
#![cfg(test)]

use std::fs;
use std::time::Duration;

use gateway_agent::app::gateway::Gateway;
use proto::v1::RolloutState;
use service_kit::clock::Clock;
use tempfile::TempDir;
use tests::eventually::eventually;
use tests::operator::push_request;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, passable_dir};

use crate::state_files::settings;
use crate::support::{PATIENCE, pack_of, push_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_twice_on_a_new_pack_a_gateway_goes_back_and_says_so() {
    let (_dir, plane, mut program) = on_a_good_pack().await;
    program.launch();
    let rollout = push_with_a_long_bake(&plane, "0.2.0").await;
    program.until_serves("0.2.0", PATIENCE).await;
    for expected in ["0.2.0", "0.1.0"] {
        program.kill();
        program.launch();
        program.until_ready().await;
        assert_eq!(program.served().await, Ok(Some(expected.to_owned())));
    }
    let log = program.process.as_ref().expect("it runs").log();
    assert!(log.contains("crash loop: the gateway ended twice"), "{log}");
    // The fallback breaches the rollout that was baking: it goes back, and says why.
    let reverted = eventually("the rollout went back", PATIENCE, async || {
        let rollout = plane.rollout(&rollout).await;
        if rollout.state() == RolloutState::Reverted { Ok(rollout) } else { Err(rollout) }
    })
    .await;
    let refusal = reverted.rejections[0].refusal.clone().expect("why");
    assert!(refusal.reason.contains("crash loop"), "{reverted:?}");
    eventually("the control plane sees what runs", PATIENCE, async || {
        let gateway = plane.gateway("prod", "edge-1").await;
        let observed = gateway.observed.as_ref().map(|version| version.version.as_str());
        if observed == Some("0.1.0") && gateway.in_sync { Ok(()) } else { Err(gateway) }
    })
    .await;
    // Killed on the good pack, however often, it stays there.
    for _ in 0..2 {
        program.kill();
        program.launch();
        program.until_ready().await;
        assert_eq!(program.served().await, Ok(Some("0.1.0".to_owned())));
    }
    push_until(&plane, "prod", "0.3.0", RolloutState::Succeeded).await;
    program.until_serves("0.3.0", PATIENCE).await;
}

/// A gateway that ran 0.1.0 until it was good, and ended in order; not started again yet.
pub(crate) async fn on_a_good_pack() -> (TempDir, Plane, GatewayProgram) {
    let dir = passable_dir();
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let program = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    fs::copy(plane.token_file(), program.home.join("operator.token")).expect("the token");
    // In this process first, where a pack can prove itself in less than a minute.
    let mut settings = settings(&program.home, "edge-1", "prod", &plane.url);
    settings.proving_time = Duration::from_millis(1);
    let gateway = Gateway::start(settings, Clock::system()).await.expect("it starts");
    push_until(&plane, "prod", "0.1.0", RolloutState::Succeeded).await;
    let mut records = gateway.watch();
    let proven = records.wait_for(|record| record.active_pack().is_some_and(|pack| pack.proved));
    tokio::time::timeout(PATIENCE, proven).await.expect("in time").expect("it runs");
    gateway.stop().await.expect("it ends in order");
    (dir, plane, program)
}

/// The push is answered; its rollout bakes for longer than the test takes.
async fn push_with_a_long_bake(plane: &Plane, version: &str) -> String {
    let mut push = push_request("prod", &pack_of("prod", version));
    let strategy = push.rollout.as_mut().and_then(|rollout| rollout.strategy.as_mut()).expect("a strategy");
    strategy.bake = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    plane.configs().push_config(push).await.expect("a push").into_inner().rollout.expect("a rollout").id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_while_it_starts_a_gateway_has_not_crashed() {
    let (_dir, plane, mut program) = on_a_good_pack().await;
    program.launch();
    push_until(&plane, "prod", "0.2.0", RolloutState::Succeeded).await;
    program.until_serves("0.2.0", PATIENCE).await;
    program.process.as_mut().expect("it runs").end();

    for round in 1..=3 {
        program.arm("boot.on_trial=return(delay:500)");
        program.launch();
        eventually("it is in the middle of its start", PATIENCE, async || {
            let struck = program.log().matches("failpoint struck").count();
            if struck == round { Ok(()) } else { Err(struck) }
        })
        .await;
        let ended = program.process.as_mut().expect("it runs").end();
        assert!(ended.success(), "{ended}");
    }
    program.arm("");
    program.launch();
    program.until_ready().await;
    assert_eq!(program.served().await, Ok(Some("0.2.0".to_owned())));
}
