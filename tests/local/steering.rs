//! Starting, stopping, installing and asking, in every order a person may think of.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::eventually::eventually;
use tests::host::{Host, KEY, free_address};

const FIRST: &str = include_str!("../../examples/policy-config.yaml");
const SECOND: &str = include_str!("../../examples/policy-config-0.1.1.yaml");

fn host() -> Host {
    let host = Host::new();
    host.writes("policy-config.yaml", FIRST);
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_at_an_installation_creates_nothing() {
    let host = host();
    host.writes("bad.yaml", FIRST.replace("prompt-injection", "promt-injection"));
    let listen = free_address();
    for (line, code) in [
        (format!("kt gateway install --name a --listen {listen} --policy-config bad.yaml"), 2),
        (format!("kt gateway install --name a --listen {listen} --policy-config none.yaml"), 3),
        (format!("kt gateway install --name A --listen {listen} --policy-config policy-config.yaml"), 2),
        (format!("kt gateway install --name ../a --listen {listen} --policy-config policy-config.yaml"), 2),
        ("kt gateway install --name a --listen 0.0.0.0 --policy-config policy-config.yaml".to_owned(), 2),
        ("kt gateway install --name a --listen :99999 --policy-config policy-config.yaml".to_owned(), 2),
        ("kt gateway install --name a --listen host:abc --policy-config policy-config.yaml".to_owned(), 2),
        ("kt gateway install --name a --listen [::1 --policy-config policy-config.yaml".to_owned(), 2),
        (format!("kt gateway install --name a --listen {listen}"), 2),
    ] {
        let said = host.types(&line);
        assert_eq!(said.code, code, "{line}: {said}");
        assert!(!host.dir("a").exists(), "{line}");
    }
    host.types(&format!("kt gateway install --name a --listen {listen} --policy-config policy-config.yaml"))
        .ok();
    let again =
        host.types(&format!("kt gateway install --name a --listen {listen} --policy-config bad.yaml"));
    assert_eq!(again.code, 6, "before the pack is read: {again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_says_why_and_leaves_nothing_running() {
    let host = host();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    host.types(&format!("kt gateway install --name a --listen {listen} --policy-config policy-config.yaml"))
        .ok();
    let said = host.types("kt gateway start --name a");
    assert_eq!(said.code, 6, "{said}");
    assert!(said.stderr.contains(&listen.to_string()) && said.stderr.contains("in use"), "{said}");
    assert_eq!(host.status("a")["running"], false);
    drop(taken);

    let keyless = Host::new().with(KEY, "");
    keyless.writes("policy-config.yaml", FIRST);
    let listen = free_address();
    keyless
        .types(&format!("kt gateway install --name b --listen {listen} --policy-config policy-config.yaml"))
        .ok();
    let said = keyless.types("kt gateway start --name b");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains(KEY), "{said}");
    assert_eq!(keyless.status("b")["running"], false);
    assert_eq!(keyless.acts("b"), ["install succeeded", "start failed"]);
    std::net::TcpListener::bind(listen).expect("nobody is left who listens");
    assert_eq!(host.types("kt gateway start --name nosuch").code, 3);
    assert_eq!(host.types("kt gateway stop --name nosuch").code, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_reload_changes_what_is_desired_and_a_revert_takes_that_back() {
    let host = host();
    host.serves("a");
    let good = host.status("a");
    host.writes("bad.yaml", SECOND.replace("pii-detector", "pii-detecter"));
    let lint = host.types("kt policy lint --file bad.yaml --json");
    let said = host.types("kt gateway reload --name a --config-path bad.yaml --json");
    assert_eq!((lint.code, said.code), (2, 2), "{said}");
    let shown = |findings: &serde_json::Value| -> Vec<(String, String)> {
        let text = |finding: &serde_json::Value, key: &str| finding[key].to_string();
        let all = findings.as_array().unwrap().iter();
        all.map(|it| (text(it, "code"), text(it, "line") + &text(it, "column") + &text(it, "message")))
            .collect()
    };
    let of_lint = shown(&lint.json()["errors"]);
    let of_reload = shown(&said.error()["findings"]);
    assert!(of_lint.iter().all(|finding| of_reload.contains(finding)), "{of_lint:?} {of_reload:?}");

    let status = host.status("a");
    assert_eq!(status["observed"], good["observed"], "untouched");
    assert_eq!(status["in_sync"], false);
    assert_ne!(status["desired"]["digest"], good["desired"]["digest"]);
    assert_eq!(status["last_failure"]["action"], "reload");
    assert_eq!(status["last_failure"]["stage"], "lint");
    assert!(!status["last_failure"]["findings"].as_array().unwrap().is_empty());

    host.types("kt gateway revert --name a").ok();
    let status = host.status("a");
    assert_eq!((&status["in_sync"], &status["observed"]), (&json!(true), &good["observed"]));
    assert!(status.get("last_failure").is_none_or(serde_json::Value::is_null), "{status}");

    for (line, code) in [
        ("kt gateway reload --name a --config-path none.yaml", 3),
        ("kt gateway reload --name a --config-path /etc/passwd", 2),
        ("kt gateway reload --name a --config-path ../policy-config.yaml", 2),
        ("kt gateway reload --name a --config-path .", 2),
    ] {
        assert_eq!(host.types(line).code, code, "{line}");
    }
    assert_eq!(host.status("a")["in_sync"], true, "no bytes were read, so nothing else is desired");
    assert_eq!(
        host.acts("a"),
        [
            "install succeeded",
            "start succeeded",
            "reload failed",
            "revert withdrawn",
            "reload failed",
            "reload failed",
            "reload failed",
            "reload failed"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn identical_bytes_are_no_change_and_no_activation() {
    let host = host();
    host.serves("a");
    let before = host.status("a");
    let said = host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    assert!(said.stdout.contains("no change"), "{said}");
    assert_eq!(host.status("a")["observed"], before["observed"], "not even the time of its activation");
    assert_eq!(host.acts("a").last().unwrap(), "reload no_change");
    host.writes("policy-config.yaml", format!("# a remark\n{FIRST}"));
    let said = host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    assert!(format!("{}{}", said.stdout, said.stderr).contains("no effective change"), "{said}");
    assert_ne!(host.status("a")["observed"]["digest"], before["observed"]["digest"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pack_that_crashes_its_gateway_is_withdrawn() {
    let host = host();
    host.serves("a");
    host.writes("policy-config.yaml", SECOND);
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    for _ in 0..2 {
        let pid = host.pid("a");
        kill(Pid::from_raw(pid), Signal::SIGABRT).unwrap();
        host.until("a", "it is back", |status| status["ready"] == true && status["pid"] != json!(pid)).await;
    }
    let status = host.status("a");
    assert_eq!(status["observed"]["version"], "0.1.0", "{status}");
    let fallback = host.history("a").into_iter().find(|record| record["action"] == "crash_fallback");
    let fallback = fallback.expect("a record of it");
    assert_eq!(fallback["from"]["version"], "0.1.1", "{fallback}");
    assert_eq!(fallback["observed"]["version"], "0.1.0");
    assert_eq!((&status["desired"]["version"], &status["in_sync"]), (&json!("0.1.1"), &json!(false)));
    host.types("kt gateway revert --name a").ok();
    // The record of the last automatic start may come after it.
    assert!(
        host.acts("a").contains(&"revert withdrawn".to_owned()),
        "what crashed is not wished for any more"
    );
    assert_eq!(host.types("kt gateway revert --name a").code, 6, "what was withdrawn is no target");
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    assert_eq!(host.status("a")["observed"]["version"], "0.1.1", "an operator may try it again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_interrupted_leaves_the_old_or_the_new() {
    let host = host();
    host.serves("a");
    for round in 0..12_u64 {
        let (text, version) = if round % 2 == 0 { (SECOND, "0.1.1") } else { (FIRST, "0.1.0") };
        host.writes("policy-config.yaml", text);
        let words = ["gateway", "reload", "--name", "a", "--config-path", "policy-config.yaml"];
        let mut reload = host.kt().spawn(&words, Stdio::null());
        // Another moment of it each time.
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        kill(Pid::from_raw(i32::try_from(reload.id()).unwrap()), Signal::SIGINT).unwrap();
        reload.wait().unwrap();
        let status = host.status("a");
        assert_eq!((&status["ready"], &status["running"]), (&json!(true), &json!(true)));
        // What was ordered before the interruption is carried out to its end, so the next word is the last.
        host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
        assert_eq!(host.status("a")["observed"]["version"], version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_that_was_killed_leaves_a_gateway_that_serves_and_can_be_stopped() {
    let host = host();
    let listen = host.serves("a");
    let supervisor = parent_of(host.pid("a"));
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    eventually("the supervisor is gone", Duration::from_secs(5), async || {
        if parent_of(host.pid("a")) == supervisor { Err("still there") } else { Ok(()) }
    })
    .await;
    assert_eq!(host.status("a")["ready"], true);
    host.types("kt gateway reload --name a --config-path policy-config.yaml").ok();
    let said = host.types("kt gateway start --name a").ok();
    assert!(format!("{}{}", said.stdout, said.stderr).contains("already running"), "{said}");
    host.types("kt gateway stop --name a").ok();
    std::net::TcpListener::bind(listen).expect("nobody is left who listens");
    host.types("kt gateway start --name a").ok();
    assert_eq!(host.status("a")["ready"], true);
}

fn parent_of(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(1).unwrap().parse().unwrap()
}
