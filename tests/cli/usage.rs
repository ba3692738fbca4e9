//! Wrong command lines: exit 2, a sentence on stderr, nothing on stdout, nothing done.

use tests::kt::Kt;

#[test]
fn an_unknown_flag_says_so() {
    insta::assert_snapshot!(Kt::new().run(&["fleet", "list", "--frobnicate"]), @r#"
    exit 2
    --- stderr
    error: unexpected argument '--frobnicate' found

    Usage: kt fleet list [OPTIONS]

    For more information, try '--help'.
    "#);
}

#[test]
fn with_json_usage_errors_are_json_too() {
    let said = Kt::new().run(&["rollout", "start", "--json"]);
    assert_eq!(said.code, 2);
    assert_eq!(said.stdout, "");
    assert_eq!(said.error()["code"], "usage");
}

#[test]
fn wrong_words_are_usage_errors() {
    let kt = Kt::new();
    let cases: &[&[&str]] = &[
        &[],
        &["frobnicate"],
        &["policy", "lint"],
        &["policy", "lint", "--file", "a", "--file", "b"],
        &["policy", "diff", "a.yaml"],
        &["policy", "init", "--template", "nope"],
        &["policy", "init", "--list", "--dir", "x"],
        &["policy", "test", "x"],
        &["doctor", "--control-plane"],
        &["gateway", "list", "--fleet"],
        &["gateway", "inspect", "edge-1"],
        &["gateway", "run", "--policy-config", "p", "--fleet", "f"],
        &["gateway", "run", "--control-plane", "http://127.0.0.1:1"],
        &["fleet", "create", "Prod"],
        &["config", "show", "a@0"],
        &["config", "show", "a@x"],
        &["config", "diff", "a@1", "b@2"],
        &["config", "history", "../x"],
        &["config", "push", "p", "--wait"],
        &["config", "push", "p", "--strategy", "all"],
        &["config", "push", "p", "--fleet", "f", "--strategy", "canary=1"],
        &["config", "push", "p", "--fleet", "f", "--bake", "30"],
        &["config", "push", "p", "--fleet", "f", "--wait", "--for", "healthy"],
        &["config", "push", "p", "--fleet", "f", "--for", "proven"],
        &["config", "push", "p", "--fleet", "f", "--timeout", "1m"],
        &["config", "push", "p", "--idempotency-key", ""],
        &["config", "push", "p", "--expect-revision", "-1"],
        &["rollout", "start", "local-dev", "--fleet", "f"],
        &["rollout", "start", "local-dev@1"],
        &["rollout", "start", "local-dev@1", "--fleet", "f", "--for", "proven"],
        &["rollout", "status", "not-an-id"],
        &["rollout", "wait", "not-an-id", "--for", "active=0%"],
        &["rollout", "list"],
        &["history", "--kind", "frobnicated"],
        &["history", "--since", "yesterday"],
        &["history", "--limit", "0"],
        &["history", "--cursor", "3"],
        &["history", "--follow", "--limit", "3"],
        &["history", "at", "--gateway", "edge-1", "2026-11-22T10:00:00Z"],
        &["history", "at", "--gateway", "prod/edge-1", "noon"],
        &["fleet", "list", "--control-plane", "127.0.0.1:7443"],
        &["fleet", "list", "--control-plane", "http://cp.example:7443"],
        &["fleet", "list", "--control-plane", "https://127.0.0.1:7443"],
        &["dev", "--gateways", "0"],
        &["dev", "--listen", "0.0.0.0:0"],
        &["completions"],
    ];
    for words in cases {
        let said = kt.run(words);
        assert_eq!(said.code, 2, "{words:?}: {said}");
        assert_eq!(said.stdout, "", "{words:?}");
        assert!(!said.stderr.is_empty() && !said.stderr.contains("panicked"), "{words:?}: {said}");
    }
}

#[test]
fn plain_text_to_another_host_is_refused() {
    let kt = Kt::new().with("KT_CONTROL_PLANE", "http://cp.example:7443");
    insta::assert_snapshot!(kt.run(&["fleet", "list"]), @r#"
    exit 2
    --- stderr
    error: `http://cp.example:7443` would send the operator token over the network in plain text
      hint: plain http is for loopback only; run kt on the control plane's host or through an SSH tunnel
    "#);
}

#[test]
fn the_kinds_of_events_are_listed() {
    insta::assert_snapshot!(Kt::new().run(&["history", "--kind", "frobnicated"]), @r#"
    exit 2
    --- stderr
    error: `frobnicated` is no kind of event
      hint: the kinds are config_pushed, rollout_started, rollout_ended, wave_started, activation, gateway_enrolled, gateway_lost, gateway_returned, pinned, unpinned, refused
    "#);
}

#[test]
fn version_and_help_are_data() {
    let kt = Kt::new();
    let said = kt.run(&["--version"]).ok();
    assert_eq!(said.stdout, format!("kt {}\n", env!("CARGO_PKG_VERSION")));
    let said = kt.run(&["config", "push", "--help"]).ok();
    assert!(said.stdout.contains("--idempotency-key") && said.stderr.is_empty(), "{said}");
    assert!(said.stdout.lines().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn a_reader_that_goes_away_is_silence() {
    use std::io::Read;
    use std::process::Stdio;

    let kt = Kt::new();
    let mut child = kt.spawn(&["completions", "zsh"], Stdio::null());
    // Closed before kt writes more than the pipe holds.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("stderr is text");
    assert_eq!((child.wait().expect("kt ends").code(), stderr.as_str()), (Some(0), ""));
}
