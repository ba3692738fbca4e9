//! Wrong words to gateways of this host: one clear error, the exit code of the table, and nothing changed.

#![cfg(test)]

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::local_host::Host;

/// Nothing was made.
fn is_empty(host: &Host) -> bool {
    let entries = std::fs::read_dir(host.state().join("gateways")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name() != ".lock").count() == 0
}

#[test]
fn an_install_that_is_refused_makes_nothing() {
    let host = Host::new();
    host.kt.file("broken.yaml", "pack:\n  enabeld: true\n");
    host.kt.file("open.env", "OPENAI_API_KEY=hunter2\n");
    let source = "--policy-config policy-config.yaml";
    for (code, words) in [
        (2, "--name Prod".to_owned()),
        (2, "--name ../x".to_owned()),
        (2, format!("--name a {source} --listen 127.0.0.1:0")),
        (2, format!("--name a {source} --listen :99999")),
        (2, format!("--name a {source} --listen 0.0.0.0")),
        (2, format!("--name a {source} --listen host:abc")),
        (2, format!("--name a {source} --listen [::1")),
        (2, format!("--name a {source} --max-body lots")),
        (2, format!("--name a {source} --env-file open.env")),
        (3, format!("--name a {source} --env-file missing.env")),
        (3, format!("--name a {source} --working-dir missing")),
        (2, "--name a".to_owned()),
        (2, "--name a --policy-config broken.yaml".to_owned()),
        (3, "--name a --policy-config missing.yaml".to_owned()),
        (2, "--name a --policy-config -".to_owned()),
        (2, "--name a --policy-config .".to_owned()),
        (2, "--name a --fleet Prod".to_owned()),
        (2, "--name a --fleet prod --control-plane http://192.0.2.1:7443".to_owned()),
        (2, "--name a --fleet prod --join-token-file t".to_owned()),
        (2, format!("--name a {source} --join-token-file t")),
    ] {
        let said = host.run(&format!("gateway install {words}"));
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{words}: {said}");
        assert!(!said.stderr.contains("panicked") && !said.stderr.contains("hunter2"), "{words}: {said}");
        assert!(is_empty(&host), "{words}");
    }
    let said = host.run(&format!("gateway install --name a {source} --listen :99999"));
    assert!(said.stderr.contains("127.0.0.1:41002"), "an example is given: {said}");
    let said = host.run("gateway install --name a --policy-config broken.yaml");
    assert!(said.stderr.contains("--> broken.yaml:2:3"), "as a lint draws it: {said}");
    let said = host.run("gateway install --name a --policy-config broken.yaml --json");
    assert!(!said.error()["findings"].as_array().expect("findings").is_empty(), "{said}");
}

#[test]
fn a_unit_is_printed_and_nothing_is_made() {
    let host = Host::new();
    let said = host.run("gateway install --name a --print-systemd-unit --policy-config missing.yaml").ok();
    assert!(said.stdout.contains("[Service]") && said.stdout.contains("--name a"), "{said}");
    assert!(!host.state().exists());
}

#[test]
fn a_name_that_is_taken_is_refused_before_the_pack_is_read() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let before = std::fs::read(host.dir("a").join("instance.json")).unwrap();
    for source in ["missing.yaml", "policy-config.yaml"] {
        let said = host.run(&format!("gateway install --name a --policy-config {source}"));
        assert_eq!(said.code, 6, "{said}");
        assert!(said.stderr.contains("already installed"), "{said}");
    }
    assert_eq!(std::fs::read(host.dir("a").join("instance.json")).unwrap(), before);
    // What a crash left of an install is no gateway, and goes with the next.
    std::fs::create_dir(host.dir(".b.0123")).unwrap();
    let listed = host.run("gateway list --json").ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let _ = host.install("b").ok();
    assert!(!host.dir(".b.0123").exists());
}

