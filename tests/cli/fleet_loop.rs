//! The fleet loop, typed against a real control plane and real gateways, all started by `kt dev`: one story,
//! because each step stands on the one before.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::kt::{Kt, fresh_binary};

/// `kt dev`; killed if the test fails half way, and then the kernel ends its children.
struct Dev {
    child: Child,
    ready: Value,
    kt: Kt,
}

// === impl Dev ===

impl Dev {
    fn start(gateways: &str) -> Self {
        for program in ["kt-control-plane", "kt-gateway"] {
            fresh_binary(program);
        }
        let kt = Kt::new();
        // The database's own account must get there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(kt.home(), open).expect("a mode");
        let words = ["dev", "--json", "--gateways", gateways, "--fleet", "prod", "--data-dir", "dev"];
        let ports = ["--listen", "127.0.0.1:0", "--gateway-port", "0", "--provider-listen", "127.0.0.1:0"];
        let mut child = kt.spawn(&[&words[..], &ports[..]].concat(), Stdio::null());
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        if line.is_empty() {
            let mut why = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut why).expect("text");
            panic!("kt dev did not come up: {why}");
        }
        let ready: Value = serde_json::from_str(&line).expect("one line of JSON");
        let kt = kt
            .with("KT_CONTROL_PLANE", ready["control_plane"].as_str().expect("a URL"))
            .with("KT_TOKEN_FILE", ready["token_file"].as_str().expect("a path"));
        Self { child, ready, kt }
    }

    /// The starter pack with these replacements, as a file.
    fn pack(&self, name: &str, changes: &[(&str, &str)]) -> String {
        let path = self.ready["policy_config"].as_str().expect("a path");
        let mut text = std::fs::read_to_string(path).expect("the starter pack");
        for (from, to) in changes {
            assert!(text.contains(from), "the starter pack has `{from}`");
            text = text.replace(from, to);
        }
        self.kt.file(name, text)
    }

    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("it still runs");
        let status = self.child.wait().expect("it ends");
        assert_eq!((status.code(), status.signal()), (Some(0), None), "SIGTERM ends it in order");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn push_reject_and_look_back() {
    let dev = Dev::start("2");
    let kt = &dev.kt;
    fleets_and_gateways(kt);
    pushes(&dev);
    refused_pushes(&dev);
    rejected_rollout(&dev);
    configs(kt);
    rollouts(kt);
    history(kt);
    refusals(kt);
    dev.stop();
}

