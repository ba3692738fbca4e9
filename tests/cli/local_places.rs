//! Homes that are odd: too long for a socket, not writable, full, another user's, none at all.

#![cfg(test)]

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use tests::kt::{Kt, fresh_binary};
use tests::programs::{free_port, passable_dir};

use crate::local_host::{Host, Stranger};

#[tokio::test]
async fn a_home_that_is_too_long_for_a_socket_works() {
    let kt = Kt::new();
    let long = kt.home().join("a".repeat(120));
    let host = Host::of(kt.with("KT_HOME", &long));
    host.up("a");
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
    host.write_version("0.2.0");
    let _ = host.run("gateway reload --name a").ok();
    let _ = host.run("gateway restart --name a").ok();
    assert_eq!(host.status("a")["observed"]["version"], "0.2.0");
    let _ = host.run("gateway uninstall --name a").ok();
}

#[test]
fn a_home_that_cannot_be_written_is_named() {
    let kt = Kt::new();
    kt.file("in-the-way", "");
    let host = Host::of(Kt::new().with("KT_HOME", "/proc/kt"));
    let said = host.install("a");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("/proc/kt") && said.stderr.contains("KT_HOME"), "{said}");
    let path = kt.home().join("in-the-way");
    let host = Host::of(kt.with("KT_HOME", &path));
    let said = host.install("a");
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("in-the-way"), "{said}");
    assert_eq!(host.run("gateway list --json").code, 1);
    assert_eq!(host.run("gateway status").code, 1);
}

#[test]
fn without_a_home_root_has_a_place_and_others_are_told() {
    let program = fresh_binary("kt");
    let run = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).env_clear().stdin(Stdio::null()).output().expect("kt runs")
    };
    let listed = run(&["gateway", "list", "--json"]);
    assert_eq!(listed.status.code(), Some(0), "{listed:?}");
    let missing = run(&["gateway", "status", "--name", "no-gateway-of-any-test"]);
    assert_eq!(missing.status.code(), Some(3), "{missing:?}");
}

#[test]
fn root_starts_no_gateway_of_another_user_and_leaves_nothing_in_it() {
    let host = Host::of(Kt::new());
    assert_eq!(host.install("a").code, 0);
    let dir = host.dir("a");
    // Only root may give it away.
    if std::os::unix::fs::chown(&dir, Some(65_534), None).is_err() {
        return;
    }
    let before = std::fs::read_dir(&dir).unwrap().count();
    for command in ["gateway start --name a", "gateway run --name a"] {
        let said = host.run(command);
        assert_eq!(said.code, 4, "{said}");
        let helps = ["run kt as", "run this as"].iter().any(|help| said.stderr.contains(help));
        assert!(said.stderr.contains("belongs to") && helps, "{said}");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), before, "{said}");
    }
    std::os::unix::fs::chown(&dir, Some(0), None).unwrap();
}

#[test]
fn a_full_disk_makes_no_half_gateway() {
    // Only root mounts, and some containers let nobody.
    let dir = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return;
    }
    std::fs::write(dir.path().join("filler"), vec![0; 128 * 1024]).unwrap_err();
    let host = Host::of(Kt::new().with("KT_HOME", dir.path().join("home")));
    let said = host.install("a");
    let left = host.dir("a").exists();
    std::fs::remove_file(dir.path().join("filler")).unwrap();
    let then = host.install("a");
    drop(host);
    let _ = Command::new("umount").arg(dir.path()).status();
    assert_eq!((said.code, left), (1, false), "{said}");
    assert!(said.stderr.contains("No space left"), "{said}");
    assert_eq!(then.code, 0, "once there is room: {then}");
}

#[test]
fn an_ordinary_user_has_gateways_that_only_root_may_touch() {
    let dir = passable_dir();
    let Some(stranger) = Stranger::in_dir(dir.path()) else { return };
    let pack = stranger.home.join("policy-config.yaml");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/policy-config.yaml"), &pack).unwrap();
    std::fs::set_permissions(&pack, std::fs::Permissions::from_mode(0o644)).unwrap();
    let port = free_port();
    let ok = |words: &str| {
        let output = stranger.run(words);
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    ok(&format!("gateway install --name a --listen 127.0.0.1:{port} --policy-config policy-config.yaml"));
    assert!(ok("gateway start --name a").contains("serving 0.1.0"));
    ok("gateway reload --name a --config-path policy-config.yaml");
    std::fs::write(stranger.home.join("closed.yaml"), "pack: 1\n").unwrap();
    std::fs::set_permissions(stranger.home.join("closed.yaml"), std::fs::Permissions::from_mode(0o600))
        .unwrap();
    let closed = stranger.run("gateway reload --name a --config-path closed.yaml");
    assert_eq!(closed.status.code(), Some(4), "{closed:?}");
    let renewed = stranger.renewed();
    let restarted = renewed.run("gateway restart --name a --json");
    assert!(restarted.status.success(), "{restarted:?}");
    let told: serde_json::Value = serde_json::from_slice(&restarted.stdout).expect("JSON");
    let program = std::fs::read_link(format!("/proc/{}/exe", told["pid"])).expect("it runs");
    assert_eq!(program, renewed.kt.with_file_name("kt-gateway"), "a restart runs the program that kt found");
    let state = stranger.home.join(".local/state/kt");
    let root = Command::new(&stranger.kt)
        .args(["gateway", "status", "--name", "a", "--json"])
        .env_clear()
        .env("KT_HOME", &state)
        .output()
        .expect("kt runs");
    assert!(root.status.success(), "root may look: {root:?}");
    let mode = std::fs::metadata(state.join("gateways/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    ok("gateway stop --name a");
    ok("gateway uninstall --name a");
    // A port that only root may take.
    if std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .is_ok_and(|text| text.trim() == "1024")
    {
        ok("gateway install --name low --listen 127.0.0.1:81 --policy-config policy-config.yaml");
        let refused = stranger.run("gateway start --name low");
        assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    }
}
