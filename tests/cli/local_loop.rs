//! Reloads and starts that fail: what is told, and what is left. (The loop as it is typed is `tests/local/seven.rs`.)

#![cfg(test)]

use serde_json::Value;

use crate::local_host::Host;

#[tokio::test]
async fn a_failed_reload_changes_nothing_but_what_is_wanted() {
    let host = Host::new();
    host.up("a");
    host.kt.file("broken.yaml", "pack:\n  name: local-dev\n  enabeld: true\n");
    let refused = host.run("gateway reload --name a --config-path broken.yaml");
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused}");
    let drawn = refused.stderr.contains("--> broken.yaml:3:3") && refused.stderr.contains("enabeld: true");
    assert!(drawn, "as a lint at home: {refused}");
    let status = host.status("a");
    assert_eq!((&status["in_sync"], &status["desired"]["version"]), (&false.into(), &Value::Null));
    assert_eq!(
        (&status["observed"]["version"], &status["last_failure"]["stage"]),
        (&"0.1.0".into(), &"lint".into())
    );
    let text = host.run("gateway status --name a").ok().stdout;
    assert!(text.contains("should run") && text.contains("revert --name a` withdraws"), "{text}");
    let json = host.run("gateway reload --name a --config-path broken.yaml --json");
    assert!(!json.error()["findings"].as_array().expect("findings").is_empty(), "{json}");
    let said = host.run("gateway revert --name a").ok();
    assert!(said.stdout.starts_with("withdrawn: "), "{said}");
    assert_eq!(host.status("a")["in_sync"], true);

    let same = host.run("gateway reload --name a").ok();
    assert!(same.stdout.starts_with("no change: gateway a runs 0.1.0"), "the installed file: {same}");
    host.kt.file(
        "secret.yaml",
        std::fs::read_to_string(host.kt.home().join("policy-config.yaml"))
            .unwrap()
            .replace("OPENAI_API_KEY", "OTHER_API_KEY"),
    );
    let missing = host.run("gateway reload --name a --config-path secret.yaml");
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains("OTHER_API_KEY"), "{missing}");
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
}

#[tokio::test]
async fn a_start_that_fails_tells_the_reason_and_leaves_nothing() {
    let host = Host::new();
    let held = std::net::TcpListener::bind(("127.0.0.1", host.port)).expect("a free port");
    let _ = host.install("a").ok();
    let taken = host.run("gateway start --name a");
    assert_eq!(taken.code, 6, "{taken}");
    assert!(taken.stderr.contains(&host.port.to_string()) && taken.stderr.contains("in use"), "{taken}");
    assert!(host.supervisor("a").is_none(), "nothing is left running");
    assert_eq!(host.status("a")["running"], false);
    drop(held);

    let pack = std::fs::read_to_string(host.kt.home().join("policy-config.yaml")).unwrap();
    host.kt.file("policy-config.yaml", pack.replace("OPENAI_API_KEY", "OTHER_API_KEY"));
    let _ = host
        .run("gateway install --name b --listen 127.0.0.1:{port} --policy-config policy-config.yaml")
        .ok();
    let missing = host.run("gateway start --name b");
    assert_eq!(missing.code, 1, "{missing}");
    assert!(missing.stderr.contains("OTHER_API_KEY"), "{missing}");
    assert!(host.supervisor("b").is_none(), "nothing is left running");
    assert_eq!(host.history("b"), ["install succeeded", "start failed"]);
    let _ = host.run("gateway start --name a").ok();
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
}
