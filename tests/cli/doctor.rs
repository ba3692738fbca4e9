//! `kt doctor`

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::kt::{Kt, Said, fresh_binary};

/// A port that nobody listens on.
const NOBODY: &str = "http://127.0.0.1:1";

fn check<'a>(said: &'a Value, name: &str) -> &'a Value {
    said["checks"].as_array().expect("checks").iter().find(|check| check["check"] == name).expect(name)
}

fn status(said: &Said, name: &str) -> String {
    check(&said.json(), name)["status"].as_str().expect("a status").to_owned()
}

fn setting(said: &Said, name: &str) -> (Value, Value) {
    let said = said.json();
    let settings = said["settings"].as_array().expect("settings");
    let found = settings.iter().find(|setting| setting["name"] == name).expect(name);
    (found["value"].clone(), found["source"].clone())
}

fn doctor(kt: &Kt, more: &[&str]) -> Said {
    kt.run(&[&["doctor", "--json"], more].concat())
}

#[test]
fn nothing_set_and_nothing_there_is_no_problem() {
    fresh_binary("kt-gateway");
    fresh_binary("kt-control-plane");
    let kt = Kt::new().with("XDG_DATA_HOME", "/nowhere");
    let said = doctor(&kt, &["--control-plane", NOBODY]);
    assert_eq!(status(&said, "control_plane"), "problem", "it was named");
    let kt = Kt::new();
    let said = doctor(&kt, &[]);
    // A control plane of somebody else may run here, and take no token of ours.
    let control_plane = status(&said, "control_plane");
    assert!(["skipped", "warning", "ok"].contains(&control_plane.as_str()), "{said}");
    assert_eq!((said.code, &said.json()["ok"]), (0, &json!(true)), "{said}");
    for (name, expected) in [
        ("kt-gateway", "ok"),
        ("kt-control-plane", "ok"),
        ("state_dir", "skipped"),
        ("database", "skipped"),
        ("gateways", "skipped"),
    ] {
        assert_eq!(status(&said, name), expected, "{said}");
    }
    let home = kt.home().join(".local/state/kt").to_string_lossy().into_owned();
    assert_eq!(setting(&said, "KT_HOME"), (json!(home), json!("default")));
    assert_eq!(setting(&said, "KT_CONTROL_PLANE"), (json!("http://127.0.0.1:7443"), json!("default")));
    assert_eq!(setting(&said, "DATABASE_URL"), (Value::Null, json!("default")));
}

#[test]
fn what_is_in_force_and_where_it_comes_from() {
    let kt = Kt::new().with("KT_CONTROL_PLANE", "http://127.0.0.1:2").with("KT_PG_BIN", "/nowhere");
    let said = doctor(&kt, &["--control-plane", NOBODY]);
    assert_eq!(setting(&said, "KT_CONTROL_PLANE"), (json!(NOBODY), json!("flag")));
    assert_eq!(setting(&said, "KT_PG_BIN"), (json!("/nowhere"), json!("environment")));
    let said = doctor(&kt, &[]);
    assert_eq!(setting(&said, "KT_CONTROL_PLANE"), (json!("http://127.0.0.1:2"), json!("environment")));
}

#[test]
fn what_is_named_and_does_not_work_is_a_problem() {
    for (variable, value, name) in [
        ("KT_HOME", "/dev/null/state", "state_dir"),
        ("KT_HOME", "/dev/null", "state_dir"),
        ("KT_TOKEN_FILE", "/nowhere/token", "token_file"),
        ("KT_CONTROL_PLANE", NOBODY, "control_plane"),
        ("KT_CONTROL_PLANE", "http://cp.example:7443", "control_plane"),
        ("KT_PG_BIN", "/nowhere", "postgres"),
        ("DATABASE_URL", "postgres://kt:hunter2@127.0.0.1:1/fleet", "database"),
    ] {
        let kt = Kt::new().with(variable, value);
        let said = doctor(&kt, &[]);
        assert_eq!((said.code, status(&said, name).as_str()), (1, "problem"), "{variable}={value}: {said}");
        assert!(!said.stdout.contains("hunter2"), "{said}");
        assert_eq!((kt.run(&["doctor"]).code, said.stderr.as_str()), (1, ""));
    }
}

