//! What a person is told when a gateway does not do what was asked: why it is down, whose it is, what is spoiled.

#![cfg(test)]

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tests::eventually::eventually;

use crate::local_host::{Host, NOBODY, PATIENCE, Stranger};

fn mode(host: &Host, file: &str, mode: u32) {
    let path = host.kt.home().join(file);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

/// A request that has begun, and ends when this is dropped.
fn half_a_request(host: &Host) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", host.port)).expect("it listens");
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    stream.write_all(head.as_bytes()).expect("it reads");
    stream
}

#[tokio::test]
async fn a_first_start_that_failed_says_why_in_status() {
    let mut host = Host::new();
    host.kt.set("OPENAI_API_KEY", "");
    let _ = host.install("a").ok();
    let said = host.run("gateway start --name a --json");
    assert_eq!(said.code, 1, "{said}");
    assert_eq!(said.error()["findings"][0]["code"], "S001", "{said}");
    let failure = &host.status("a")["last_failure"];
    assert_eq!((&failure["action"], &failure["stage"]), (&"start".into(), &"secrets".into()), "{failure}");
    assert_eq!(failure["findings"][0]["code"], "S001", "{failure}");
    let shown = host.run("gateway status --name a").ok().stdout;
    assert!(shown.contains("why         start failed at stage secrets"), "{shown}");
    let told = host.run("gateway status --name a --history-json --history-action start").ok().json();
    assert_eq!((&told[0]["stage"], &told[0]["findings"][0]["code"]), (&"secrets".into(), &"S001".into()));
    host.kt.set("OPENAI_API_KEY", "nothing-calls-it");
    let _ = host.run("gateway start --name a").ok();
    let _ = host.run("gateway stop --name a").ok();
    assert_eq!(host.status("a").get("last_failure"), None, "it has run since");
}

