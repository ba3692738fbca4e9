//! What a person reads of a gateway of this host.

use std::time::Duration;

use instance::documents::{Finding, LastFailure};
use policy_config::ConfigDigest;

use super::*;
use crate::instances::record::record;

fn version_of(text: &str) -> Version {
    Version {
        generation: None,
        version: Some(text.to_owned()),
        digest: ConfigDigest::of(text.as_bytes()),
        at: OffsetDateTime::UNIX_EPOCH,
    }
}

fn kept_of(text: &str) -> KeptVersion {
    KeptVersion { version: text.to_owned(), digest: ConfigDigest::of(text.as_bytes()) }
}

fn running() -> Status {
    Status {
        name: "local-dev".to_owned(),
        source: Source::Local,
        running: true,
        pid: Some(7),
        listen: Some("127.0.0.1:41002".to_owned()),
        ready: true,
        pinned: false,
        desired: Some(version_of("0.2.0")),
        observed: Some(version_of("0.2.0")),
        in_sync: true,
        good: vec![kept_of("0.2.0"), kept_of("0.1.0")],
        withdrawn: Vec::new(),
        last_failure: None,
        remarks: Vec::new(),
        control_plane: None,
        agent_version: None,
    }
}

fn shown(told: &Status) -> String {
    // Digests are of no interest here.
    status(told, true)
        .lines()
        .map(|line| line.split("(sha256").next().unwrap().trim_end())
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_gateway_in_order_says_how_to_go_back() {
    assert_eq!(
        shown(&running()),
        "\
gateway     local-dev (local)
state       running, pid 7
listens on  127.0.0.1:41002
runs        0.2.0
go back     `kt gateway revert --name local-dev` goes to 0.1.0
good        0.2.0, 0.1.0"
    );
}

#[test]
fn a_failed_reload_says_why_and_what_revert_does_then() {
    let finding = Finding {
        code: "E002".to_owned(),
        severity: "error".to_owned(),
        path: "pack.enabeld".to_owned(),
        line: 3,
        column: 5,
        message: "unknown key \u{1b}[31m".to_owned(),
        suggestion: String::new(),
    };
    let failure = LastFailure {
        at: OffsetDateTime::UNIX_EPOCH,
        action: Action::Reload,
        stage: "lint".to_owned(),
        reason: "1 error".to_owned(),
        findings: vec![finding],
    };
    let desired = Version { version: None, ..version_of("broken") };
    let failed = Status { desired: Some(desired), in_sync: false, last_failure: Some(failure), ..running() };
    let digest = short_digest(&ConfigDigest::of(b"broken").to_string());
    let text = status(&failed, false);
    assert!(text.contains("state       running, pid 7, nobody supervises it"), "{text}");
    assert!(
        text.contains("why         reload failed at stage lint (1970-01-01T00:00:00Z): 1 error"),
        "{text}"
    );
    assert!(text.contains("            E002 at 3:5: unknown key \\u{1b}[31m"), "{text}");
    assert!(
        text.contains(&format!(
            "go back     `kt gateway revert --name local-dev` withdraws {digest} and keeps 0.2.0"
        )),
        "{text}"
    );
}

#[test]
fn a_stopped_gateway_says_what_it_would_run() {
    let stopped =
        Status { running: false, pid: None, ready: false, observed: None, in_sync: false, ..running() };
    let text = shown(&stopped);
    assert!(text.contains("state       stopped") && text.contains("runs        nothing"), "{text}");
    assert!(text.contains("should run  0.2.0") && !text.contains("go back"), "{text}");
}

#[test]
fn a_pinned_gateway_says_how_it_follows_again() {
    let link =
        LinkStatus { url: "http://127.0.0.1:7443".to_owned(), fleet: "prod".to_owned(), connected: true };
    let pinned =
        Status { source: Source::ControlPlane, pinned: true, control_plane: Some(link), ..running() };
    let text = shown(&pinned);
    assert!(text.contains("fleet       prod at http://127.0.0.1:7443, connected"), "{text}");
    assert!(text.contains("`kt gateway unpin --name local-dev`") && !text.contains("goes to"), "{text}");
}

#[test]
fn a_change_is_one_line() {
    let of = |action, outcome| HistoryRecord {
        from: Some(version_of("0.1.0")),
        to: Some(version_of("0.2.0")),
        observed: Some(version_of("0.2.0")),
        ..record(action, outcome, "root", Duration::from_millis(12))
    };
    for (action, outcome, expected) in [
        (Action::Reload, Outcome::Succeeded, "reloaded gateway a: 0.1.0 → 0.2.0 in 12 ms"),
        (Action::Reload, Outcome::NoChange, "no change: gateway a runs 0.2.0 already"),
        (
            Action::Revert,
            Outcome::Withdrawn,
            "withdrawn: gateway a runs 0.2.0, as before; what did not come to run is not wanted any more",
        ),
        (
            Action::Revert,
            Outcome::Succeeded,
            "reverted gateway a: 0.1.0 → 0.2.0 in 12 ms; 0.1.0 is withdrawn until it is loaded again",
        ),
    ] {
        assert_eq!(changed("a", &of(action, outcome)), expected);
    }
    let table = history(&[of(Action::Reload, Outcome::NoChange)], None);
    assert!(table.contains("no_change") && table.contains("0.1.0 → 0.2.0"), "{table}");
}