#[test]
fn nothing_secret_is_shown() {
    let kt = Kt::new()
        .with("DATABASE_URL", "postgres://kt-user:hunter2@127.0.0.1:1/fleet?password=hunter2")
        .with("KT_CONTROL_PLANE", "http://me:hunter2@127.0.0.1:1");
    let token = kt.file("operator.token", "kt_hunter2hunter2hunter2hunter2\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let kt = kt.with("KT_TOKEN_FILE", &token);
    for words in [&["doctor"][..], &["doctor", "--json"]] {
        let said = kt.run(words);
        let all = format!("{}{}", said.stdout, said.stderr);
        assert!(!all.contains("hunter2") && !all.contains("kt-user"), "{said}");
        assert!(all.contains("postgres://127.0.0.1:1/fleet"), "{said}");
    }
}

#[test]
fn the_state_directory_and_its_gateways() {
    let kt = Kt::new();
    let home = kt.home().join("state");
    std::fs::create_dir(&home).expect("a directory");
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).expect("a mode");
    let kt = kt.with("KT_HOME", &home);
    let pack = kt.file("pack.yaml", include_str!("../../examples/policy-config.yaml"));
    for name in ["edge-1", "edge-2"] {
        let _ = kt.run(&["gateway", "install", "--name", name, "--policy-config", &pack]).ok();
    }
    let said = doctor(&kt, &[]);
    assert_eq!(
        check(&said.json(), "gateways")["message"],
        "2 gateways: edge-1 is stopped; edge-2 is stopped"
    );
    let state = check(&said.json(), "state_dir")["message"].as_str().expect("a message").to_owned();
    assert!(state.contains("mode 0700") && state.contains("MiB free"), "{said}");
    let open = home.join("gateways/edge-2");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    assert_eq!(status(&doctor(&kt, &[]), "gateways"), "warning");
}

#[test]
fn a_token_that_others_may_read_is_a_problem_and_a_pipe_does_not_hang() {
    let kt = Kt::new();
    let token = kt.file("operator.token", "kt_secret\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let said = doctor(&kt.with("KT_TOKEN_FILE", &token), &[]);
    assert_eq!(status(&said, "token_file"), "problem", "{said}");
    let kt = Kt::new();
    let pipe = kt.home().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let said = doctor(&kt.with("KT_TOKEN_FILE", &pipe), &[]);
    assert_eq!(status(&said, "token_file"), "problem", "{said}");
}

/// A program and a control plane that never answer cost their two seconds, at the same time.
#[test]
fn what_hangs_is_told() {
    let kt = Kt::new();
    let bin = kt.home().join("bin");
    std::fs::create_dir(&bin).expect("a directory");
    let program = kt.file("bin/postgres", "#!/bin/sh\nexec sleep 600\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let token = kt.file("operator.token", "kt_secret\n");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let kt = kt.with("KT_PG_BIN", &bin).with("KT_TOKEN_FILE", &token);
    let said = doctor(&kt, &["--control-plane", &url]);
    assert_eq!(said.code, 1, "{said}");
    for name in ["postgres", "control_plane"] {
        let said = said.json();
        assert_eq!(check(&said, name)["status"], "problem", "{said}");
        assert_eq!(check(&said, name)["message"], "no answer within 2 seconds", "{said}");
    }
}

#[test]
fn people_read_it_at_eighty_columns() {
    let said = Kt::new().with("KT_PG_BIN", "/nowhere").run(&["doctor"]);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.stdout.contains("KT_PG_BIN         /nowhere (environment)"), "{said}");
    assert!(said.stdout.contains("problem  postgres: KT_PG_BIN is `/nowhere`"), "{said}");
    assert_eq!(said.stderr, "error: 1 problem found\n");
    let checks = said.stdout.split_once("\n\n").expect("settings, then checks").1;
    assert!(checks.lines().all(|line| line.chars().count() <= 80 || !line.contains(' ')), "{said}");
}
