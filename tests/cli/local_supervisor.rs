//! What a supervisor stands for when something goes wrong beside it: whoever serves is not given up for one that does
//! not, nothing is kept that is another's, and nobody is left whom nobody can reach.

#![cfg(test)]

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::eventually::eventually;

use crate::local_host::{Host, PATIENCE};

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it runs");
}

/// Without holding up what goes on meanwhile.
async fn output(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().expect("it ends")).await.expect("no panic")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn connects(host: &Host) -> bool {
    TcpStream::connect(("127.0.0.1", host.port)).is_ok()
}

async fn until_gone(pid: i32) {
    eventually("a process is gone", PATIENCE, async || match kill(Pid::from_raw(pid), None) {
        Ok(()) => Err(pid),
        Err(_) => Ok(()),
    })
    .await;
}

/// The processes that `parent` started.
fn children(parent: i32) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    pids.filter(is_child).collect()
}

/// Begins a restart; answers it, the supervisor, and the process that is to take over.
async fn restarting(host: &Host, timeout: &str) -> (Child, i32, i32) {
    let supervisor = host.supervisor("a").expect("it is supervised");
    let old = host.pid("a");
    let words = ["gateway", "restart", "--name", "a", "--timeout", timeout];
    let restart = host.kt.spawn(&words, Stdio::null());
    let newcomer = eventually("a second process", PATIENCE, async || {
        children(supervisor).into_iter().find(|pid| *pid != old).ok_or("none")
    })
    .await;
    (restart, supervisor, newcomer)
}

#[tokio::test]
async fn a_restart_never_gives_up_who_serves_for_one_that_does_not() {
    let host = Host::new();
    host.up("a");
    let before = host.pid("a");
    for pack in std::fs::read_dir(host.dir("a").join("packs")).unwrap().flatten() {
        std::fs::remove_file(pack.path()).unwrap();
    }
    let refused = host.run("gateway restart --name a");
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains(&format!("(pid {before}) serves on")), "{refused}");
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
    assert_eq!(host.history("a").last().map(String::as_str), Some("restart failed"));
    host.write_version("0.1.1");
    let _ = host.run("gateway reload --name a --config-path policy-config.yaml").ok();
    assert_eq!((host.pid("a"), host.served().await.as_deref()), (before, Ok("0.1.1")));
}

#[tokio::test]
async fn a_key_that_is_gone_is_told_and_no_reason_to_lose_a_target() {
    let mut host = Host::new();
    host.kt.set("OPENAI_API_KEY", "");
    let keys = |text: &str| {
        let path = host.kt.file("keys.env", text);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    keys("OPENAI_API_KEY=x\n");
    let install = "gateway install --name a --listen 127.0.0.1:{port} --policy-config policy-config.yaml";
    let _ = host.run(&format!("{install} --env-file keys.env")).ok();
    let _ = host.run("gateway start --name a").ok();
    let before = host.pid("a");
    keys("");
    let refused = host.run("gateway restart --name a");
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.stderr.contains("OPENAI_API_KEY") && refused.stderr.contains("serves on"), "{refused}");
    assert_eq!(host.pid("a"), before);
    assert!(host.status("a")["remarks"].is_null(), "it has its key");
    let _ = host.run("gateway stop --name a").ok();
    let started = host.run("gateway start --name a").ok();
    assert!(started.stderr.contains("OPENAI_API_KEY"), "{started}");
    let down = host.status("a")["remarks"].to_string();
    assert!(down.contains("OPENAI_API_KEY"), "{down}");
    let again = host.run("gateway restart --name a").ok();
    assert!(again.stderr.contains("OPENAI_API_KEY"), "what was down before is no reason: {again}");
    keys("OPENAI_API_KEY=x\n");
    let again = host.run("gateway restart --name a").ok();
    assert!(!again.stderr.contains("OPENAI_API_KEY"), "{again}");
    assert!(host.status("a")["remarks"].is_null());
}

