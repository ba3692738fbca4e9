//! `kt policy init`: each template is at once a good pack with passing tests, and nothing is ever overwritten.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::kt::{Kt, fresh_binary};

use crate::gateway_run::{get, listens_on};

fn templates(kt: &Kt) -> Vec<String> {
    let list = kt.run(&["policy", "init", "--list", "--json"]).ok().json();
    list.as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Every path below a directory, sorted.
fn tree(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
        found.push(entry.path().to_string_lossy().into_owned());
        if entry.path().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn the_default_goes_here() {
    let kt = Kt::new();
    insta::assert_snapshot!(kt.run(&["policy", "init"]), @r#"
    exit 0
    --- stdout
    wrote policy-config.yaml
    wrote tests/harmless.json
    wrote tests/injection.json
    wrote tests/personal-data.json
    --- stderr
    next: kt policy lint --file policy-config.yaml
          kt policy test --pack-dir .
          kt gateway install --policy-config policy-config.yaml
    "#);
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "policy-config.yaml"]), @r#"
    exit 0
    --- stdout
    policy-config.yaml: valid: local-dev 0.1.0, 3 policies
    "#);
    insta::assert_snapshot!(kt.run(&["policy", "test"]), @r#"
    exit 0
    --- stdout
    ok    tests/harmless.json: a question
    ok    tests/harmless.json: a question and its answer
    ok    tests/injection.json: an attack
    ok    tests/injection.json: an attack spread over messages
    ok    tests/personal-data.json: an address in the request
    ok    tests/personal-data.json: an address in the answer
    ok    tests/personal-data.json: an address in a whole answer
    7 cases passed
    "#);
}

#[test]
fn every_template_lints_and_tests_at_once() {
    let kt = Kt::new();
    let names = templates(&kt);
    assert_eq!(names, ["default", "healthcare", "local", "shadow", "strict"]);
    for name in names {
        let dir = format!("packs/{name}");
        let said = kt.run(&["policy", "init", "--template", &name, "--dir", &dir, "--json"]).ok().json();
        assert_eq!((&said["template"], &said["dir"]), (&json!(name), &json!(dir)));
        assert_eq!(said["files"][0], format!("{dir}/policy-config.yaml"));
        let linted =
            kt.run(&["policy", "lint", "--file", &format!("{dir}/policy-config.yaml"), "--json"]).ok();
        assert_eq!(linted.json()["warnings"], json!([]), "{name}");
        let tested = kt.run(&["policy", "test", "--pack-dir", &dir, "--json"]).ok().json();
        assert_eq!(tested["ok"], true, "{name}");
        assert!(tested["results"].as_array().is_some_and(|results| results.len() >= 3), "{name}");
    }
}

#[test]
fn a_gateway_serves_what_was_written() {
    fresh_binary("kt-gateway");
    let kt = Kt::new();
    // needs no key
    let _ = kt.run(&["policy", "init", "--template", "local"]).ok();
    let words = ["gateway", "run", "--policy-config", "policy-config.yaml", "--listen", "127.0.0.1:0"];
    let mut child = kt.spawn(&words, Stdio::null());
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let address = log.find_map(|line| listens_on(&line.expect("text"))).expect("it says where it serves");
    let ready = get(&address, "/readyz");
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGKILL).expect("it runs");
    let _ = child.wait();
    assert!(ready.starts_with("HTTP/1.1 200"), "the pack is active: {ready}");
}

#[test]
fn an_unknown_template_lists_the_known() {
    insta::assert_snapshot!(Kt::new().run(&["policy", "init", "--template", "defualt"]), @r#"
    exit 2
    --- stderr
    error: invalid value 'defualt' for '--template <NAME>'
      [possible values: default, healthcare, local, shadow, strict]

      tip: a similar value exists: 'default'

    For more information, try '--help'.
    "#);
}

#[test]
fn what_is_there_stays_and_nothing_is_written() {
    for there in ["policy-config.yaml", "tests/injection.json"] {
        let kt = Kt::new();
        std::fs::create_dir(kt.home().join("tests")).expect("a directory");
        kt.file(there, "mine");
        let before = tree(kt.home());
        let said = kt.run(&["policy", "init"]);
        assert_eq!(said.code, 6, "{said}");
        assert!(said.stderr.contains(&format!("`{there}` exists; nothing was written")), "{said}");
        assert_eq!(tree(kt.home()), before);
        assert_eq!(std::fs::read_to_string(kt.home().join(there)).expect("a file"), "mine");
    }
    let kt = Kt::new();
    std::os::unix::fs::symlink("/nowhere/at/all", kt.home().join("policy-config.yaml")).expect("a link");
    assert_eq!(kt.run(&["policy", "init"]).code, 6, "a link to nothing is there as well");
    kt.file("taken", "mine");
    assert_eq!(kt.run(&["policy", "init", "--dir", "taken"]).code, 2);
}

#[test]
fn what_cannot_be_finished_leaves_nothing() {
    let kt = Kt::new();
    // a name that no file system takes, below a directory that it would make first
    let dir = format!("new/{}", "x".repeat(300));
    let before = tree(kt.home());
    let said = kt.run(&["policy", "init", "--dir", &dir, "--json"]);
    assert_eq!((said.code, &said.error()["code"]), (1, &json!("cannot_write")), "{said}");
    assert_eq!(tree(kt.home()), before, "the directory that it made is gone again");
}