#[tokio::test]
async fn a_gateway_that_does_not_come_up_again_says_when_and_why() {
    let host = Host::new();
    host.kt.file("e.env", "OPENAI_API_KEY=x\n");
    mode(&host, "e.env", 0o600);
    let _ = host
        .run("gateway install --name a --listen 127.0.0.1:{port} --policy-config policy-config.yaml --env-file e.env")
        .ok();
    let _ = host.run("gateway start --name a").ok();
    let before = host.pid("a");
    mode(&host, "e.env", 0o644);
    kill(Pid::from_raw(before), Signal::SIGKILL).expect("it runs");
    eventually("its supervisor says why", PATIENCE, async || {
        let status = host.status("a");
        let told = &status["supervisor"];
        let waits = told["state"] == "restarting" && !told["next_try"].is_null();
        let why = told["reason"].as_str().is_some_and(|reason| reason.contains("mode 0644"));
        if waits && why && told["restarts"].as_u64() > Some(1) { Ok(()) } else { Err(status) }
    })
    .await;
    let status = host.status("a");
    assert_eq!((&status["running"], &status["pid"]), (&false.into(), &Value::Null), "{status}");
    let reason = status["last_failure"]["reason"].as_str().expect("a reason");
    assert!(reason.contains("mode 0644"), "{status}");
    let shown = host.run("gateway status --name a").ok().stdout;
    assert!(shown.contains("state       starting again"), "{shown}");
    let listed = host.run("gateway list --json").ok().json();
    assert_eq!(listed[0]["state"], "restarting", "{listed}");
    let doctor = host.run("doctor --json").json();
    let checks = doctor["checks"].as_array().expect("checks");
    let gateways = checks.iter().find(|check| check["check"] == "gateways").expect("ours");
    assert_eq!(gateways["status"], "problem", "{gateways}");
    mode(&host, "e.env", 0o600);
    eventually("it serves again", PATIENCE, async || {
        let status = host.status("a");
        let runs = status["running"] == true && status["supervisor"]["state"] == "running";
        if runs { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn one_that_finishes_its_requests_is_stopping_and_a_second_stop_waits() {
    let host = Host::new();
    let _ = host.install("a").ok();
    for foreground in [false, true] {
        let child = match foreground {
            true => Some(host.kt.spawn(&["gateway", "run", "--name", "a"], Stdio::null())),
            false => {
                let _ = host.run("gateway start --name a").ok();
                None
            }
        };
        host.until_serves("0.1.0").await;
        let pid = host.pid("a");
        let request = half_a_request(&host);
        eventually("its request is in flight", PATIENCE, async || {
            let said = host.run("gateway stop --name a --timeout 500ms");
            if said.code == 5 { Ok(()) } else { Err(said.to_string()) }
        })
        .await;
        let status = host.status("a");
        assert_eq!(status["pid"], pid, "{status}");
        let shown = host.run("gateway status --name a").ok().stdout;
        assert!(shown.contains(&format!("state       stopping, pid {pid}")), "{shown}");
        let again = host.run("gateway stop --name a --timeout 500ms");
        assert_eq!(again.code, 5, "it waits too: {again}");
        drop(request);
        let _ = host.run("gateway stop --name a").ok();
        assert_eq!(host.status("a")["running"], false);
        if let Some(mut child) = child {
            assert!(child.wait().expect("it ends").success());
        }
    }
}

#[test]
fn a_spoiled_description_is_said_by_all_with_one_exit_code() {
    let host = Host::new();
    let _ = host.install("a").ok();
    std::fs::write(host.dir("a").join("instance.json"), "{").unwrap();
    for verb in ["status", "start", "restart", "run", "run --json", "reload"] {
        let said = host.run(&format!("gateway {verb} --name a"));
        assert_eq!(said.code, 1, "{verb}: {said}");
        assert!(said.stderr.contains("instance.json"), "{verb}: {said}");
    }
    let listed = host.run("gateway list --json").ok();
    assert_eq!(listed.json()[0]["state"], "spoiled", "{listed}");
    assert!(listed.stderr.contains("instance.json"), "{listed}");
    let doctor = host.run("doctor");
    assert_eq!(doctor.code, 1, "{doctor}");
    assert!(doctor.stdout.contains("a is spoiled"), "{doctor}");
}

#[test]
fn another_users_state_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let Some(stranger) = Stranger::in_dir(dir.path()) else { return };
    let host = Host::new();
    let _ = host.install("a").ok();
    // root's home is open to all, and what is in it is not.
    mode(&host, "", 0o755);
    for verb in ["status", "list", "start", "stop", "install --policy-config x.yaml", "uninstall", "logs"] {
        let mut command = std::process::Command::new(&stranger.kt);
        let name = if verb == "list" { "" } else { " --name a" };
        command.args(format!("gateway {verb}{name}").split_whitespace()).env_clear();
        command.env("HOME", &stranger.home).env("KT_HOME", host.state()).current_dir("/");
        std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        let output = command.output().expect("kt runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{verb}: {said}");
        assert!(said.contains("belongs to root"), "{verb}: {said}");
    }
    // And the other way round: what root made there, its owner could not read.
    std::os::unix::fs::chown(host.dir("a"), Some(NOBODY), None).unwrap();
    for verb in ["start", "restart", "uninstall"] {
        let said = host.run(&format!("gateway {verb} --name a"));
        assert_eq!(said.code, 4, "{verb}: {said}");
        assert!(said.stderr.contains("run kt as "), "{verb}: {said}");
    }
    assert!(!host.dir("a").join("supervisor.lock").exists());
    std::os::unix::fs::chown(host.state(), Some(NOBODY), None).unwrap();
    let said = host.run("gateway install --name b --policy-config policy-config.yaml");
    assert_eq!(said.code, 4, "{said}");
    // Where there is nothing yet, it is made by whoever may.
    let beside = dir.path().join("shared");
    std::fs::create_dir(&beside).unwrap();
    std::os::unix::fs::chown(&beside, Some(NOBODY), None).unwrap();
    let kt = tests::kt::Kt::new().with("KT_HOME", beside.join("kt"));
    let pack = kt.file("pack.yaml", include_str!("../../examples/policy-config.yaml"));
    let _ = kt.run(&["gateway", "install", "--name", "b", "--policy-config", &pack]).ok();
}

#[test]
fn what_runs_a_gateway_answers_in_json_too() {
    let host = Host::new();
    host.kt.file("broken.yaml", "pack:\n  enabeld: true\n");
    let source = "--policy-config policy-config.yaml";
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    for (code, word, words) in [
        (2, "invalid_argument", format!("--name a {source} --listen :99999")),
        (2, "invalid_argument", "--name a".to_owned()),
        (2, "invalid_argument", format!("--name A {source}")),
        (3, "file_not_found", "--name a --policy-config missing.yaml".to_owned()),
        (2, "invalid_pack", "--name a --policy-config broken.yaml".to_owned()),
        (6, "address_taken", format!("--name a {source} --listen {taken}")),
    ] {
        let said = host.run(&format!("gateway run {words} --json"));
        assert_eq!((said.code, said.error()["code"].as_str()), (code, Some(word)), "{words}: {said}");
    }
    let said = host.run("gateway install --name a --policy-config missing.yaml --json");
    assert_eq!((said.code, said.error()["code"].as_str()), (3, Some("file_not_found")), "{said}");
    assert!(!host.state().exists());
    let said = host.run("gateway install --name a --policy-config policy-config.yaml --listen 127.0.0.1:0");
    assert!(said.stderr.contains("error: --listen: "), "{said}");

    let words = "gateway install --name a --listen 127.0.0.1:1 --policy-config it.yaml --print-systemd-unit";
    let said = host.run(words).ok();
    let install = "kt gateway install --name a --listen 127.0.0.1:1 --policy-config it.yaml";
    assert!(said.stderr.contains(install) && said.stdout.starts_with('#'), "{said}");
    let view = host.run(&format!("{words} --json")).ok().json();
    assert_eq!((&view["installed"], &view["install"]), (&false.into(), &install.into()), "{view}");
    assert!(!host.state().exists());
}

#[tokio::test]
async fn a_name_that_a_foreground_used_is_told_from_one_that_is_installed() {
    let host = Host::new();
    let words =
        ["gateway", "run", "--name", "a", "--listen", "127.0.0.1:0", "--policy-config", "policy-config.yaml"];
    let mut child = host.kt.spawn(&words, Stdio::null());
    eventually("it answers kt", PATIENCE, async || {
        let status = host.run("gateway status --name a --json");
        if status.code == 0 && status.json()["ready"] == true { Ok(()) } else { Err(status.to_string()) }
    })
    .await;
    let restart = host.run("gateway restart --name a");
    assert!(restart.code == 6 && !restart.stderr.contains("start it"), "{restart}");
    let _ = host.run("gateway unpin --name a").ok();
    let said = host.run("gateway revert --name a --break-glass --reason=");
    assert_eq!(said.code, 2, "{said}");
    assert!(said.stderr.contains("--reason is empty"), "{said}");
    let _ = host.run("gateway stop --name a").ok();
    assert!(child.wait().expect("it ends").success());
    let said = host.install("a");
    assert_eq!(said.code, 6, "{said}");
    assert!(said.stderr.contains("uninstall it first"), "{said}");
}

#[tokio::test]
async fn lines_of_a_log_are_json_lines_and_none_are_none() {
    let host = Host::new();
    host.up("a");
    let said = host.run("gateway logs --name a --json --lines 1").ok();
    assert!(said.json()["line"].as_str().is_some_and(|line| line.contains("serving")), "{said}");
    let none = host.run("gateway logs --name a --lines 0").ok();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));
}
