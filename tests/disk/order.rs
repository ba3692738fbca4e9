//! No ack without durability, as the kernel saw it: every activation of a real gateway, under `strace`.
#![cfg(test)]

use std::path::Path;

use proto::v1::RolloutState;
use tests::eventually::eventually;
use tests::plane::Plane;
use tests::programs::{GatewayProgram, passable_dir};

use crate::support::{PATIENCE, full_sweep, may_trace, push_until};
use crate::trace::judge;

/// Everything that touches the disk or leaves the process.
const CALLS: &str = "trace=openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,\
                     sendto,sendmsg";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_report_leaves_before_its_pack_and_standing_are_durable_and_swapped() {
    if !may_trace() {
        return;
    }
    let activations = if full_sweep() { 100 } else { 12 };
    let plane = Plane::start().await;
    plane.create_fleet("prod").await;
    let dir = passable_dir();
    let trace = dir.path().join("trace");
    let mut gateway = GatewayProgram::at(dir.path(), "edge-1", &plane.url, &plane.token_file());
    gateway.wrapper = tracer(&trace);
    gateway.launch();
    for number in 1..=activations {
        let version = format!("0.{number}.0");
        push_until(&plane, "prod", &version, RolloutState::Succeeded).await;
        gateway.until_serves(&version, PATIENCE).await;
    }
    let process = gateway.process.as_mut().expect("it runs");
    let (pid, status) = (process.pid().to_string(), process.end());
    assert!(status.success(), "{status}");
    let trace = until_whole(&trace, &pid).await;
    let judged = judge(&trace);
    println!(
        "order violations {} of {} activations and {} adoptions",
        judged.violations.len(),
        judged.activations,
        judged.adoptions
    );
    assert_eq!(judged.violations, Vec::<String>::new());
    assert_eq!(judged.activations, activations, "every one of them was seen");
}

/// As a child of the gateway, so that the process that is started is the gateway itself.
fn tracer(file: &Path) -> Vec<String> {
    let file = file.to_str().expect("a path that is text");
    let words = [
        "strace",
        "-D",
        "-f",
        "-q",
        "-ttt",
        "-T",
        "-yy",
        "-s",
        "65536",
        "-e",
        CALLS,
        "-e",
        "signal=none",
        "-o",
        file,
    ];
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The tracer ends a moment after what it traced.
async fn until_whole(file: &Path, pid: &str) -> String {
    eventually("the tracer wrote the end", PATIENCE, async || {
        let trace = std::fs::read(file).map_err(|error| error.to_string())?;
        let trace = String::from_utf8_lossy(&trace).into_owned();
        let ended = |line: &str| {
            let mut words = line.split_whitespace();
            let is_its_own = words.next() == Some(pid);
            // then the time
            is_its_own && words.next().is_some() && words.eq(["+++", "exited", "with", "0", "+++"])
        };
        if trace.lines().any(ended) { Ok(trace) } else { Err(trace.len().to_string()) }
    })
    .await
}
