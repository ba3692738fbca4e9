//! Processes: started once, stopped, replaced, killed, without a supervisor, in a foreground.

#![cfg(test)]

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::eventually::eventually;

use crate::local_host::{Host, PATIENCE};

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

#[tokio::test]
async fn starting_twice_and_at_once_is_one_gateway() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let words = ["gateway", "start", "--name", "a"];
    let children: Vec<_> = (0..4).map(|_| host.kt.spawn(&words, Stdio::null())).collect();
    let outputs: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().expect("it ends")).collect();
    let said: Vec<_> =
        outputs.iter().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).collect();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    assert_eq!(said.iter().filter(|said| said.contains("already running")).count(), 3, "{said:?}");
    assert!(host.run("gateway start --name a").ok().stdout.contains("already running"));
    assert_eq!(host.history("a"), ["install succeeded", "start succeeded"]);
    assert!(host.run("gateway stop --name a").ok().stdout.contains("is stopped"));
    assert!(host.run("gateway stop --name a").ok().stdout.contains("is not running"));
    let status = host.status("a");
    assert_eq!(
        (&status["running"], &status["pid"], &status["observed"]),
        (&false.into(), &().into(), &().into())
    );
    assert_eq!((&status["in_sync"], &status["desired"]["version"]), (&false.into(), &"0.1.0".into()));
    assert_eq!(host.history("a").last().map(String::as_str), Some("stop succeeded"));
}