#[tokio::test]
async fn two_gateways_whose_supervisor_was_killed_are_both_ended() {
    let host = Host::new();
    host.up("a");
    let old = host.pid("a");
    let packs = host.dir("a").join("packs");
    std::fs::rename(&packs, host.dir("a").join("packs.away")).unwrap();
    let (restart, supervisor, newcomer) = restarting(&host, "30s").await;
    eventually("the newcomer has the door", PATIENCE, async || match host.pid("a") {
        pid if pid == newcomer => Ok(()),
        pid => Err(pid),
    })
    .await;
    signal(supervisor, Signal::SIGKILL);
    let first = output(restart).await;
    let noted = std::fs::read_to_string(host.dir("a").join("supervised.pid"));
    let said = host.run("gateway restart --name a --timeout 20s");
    let told = format!("{said}\n{first:?}\n{noted:?}, old {old}, new {newcomer}");
    assert!(!said.stderr.contains("another program") && said.code != 6, "{told}");
    let _ = host.run("gateway stop --name a --timeout 20s").ok();
    assert!(!connects(&host), "nobody is left");
    for pid in [old, newcomer] {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn who_comes_while_it_stops_is_refused_and_does_not_hang() {
    let host = Host::new();
    host.up("a");
    // In flight until its body has come.
    let mut request = TcpStream::connect(("127.0.0.1", host.port)).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{";
    request.write_all(head.as_bytes()).unwrap();
    eventually("it is in flight", PATIENCE, async || host.served().await).await;
    let mut stop = host.kt.spawn(&["gateway", "stop", "--name", "a"], Stdio::null());
    eventually("connections are refused", Duration::from_secs(10), async || {
        if connects(&host) { Err("they are accepted") } else { Ok(()) }
    })
    .await;
    assert!(stop.try_wait().unwrap().is_none(), "it still drains");
    request.write_all(b"}").unwrap();
    assert!(output(stop).await.status.success());
}

#[tokio::test]
async fn the_death_of_the_old_one_is_noticed_while_the_new_one_is_not_ready() {
    let host = Host::new();
    host.up("a");
    let old = host.pid("a");
    let (restart, _, newcomer) = restarting(&host, "60s").await;
    signal(newcomer, Signal::SIGSTOP);
    signal(old, Signal::SIGKILL);
    eventually("another one serves", Duration::from_secs(15), async || {
        let url = format!("http://127.0.0.1:{}/v1/models", host.port);
        let http = tests::http::Http::new();
        let answer = tokio::time::timeout(Duration::from_millis(500), http.get(&url)).await;
        match answer {
            Ok(Ok(answer)) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let restart = output(restart).await;
    assert!(!text(&restart).contains("serves on"), "{restart:?}");
    let now = host.pid("a");
    assert!(now != old && now != newcomer);
}

#[tokio::test]
async fn what_the_caller_has_open_is_let_go_of() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let kt = tests::kt::fresh_binary("kt");
    let mut sh = host.kt.command(std::path::Path::new("/bin/sh"));
    sh.args(["-c", "exec 9>&1; exec \"$0\" gateway start --name a >&2 2>&2"]).arg(kt);
    let child = sh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), output(child)).await;
    // What still holds it must end for the reader to.
    let status = host.status("a");
    if ended.is_err() {
        let _ = host.run("gateway stop --name a");
    }
    assert!(ended.is_ok_and(|output| output.status.success()), "the end of the pipe has come");
    assert_eq!(status["running"], true);
}

#[tokio::test]
async fn a_spoiled_description_does_not_end_what_is_installed() {
    let host = Host::new();
    host.up("a");
    let before = host.pid("a");
    let description = host.dir("a").join("instance.json");
    let kept = std::fs::read(&description).unwrap();
    std::fs::write(&description, b"{\"name\":").unwrap();
    signal(before, Signal::SIGKILL);
    eventually("another one serves", Duration::from_secs(10), async || host.served().await).await;
    assert_eq!(std::fs::read(&description).unwrap(), kept, "it is written back");
    assert_eq!(std::fs::read(host.dir("a").join("instance.json.bad-1")).unwrap(), b"{\"name\":");
    eventually("it is told", PATIENCE, async || {
        let remarks = host.status("a")["remarks"].to_string();
        if remarks.contains("instance.json") { Ok(()) } else { Err(remarks) }
    })
    .await;
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_not_said_to_have_no_pack() {
    let host = Host::new();
    host.up("a");
    let pid = host.pid("a");
    signal(pid, Signal::SIGSTOP);
    let said = host.run("gateway start --name a");
    signal(pid, Signal::SIGCONT);
    assert_eq!(said.code, 5, "{said}");
    assert!(said.stderr.contains("does not answer") && !said.stderr.contains("no pack"), "{said}");
    assert!(host.run("gateway start --name a").ok().stdout.contains("already running"));
}

#[tokio::test]
async fn a_supervisor_whose_directory_is_gone_ends() {
    let host = Host::new();
    host.up("a");
    let supervisor = host.supervisor("a").expect("it is supervised");
    std::fs::remove_dir_all(host.dir("a")).unwrap();
    eventually("the port is free", Duration::from_secs(20), async || {
        if connects(&host) { Err("it is held") } else { Ok(()) }
    })
    .await;
    until_gone(supervisor).await;
}

#[tokio::test]
async fn a_supervisor_of_what_is_not_installed_any_more_ends() {
    let host = Host::new();
    host.up("a");
    let supervisor = host.supervisor("a").expect("it is supervised");
    let path = host.dir("a").join("instance.json");
    let mut description: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    description.as_object_mut().unwrap().remove("installed").expect("it is installed");
    std::fs::write(&path, description.to_string()).unwrap();
    until_gone(supervisor).await;
    assert!(!connects(&host), "nobody is left");
    assert_eq!(host.history("a").last().map(String::as_str), Some("start succeeded"));
}