#[test]
fn a_gateway_that_is_not_there_is_told_with_those_that_are() {
    let host = Host::new();
    let said = host.run("gateway status");
    assert_eq!(said.code, 3, "{said}");
    let _ = host.install("a").ok();
    let _ = host.install("b").ok();
    for verb in [
        "status",
        "status --history-json",
        "start",
        "stop",
        "restart",
        "reload",
        "revert",
        "unpin",
        "logs",
        "uninstall",
    ] {
        let said = host.run(&format!("gateway {verb} --name nosuch"));
        assert_eq!((said.code, said.stdout.as_str()), (3, ""), "{verb}: {said}");
        assert!(said.stderr.contains("known: a, b"), "{verb}: {said}");
    }
    for verb in ["reload", "revert", "unpin"] {
        let said = host.run(&format!("gateway {verb} --name a"));
        assert_eq!(said.code, 5, "{verb}: {said}");
        assert!(said.stderr.contains("kt gateway start --name a"), "{verb}: {said}");
    }
    for words in [
        "status --name Prod",
        "status --name a --history-action frobnicate",
        "status --name a --history-limit x",
        "reload --name a --break-glass",
        "reload --name a --gateway-url http://10.0.0.1:1",
        "revert --name a --gateway-url https://localhost:1",
        "start --name a --timeout soon",
        "stop --name a --timeout 99d",
        "logs --name a --lines -1",
    ] {
        let said = host.run(&format!("gateway {words}"));
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{words}: {said}");
    }
    let said = host.run("gateway status --name a --history-action frobnicate");
    assert!(said.stderr.contains("crash_fallback") && said.stderr.contains("reload"), "{said}");
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused_by_the_gateway() {
    let host = Host::new();
    host.up("a");
    let home = host.kt.home();
    std::fs::create_dir(home.join("sub")).unwrap();
    symlink("/etc", home.join("etc")).unwrap();
    symlink("/etc/passwd", home.join("link.yaml")).unwrap();
    symlink("policy-config.yaml", home.join("inside.yaml")).unwrap();
    nix::unistd::mkfifo(&home.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let sparse = std::fs::File::create(home.join("sparse.yaml")).unwrap();
    sparse.set_len(10 << 30).unwrap();
    for (code, path) in [
        (2, "/etc/passwd"),
        (2, "../x.yaml"),
        (2, "sub/../../x.yaml"),
        (2, "link.yaml"),
        (2, "inside.yaml"),
        (2, "etc/passwd"),
        (2, "fifo"),
        (2, "sub"),
        (2, "sparse.yaml"),
        (3, "missing.yaml"),
        (3, "missing/policy-config.yaml"),
    ] {
        let said = host.kt.run(&["gateway", "reload", "--name", "a", "--config-path", path]);
        assert_eq!((said.code, said.stdout.as_str()), (code, ""), "{path}: {said}");
        assert!(!said.stderr.contains("root:") && !said.stderr.contains("panicked"), "{path}: {said}");
    }
    let said = host.run("gateway reload --name a --config-path /etc/passwd");
    assert!(said.stderr.contains("relative") && said.stderr.contains("working directory"), "{said}");
    let status = host.status("a");
    assert_eq!((&status["in_sync"], &status["observed"]["version"]), (&true.into(), &"0.1.0".into()));
}

#[tokio::test]
async fn a_gateway_url_must_be_that_gateways() {
    let host = Host::new();
    host.up("a");
    let listen = format!("127.0.0.1:{}", tests::programs::free_port());
    let _ = host
        .kt
        .run(&[
            "gateway",
            "install",
            "--name",
            "b",
            "--listen",
            &listen,
            "--policy-config",
            "policy-config.yaml",
        ])
        .ok();
    let _ = host.run("gateway start --name b").ok();
    let said = host.run(&format!("gateway reload --name a --gateway-url http://{listen}"));
    assert_eq!(said.code, 6, "{said}");
    assert!(said.stderr.contains("is `b`, not `a`"), "{said}");
    let nobody = tests::programs::free_port();
    let said = host.run(&format!("gateway revert --name a --gateway-url http://127.0.0.1:{nobody}"));
    assert_eq!(said.code, 5, "{said}");
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = stranger.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    });
    let said = host.run(&format!("gateway revert --name a --gateway-url http://{address}"));
    assert_eq!(said.code, 6, "no gateway of ours: {said}");
    let _ = host.run("gateway reload --name a --gateway-url http://127.0.0.1:{port}/").ok();
}

#[test]
fn an_unreadable_line_costs_itself_alone() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let path = host.dir("a").join("history.jsonl");
    let mut history = std::fs::read(&path).unwrap();
    history.extend_from_slice(b"{\"id\":\"torn");
    std::fs::write(&path, history).unwrap();
    let said = host.run("gateway status --name a --history-json").ok();
    assert_eq!(said.json().as_array().map(Vec::len), Some(1));
    assert!(said.stderr.contains("1 unreadable entry"), "{said}");
    let said = host.run("gateway status --name a --history-json --history-action reload").ok();
    assert_eq!(said.json(), serde_json::json!([]));
    let table = host.run("gateway status --name a --history").ok();
    assert!(table.stdout.contains("install") && table.stdout.contains("succeeded"), "{table}");
}

#[test]
fn an_uninstalled_gateway_leaves_its_history_to_the_next_of_its_name() {
    let host = Host::new();
    let _ = host.install("a").ok();
    let _ = host.run("gateway uninstall --name a").ok();
    assert!(is_empty(&host) && host.state().join("history/a/history.jsonl").exists());
    assert_eq!(host.run("gateway status --name a").code, 3);
    let _ = host.install("a").ok();
    assert_eq!(host.history("a"), ["install succeeded", "uninstall succeeded", "install succeeded"]);
    assert!(!Path::new(&host.state().join("history/a")).exists(), "it moved");
    let purged = host.run("gateway uninstall --name a --purge --json").ok().json();
    assert_eq!(purged, serde_json::json!({"name": "a", "history": null}));
    let _ = host.install("a").ok();
    assert_eq!(host.history("a"), ["install succeeded"]);
}