#[tokio::test]
async fn a_killed_gateway_serves_again_with_the_environment_of_its_start() {
    let host = Host::new();
    host.up("a");
    for killed in 1..=2 {
        let before = host.pid("a");
        signal(before, Signal::SIGKILL);
        eventually("another process serves", Duration::from_secs(10), async || {
            let status = host.run("gateway status --name a --json");
            let pid = if status.code == 0 { status.json()["pid"].as_i64() } else { None };
            if pid.is_some_and(|pid| pid != i64::from(before)) { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
        assert_eq!(host.served().await.map(|_| ()), Ok(()));
        eventually("its start is told", PATIENCE, async || {
            let told = host.run("gateway status --name a --history-json --history-action start").ok().json();
            let records = told.as_array().expect("an array").iter();
            let by_supervisor = records.filter(|record| {
                record["actor"] == "supervisor"
                    && record["outcome"] == "succeeded"
                    && record["reason"] == "ended by signal 9"
            });
            if by_supervisor.count() == killed { Ok(()) } else { Err(told) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_restart_refuses_nobody_and_one_that_fails_leaves_the_old_one() {
    let host = Host::new();
    host.up("a");
    let before = host.pid("a");
    let (asked, failed) = (std::cell::Cell::new(0), std::cell::RefCell::new(Vec::new()));
    let restarted = async {
        let child = host.kt.spawn(&["gateway", "restart", "--name", "a"], Stdio::null());
        tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"))
            .await
            .expect("no panic")
    };
    let calls = async {
        loop {
            asked.set(asked.get() + 1);
            if let Err(error) = host.served().await {
                failed.borrow_mut().push(error);
            }
        }
    };
    let output = tokio::select! { output = restarted => output, () = calls => unreachable!("it never ends") };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(*failed.borrow(), Vec::<String>::new(), "of {}", asked.get());
    assert_ne!(host.pid("a"), before, "another process serves");
    assert_eq!(host.history("a").last().map(String::as_str), Some("restart succeeded"));

    // A state that cannot be read: the newcomer has nothing to begin with.
    let description = host.dir("a").join("instance.json");
    let kept = std::fs::read(&description).unwrap();
    std::fs::write(&description, String::from_utf8(kept.clone()).unwrap().replace("\"listen\"", "\"lisen\""))
        .unwrap();
    let serving = host.supervisor("a");
    let refused = host.run("gateway restart --name a --timeout 5s");
    assert_eq!(refused.code, 1, "{refused}");
    std::fs::write(&description, kept).unwrap();
    assert_eq!(host.supervisor("a"), serving);
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
    let _ = host.run("gateway stop --name a").ok();
    let started = host.run("gateway restart --name a").ok();
    assert!(started.stdout.contains("serving 0.1.0"), "of one that is stopped it is a start: {started}");
}

#[tokio::test]
async fn a_gateway_that_lost_its_supervisor_is_known_stopped_and_restarted() {
    let host = Host::new();
    host.up("a");
    let Some(supervisor) = host.supervisor("a") else { return };
    signal(supervisor, Signal::SIGKILL);
    eventually("the supervisor is gone", PATIENCE, async || host.supervisor("a").map_or(Ok(()), Err)).await;
    let said = host.run("gateway start --name a").ok();
    assert!(said.stdout.contains("already running") && said.stderr.contains("nobody supervises"), "{said}");
    let before = host.pid("a");
    let said = host.run("gateway restart --name a").ok();
    assert!(said.stderr.contains("refused meanwhile"), "{said}");
    assert_ne!(host.pid("a"), before);
    let supervisor = host.supervisor("a").expect("it has one again");
    signal(supervisor, Signal::SIGKILL);
    eventually("the supervisor is gone", PATIENCE, async || host.supervisor("a").map_or(Ok(()), Err)).await;
    let _ = host.run("gateway stop --name a").ok();
    assert_eq!(host.status("a")["running"], false);
    assert_eq!(host.history("a").last().map(String::as_str), Some("stop succeeded"));
}

#[tokio::test]
async fn a_gateway_in_a_foreground_is_left_where_it_is() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let mut child = host.kt.spawn(&["gateway", "run", "--name", "a"], Stdio::null());
    host.until_serves("0.1.0").await;
    eventually("it answers kt", PATIENCE, async || {
        let status = host.run("gateway status --name a --json");
        if status.code == 0 && status.json()["running"] == true { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let start = host.run("gateway start --name a").ok();
    assert!(
        start.stdout.contains("already running") && start.stderr.contains("nobody supervises"),
        "{start}"
    );
    let restart = host.run("gateway restart --name a");
    assert_eq!(restart.code, 6, "{restart}");
    let second = host.run("gateway run --name a");
    assert_eq!(second.code, 6, "{second}");
    let _ = host.run("gateway stop --name a").ok();
    assert!(child.wait().expect("it ends").success());
}

#[tokio::test]
async fn kt_that_is_interrupted_leaves_the_old_or_the_new() {
    let host = Host::new();
    let _ = host.install("a").ok();
    for pause in [0, 20, 100] {
        let child = host.kt.spawn(&["gateway", "start", "--name", "a"], Stdio::null());
        tokio::time::sleep(Duration::from_millis(pause)).await;
        // It may have come to its end.
        let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT);
        child.wait_with_output().expect("it ends");
        let _ = host.run("gateway start --name a").ok();
        assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
        let _ = host.run("gateway stop --name a").ok();
        assert_eq!(host.status("a")["running"], false);
    }
}

#[tokio::test]
async fn the_log_is_kept_shown_and_followed() {
    use std::io::{BufRead, BufReader};
    let host = Host::new();
    let _ = host.install("a").ok();
    let empty = host.run("gateway logs --name a").ok();
    assert_eq!(empty.stdout, "");
    let _ = host.run("gateway start --name a").ok();
    assert!(!host.run("gateway logs --name a").ok().stdout.is_empty());
    assert_eq!(host.run("gateway logs --name a --lines 1").ok().stdout.lines().count(), 1);
    let mut child = host.kt.spawn(&["gateway", "logs", "--name", "a", "-f"], Stdio::null());
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("listen=127.0.0.1")), "what is there");
    signal(host.pid("a"), Signal::SIGKILL);
    assert!(lines.any(|line| line.expect("text").contains("ended by signal 9")), "it goes on");
    drop(lines);
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends"))
        .await
        .expect("no panic");
    assert_eq!(
        (ended.status.code(), ended.stderr.as_slice()),
        (Some(0), b"".as_slice()),
        "a reader that leaves is silence"
    );
}
