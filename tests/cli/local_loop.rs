//! The loop of the product as it is typed: install, start, status, lint, reload, history, revert.

#![cfg(test)]

use serde_json::Value;

use crate::local_host::Host;

/// From `product.md`, but for the port.
const LOOP: [&str; 7] = [
    "gateway install --name local-dev --listen 0.0.0.0:{port} --policy-config policy-config.yaml",
    "gateway start --name local-dev",
    "gateway status --name local-dev",
    "policy lint --file policy-config.yaml",
    "gateway reload --name local-dev --gateway-url http://localhost:{port} --config-path policy-config.yaml",
    "gateway status --name local-dev --history-json --history-action reload",
    "gateway revert --name local-dev --gateway-url http://localhost:{port}",
];

#[tokio::test]
async fn the_seven_commands_work_as_typed() {
    let host = Host::new();
    for words in &LOOP[..4] {
        let said = host.run(words).ok();
        assert!(!said.stdout.is_empty(), "{words}: {said}");
    }
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
    host.write_version("0.2.0");
    let said = host.run(LOOP[4]).ok();
    assert!(said.stdout.contains("0.1.0 → 0.2.0") && said.stdout.lines().count() == 1, "{said}");
    assert_eq!(host.served().await.as_deref(), Ok("0.2.0"));
    let told = host.run(LOOP[5]).ok().json();
    let record = &told[0];
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!((&record["action"], &record["outcome"]), (&Value::from("reload"), &Value::from("succeeded")));
    assert_eq!(
        (&record["from"]["version"], &record["observed"]["version"]),
        (&"0.1.0".into(), &"0.2.0".into())
    );
    for key in ["id", "at", "actor", "to", "duration_ms", "reason", "findings"] {
        assert!(record.get(key).is_some(), "{key}: {record}");
    }
    let said = host.run(LOOP[6]).ok();
    assert!(said.stdout.contains("0.2.0 → 0.1.0"), "{said}");
    assert_eq!(host.served().await.as_deref(), Ok("0.1.0"));
    let status = host.status("local-dev");
    assert_eq!(status["desired"]["version"], "0.1.0");
    assert_eq!(
        (&status["in_sync"], &status["running"], &status["ready"]),
        (&true.into(), &true.into(), &true.into())
    );
    assert_eq!(status["withdrawn"][0]["version"], "0.2.0");
    let again = host.run(LOOP[6]);
    assert_eq!(again.code, 6, "there is nothing below: {again}");
    assert_eq!(
        host.history("local-dev"),
        ["install succeeded", "start succeeded", "reload succeeded", "revert succeeded", "revert failed"]
    );
}

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