fn fleets_and_gateways(kt: &Kt) {
    let fleets = kt.run(&["fleet", "list", "--json"]).ok().json();
    assert_eq!(fleets[0]["name"], "prod");
    assert_eq!(fleets[0]["gateways"], 2);
    assert_eq!(fleets[0]["stable"], Value::Null);
    insta::assert_snapshot!(kt.run(&["fleet", "create", "spare"]), @r#"
    exit 0
    --- stdout
    fleet spare created
    --- stderr
    next: kt gateway run --fleet spare --name edge-1, then kt config push FILE --fleet spare
    "#);
    insta::assert_snapshot!(kt.run(&["fleet", "create", "spare"]), @r#"
    exit 6
    --- stderr
    error: fleet `spare` exists already
    "#);
    insta::assert_snapshot!(kt.run(&["gateway", "list", "--fleet", "prod"]), @r#"
    exit 0
    --- stdout
    NAME    LIVENESS  DESIRED  OBSERVED  IN SYNC  PINNED  LAST OUTCOME
    edge-1  online    -        -         yes      no      -
    edge-2  online    -        -         yes      no      -
    "#);
    insta::assert_snapshot!(kt.run(&["gateway", "list", "--fleet", "spare"]), @r#"
    exit 0
    --- stderr
    no gateways in spare yet; start one with `kt gateway run --fleet spare --name edge-1`
    "#);
}

fn pushes(dev: &Dev) {
    let kt = &dev.kt;
    let first = dev.pack("first.yaml", &[]);
    let pushed = kt
        .run(&[
            "config",
            "push",
            &first,
            "--fleet",
            "prod",
            "--note",
            "the first",
            "--bake",
            "0s",
            "--wait",
            "--for",
            "succeeded",
            "--json",
        ])
        .ok();
    assert_eq!(pushed.stderr, "", "with --json stderr is silent when all is well");
    let view = pushed.json();
    assert_eq!(
        (&view["config"], &view["revision"], &view["created"]),
        (&json!("local-dev"), &json!(1), &json!(true))
    );
    assert_eq!(view["rollout"]["state"], "succeeded");
    assert_eq!((&view["counts"]["active"], &view["counts"]["proven"]), (&json!(2), &json!(2)));
    assert_eq!((&view["counts"]["total"], &view["rejections"]), (&json!(2), &json!([])));

    let again = kt.run(&["config", "push", &first, "--json"]).ok().json();
    assert_eq!((&again["revision"], &again["created"]), (&json!(1), &json!(false)));
    assert_eq!(again.get("rollout"), None, "no fleet, no rollout");

    let second = dev
        .pack("second.yaml", &[("0.1.0", "0.1.1"), ("- audit-logger", "- pii-detector\n    - audit-logger")]);
    let said =
        kt.run(&["config", "push", &second, "--fleet", "prod", "--bake", "0s", "--wait", "--for", "proven"]);
    assert_eq!(said.code, 0, "{said}");
    assert!(said.stdout.contains("local-dev@2 (0.1.1, sha256:"), "{said}");
    assert!(said.stderr.contains("warning[E003]"), "a warning is drawn: {said}");
}

fn refused_pushes(dev: &Dev) {
    let kt = &dev.kt;
    let reused = dev.pack("reused.yaml", &[("\"*\"", "gpt-*")]);
    let said = kt.run(&["config", "push", &reused, "--json"]);
    assert_eq!(said.code, 6, "a pack.version with other bytes: {said}");
    let stale = dev.pack("stale.yaml", &[("0.1.0", "0.9.0")]);
    let said = kt.run(&["config", "push", &stale, "--expect-revision", "1", "--json"]);
    assert_eq!(said.code, 6, "{said}");
    let risky = dev.pack("risky.yaml", &[("0.1.0", "0.9.1"), ("    - prompt-injection\n", "")]);
    let said = kt.run(&["config", "push", &risky, "--fleet", "prod", "--json"]);
    assert_eq!(said.code, 6, "a guard is removed: {said}");
    let other = dev.pack("other.yaml", &[("name: local-dev", "name: other")]);
    let said = kt.run(&["config", "push", &other, "--fleet", "prod", "--json"]);
    assert_eq!(said.code, 6, "the fleet runs another config: {said}");
    let said = kt.run(&["config", "push", &other, "--fleet", "nowhere"]);
    assert_eq!(said.code, 3, "{said}");
    assert_eq!(
        kt.run(&["config", "history", "local-dev", "--json"]).json().as_array().map(Vec::len),
        Some(2)
    );
}

fn rejected_rollout(dev: &Dev) {
    let changes = [
        ("0.1.0", "0.1.2"),
        ("- audit-logger", "- pii-detector\n    - audit-logger"),
        ("OPENAI_API_KEY", "NOBODYS_API_KEY"),
    ];
    let keyless = dev.pack("keyless.yaml", &changes);
    let words = ["config", "push", &keyless, "--fleet", "prod", "--wait", "--json"];
    let said = dev.kt.run(&words);
    assert_eq!(said.code, 1, "{said}");
    let view = said.json();
    assert_eq!(view["counts"]["rejected"], 2, "{said}");
    assert_eq!(view["counts"]["total"], 2);
    let rejections = view["rejections"].as_array().expect("an array");
    assert_eq!(rejections.len(), 2);
    assert!(rejections.iter().all(|rejection| rejection["stage"] == "secrets"), "{said}");
    assert!(view.to_string().contains("NOBODYS_API_KEY"), "the variable is named: {said}");
    assert_eq!(said.error()["code"], "goal_not_met");

    let id = view["rollout"]["id"].as_str().expect("an id").to_owned();
    let said = dev.kt.run(&["rollout", "wait", &id, "--for", "succeeded"]);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stderr.contains("refused at secrets"), "drawn like a local lint: {said}");
}

fn configs(kt: &Kt) {
    let shown = kt.run(&["config", "show", "local-dev@1"]).ok();
    let source = std::fs::read_to_string(kt.home().join("first.yaml")).expect("the file that was pushed");
    assert_eq!(shown.stdout, source, "the bytes, exactly");
    let view = kt.run(&["config", "show", "local-dev@1", "--json"]).ok().json();
    assert_eq!((&view["source"], &view["note"]), (&json!(source), &json!("the first")));
    insta::assert_snapshot!(kt.run(&["config", "diff", "local-dev@1", "local-dev@2"]), @r#"
    exit 0
    --- stdout
    pack:
    -pack.version: "0.1.0"
    +pack.version: "0.1.1"
    policies:
    -policies.chain: [prompt-injection, audit-logger]
    +policies.chain: [prompt-injection, pii-detector, audit-logger]
    policy:
    +policy.pii-detector.mode: enforce
    +policy.pii-detector.action: redact
    +policy.pii-detector.pci_mode: true
    +policy.pii-detector.healthcare_mode: false
    +policy.pii-detector.detect_patterns: {}
    +policy.pii-detector.redaction.marker_format: label
    +policy.pii-detector.redaction.custom_markers: {}
    "#);
    insta::assert_snapshot!(kt.run(&["config", "diff", "local-dev@2", "local-dev@2"]), @r#"exit 0"#);
    insta::assert_snapshot!(kt.run(&["config", "history", "local-dev"]), @r#"
    exit 0
    --- stdout
    REVISION  VERSION  DIGEST               AT                    AUTHOR    NOTE
    3         0.1.2    <digest>  <time>  operator
    2         0.1.1    <digest>  <time>  operator
    1         0.1.0    <digest>  <time>  operator  the first
    "#);
    let newest = kt.run(&["config", "diff", "local-dev", "--json"]).ok().json();
    assert_eq!((&newest["from"]["revision"], &newest["to"]["revision"]), (&json!(2), &json!(3)));
}

fn rollouts(kt: &Kt) {
    let list = kt.run(&["rollout", "list", "--fleet", "prod", "--json"]).ok().json();
    let list = list.as_array().expect("an array");
    assert_eq!(list.iter().map(|rollout| rollout["revision"].clone()).collect::<Vec<_>>(), [3, 2, 1]);
    for key in ["id", "kind", "fleet", "config", "state", "waves", "counts", "waiting_on"] {
        assert!(list[0].get(key).is_some(), "{key}");
    }
    let id = list[1]["id"].as_str().expect("an id");
    insta::assert_snapshot!(kt.run(&["rollout", "status", id]), @r#"
    exit 0
    --- stdout
    rollout     <id>
    fleet       prod
    config      local-dev@2 (0.1.1)
    state       succeeded
    counts      2 active (2 proven) of 2 gateways
    started     <time>
    ended       <time>
    "#);
    assert_eq!(kt.run(&["rollout", "wait", id, "--for", "succeeded"]).code, 0);
    let said = kt.run(&["rollout", "wait", id, "--timeout", "213503982334601d"]);
    assert_eq!(said.code, 0, "longer than any clock can add: {said}");

    let started =
        kt.run(&["rollout", "start", "local-dev@2", "--fleet", "prod", "--bake", "1h", "--wait", "--json"]);
    assert_eq!(started.clone().ok().json()["counts"]["active"], 2, "{started}");
    let id = started.json()["id"].as_str().expect("an id").to_owned();
    let said = kt.run(&["rollout", "wait", &id, "--for", "proven", "--timeout", "1s", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (5, Some("timed_out")), "{said}");
    assert_eq!(said.json()["counts"]["active"], 2, "the counts either way: {said}");
}

fn history(kt: &Kt) {
    let events = kt.run(&["history", "--json"]).ok().json();
    let events = events.as_array().expect("an array");
    let cursors: Vec<u64> = events.iter().map(|event| event["cursor"].as_u64().expect("a cursor")).collect();
    assert_eq!(cursors, (1..=events.len() as u64).collect::<Vec<_>>(), "gapless, oldest first");
    let kinds = ["--kind", "config_pushed", "--config", "local-dev"];
    let pushed = kt.run(&[&["history", "--json"][..], &kinds[..]].concat()).ok().json();
    assert_eq!(pushed.as_array().map(Vec::len), Some(3));
    let newest = kt.run(&["history", "--limit", "2", "--json"]).ok().json();
    assert_eq!(newest[1]["cursor"], json!(events.len()), "the newest two, oldest first");
    let edge = kt.run(&["history", "--gateway", "prod/edge-1", "--kind", "activation", "--json"]).ok().json();
    let outcomes: Vec<_> =
        edge.as_array().expect("an array").iter().map(|event| event["outcome"].clone()).collect();
    assert!(outcomes.contains(&json!("rejected")) && outcomes.contains(&json!("proven")), "{outcomes:?}");

    let mut follow = kt.spawn(&["history", "--follow", "--cursor", "0", "--json"], Stdio::null());
    let mut lines = BufReader::new(follow.stdout.take().expect("piped")).lines();
    let followed: Vec<Value> = lines
        .by_ref()
        .take(events.len())
        .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON Lines"))
        .collect();
    drop(lines);
    let status = follow.wait().expect("it ends when nobody reads, without one more event");
    assert!(status.success(), "{status}");
    assert_eq!(&followed, events, "followed from the start it is the same history");

    let at =
        kt.run(&["history", "at", "--gateway", "prod/edge-1", "2999-01-01T00:00:00Z", "--json"]).ok().json();
    assert_eq!(
        (&at["config"], &at["revision"], &at["gateway"]),
        (&json!("local-dev"), &json!(2), &json!("prod/edge-1"))
    );
    let said = kt.run(&["history", "at", "--gateway", "prod/edge-1", "1999-01-01T00:00:00Z"]);
    assert_eq!(said.code, 3, "it ran nothing then: {said}");
}

fn refusals(kt: &Kt) {
    insta::assert_snapshot!(kt.run(&["fleet", "show", "nowhere"]), @r#"
    exit 3
    --- stderr
    error: there is no fleet `nowhere`
      hint: known: prod, spare
    "#);
    insta::assert_snapshot!(kt.run(&["gateway", "inspect", "prod/edge-9"]), @r#"
    exit 3
    --- stderr
    error: there is no gateway `prod/edge-9`
      hint: known: edge-1, edge-2
    "#);
    insta::assert_snapshot!(kt.run(&["config", "show", "local-dev@99"]), @r#"
    exit 3
    --- stderr
    error: there is no revision `local-dev@99`
      hint: known: 3, 2, 1
    "#);
    let said = kt.run(&["rollout", "status", "00000000-0000-4000-8000-000000000000", "--json"]);
    assert_eq!((said.code, said.error()["code"].as_str()), (3, Some("not_found")), "{said}");

    let forged = kt.file("forged.token", "kt_forged\n");
    std::fs::set_permissions(&forged, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a mode");
    let url = kt.variable("KT_CONTROL_PLANE").expect("set by the story");
    let stranger = Kt::new().with("KT_CONTROL_PLANE", url).with("KT_TOKEN_FILE", forged);
    insta::assert_snapshot!(stranger.run(&["fleet", "list"]), @r#"
    exit 4
    --- stderr
    error: the control plane at http://127.0.0.1:<port> does not accept this token
      hint: it may be of another control plane, or replaced by a newer enrolment
    "#);
}
