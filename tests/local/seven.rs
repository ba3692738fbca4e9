//! The seven commands, typed as the contract has them, in a new empty home: as the user who runs the tests and as an
//! ordinary one.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use tests::eventually::eventually;
use tests::host::Host;

const FIRST: &str = include_str!("../../examples/policy-config.yaml");
const SECOND: &str = include_str!("../../examples/policy-config-0.1.1.yaml");

/// The one port of the contract's commands: the tests that use it are one test.
const SEVEN: [&str; 7] = [
    "kt gateway install --name local-dev --listen 0.0.0.0:41002 --policy-config policy-config.yaml",
    "kt gateway start --name local-dev",
    "kt gateway status --name local-dev",
    "kt policy lint --file policy-config.yaml",
    "kt gateway reload --name local-dev --gateway-url http://localhost:41002 --config-path policy-config.yaml",
    "kt gateway status --name local-dev --history-json --history-action reload",
    "kt gateway revert --name local-dev --gateway-url http://localhost:41002",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seven_commands_work_as_typed() {
    until_free().await;
    type_them(Host::new());
    if let Some(ordinary) = Host::ordinary() {
        until_free().await;
        type_them(ordinary);
    }
}

/// It is among those from which the kernel takes the near end of a connection, of any test that runs beside this one.
async fn until_free() {
    eventually("port 41002 is free", Duration::from_secs(60), async || {
        TcpListener::bind("0.0.0.0:41002").map(drop).map_err(|error| error.to_string())
    })
    .await;
}

fn type_them(host: Host) {
    let [install, start, status, lint, reload, history, revert] = SEVEN;
    host.writes("policy-config.yaml", FIRST);
    host.types(install).ok();
    let told = host.status("local-dev");
    assert_eq!(
        (&told["running"], &told["pid"], &told["ready"]),
        (&json!(false), &Value::Null, &json!(false))
    );
    assert_eq!(told["desired"]["version"], "0.1.0", "{told}");
    host.types(start).ok();
    let said = host.types(status).ok();
    assert!(said.stdout.contains("local-dev") && said.stdout.contains("0.1.0"), "{said}");
    let first = host.status("local-dev");
    assert_eq!(first["source"], "local");
    assert_eq!(first["listen"], "0.0.0.0:41002");
    assert_eq!(
        (&first["running"], &first["ready"], &first["in_sync"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert!(first["pid"].as_u64().is_some_and(|pid| pid > 1), "{first}");

    host.writes("policy-config.yaml", SECOND);
    host.types(lint).ok();
    let said = host.types(reload).ok();
    assert!(said.stdout.contains("0.1.0") && said.stdout.contains("0.1.1"), "from and to: {said}");
    let told: Value = host.types(history).ok().json();
    let [record] = told.as_array().unwrap().as_slice() else { panic!("one reload: {told}") };
    for field in [
        "id",
        "action",
        "at",
        "actor",
        "outcome",
        "from",
        "to",
        "observed",
        "duration_ms",
        "reason",
        "findings",
    ] {
        assert!(record.get(field).is_some(), "{field}: {record}");
    }
    assert_eq!((&record["action"], &record["outcome"]), (&json!("reload"), &json!("succeeded")));
    assert_eq!((&record["from"]["version"], &record["to"]["version"]), (&json!("0.1.0"), &json!("0.1.1")));
    assert_eq!(record["observed"], record["to"]);
    assert_eq!(record["from"]["digest"], first["observed"]["digest"]);
    let second = host.status("local-dev");
    assert_eq!((&second["observed"]["version"], &second["in_sync"]), (&json!("0.1.1"), &json!(true)));
    assert_eq!(second["pid"], first["pid"], "no restart");
    let versions = |status: &Value| -> Vec<Value> {
        status["good"].as_array().unwrap().iter().map(|good| good["version"].clone()).collect()
    };
    assert_eq!(versions(&second), [json!("0.1.1"), json!("0.1.0")]);

    host.types(revert).ok();
    let third = host.status("local-dev");
    assert_eq!(third["observed"]["digest"], first["observed"]["digest"]);
    assert_eq!((&third["in_sync"], versions(&third)), (&json!(true), vec![json!("0.1.0")]));
    assert_eq!(host.types(revert).code, 6, "nothing is left to go back to");
    assert_eq!(
        host.acts("local-dev"),
        ["install succeeded", "start succeeded", "reload succeeded", "revert succeeded", "revert failed"]
    );
    host.types("kt gateway stop --name local-dev").ok();
    assert_eq!(host.types("kt gateway stop --name local-dev").code, 0, "it is stopped, as asked");
    host.types("kt gateway start --name local-dev").ok();
    assert_eq!(
        host.status("local-dev")["observed"]["digest"],
        first["observed"]["digest"],
        "not what the file says"
    );
    host.types("kt gateway uninstall --name local-dev").ok();
    assert_eq!(host.types("kt gateway status --name local-dev").code, 3);
}
