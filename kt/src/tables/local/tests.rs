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

fn looked(status: &Status, phase: Phase) -> Looked {
    Looked { status: status.clone(), supervision: None, phase }
}

fn told(status: &Status, phase: Phase) -> String {
    super::status(&looked(status, phase), OffsetDateTime::UNIX_EPOCH)
}

fn shown(status: &Status) -> String {
    let phase = if status.running { Phase::Running { supervised: true } } else { Phase::Stopped };
    // Digests are of no interest here.
    told(status, phase)
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
    let text = told(&failed, Phase::Running { supervised: false });
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

#[test]
fn where_it_is_on_its_way_stands_in_its_state() {
    let mut supervision = Supervision::new();
    supervision.again("ended by signal 9", OffsetDateTime::UNIX_EPOCH + Duration::from_millis(1200));
    let down =
        Status { running: false, pid: None, ready: false, observed: None, in_sync: false, ..running() };
    let again = Looked { supervision: Some(supervision.clone()), ..looked(&down, Phase::Restarting) };
    let text = super::status(&again, OffsetDateTime::UNIX_EPOCH);
    assert!(text.contains("state       starting again in 2s: ended by signal 9"), "{text}");
    let later = super::status(&again, OffsetDateTime::UNIX_EPOCH + Duration::from_secs(2));
    assert!(later.contains("state       starting again: ended by signal 9"), "{later}");
    let ending = Status { observed: None, in_sync: false, ..running() };
    let text = told(&ending, Phase::Stopping);
    assert!(text.contains("state       stopping, pid 7: it finishes its requests"), "{text}");
    assert!(!text.contains("runs") && !text.contains("go back") && !text.contains("should run"), "{text}");
    let failure = LastFailure {
        at: OffsetDateTime::UNIX_EPOCH,
        action: Action::Start,
        stage: String::new(),
        reason: "the address is in use".to_owned(),
        findings: Vec::new(),
    };
    let text = told(&Status { last_failure: Some(failure), ..down }, Phase::Stopped);
    assert!(
        text.contains("why         start failed (1970-01-01T00:00:00Z): the address is in use"),
        "{text}"
    );
}

#[test]
fn versions_of_one_name_are_told_apart_by_their_bytes() {
    let bytes = |text: &str| ConfigDigest::of(text.as_bytes());
    let short = |text: &str| short_digest(&bytes(text).to_string());
    let one = Version { digest: bytes("one"), ..version_of("0.1.0") };
    let other = Version { digest: bytes("other"), ..version_of("0.1.0") };
    let good =
        [&one, &other].map(|version| KeptVersion { version: "0.1.0".to_owned(), digest: version.digest });
    let status = Status {
        desired: Some(one.clone()),
        observed: Some(one.clone()),
        good: good.to_vec(),
        withdrawn: vec![kept_of("0.3.0")],
        ..running()
    };
    let text = told(&status, Phase::Running { supervised: true });
    let (first, second) = (short("one"), short("other"));
    assert!(text.contains(&format!("goes to 0.1.0 ({second})")), "{text}");
    assert!(text.contains(&format!("good        0.1.0 ({first}), 0.1.0 ({second})")), "{text}");
    assert!(text.contains("withdrawn   0.3.0"), "{text}");
    let record = HistoryRecord {
        from: Some(one),
        to: Some(other.clone()),
        observed: Some(other),
        ..record(Action::Reload, Outcome::Succeeded, "root", Duration::from_millis(12))
    };
    let arrow = format!("0.1.0 ({first}) → 0.1.0 ({second})");
    assert_eq!(changed("a", &record), format!("reloaded gateway a: {arrow} in 12 ms"));
    assert!(history(&[record], None).contains(&arrow));
}

#[test]
fn at_eighty_columns_a_time_stands_whole_and_only_what_is_long_goes_below() {
    let short = record(Action::Stop, Outcome::Succeeded, "root", Duration::from_millis(12));
    let long = HistoryRecord {
        from: Some(version_of("0.1.0")),
        to: Some(version_of("0.2.0")),
        reason: Some(format!("cannot read `/{}`: {}", "x".repeat(120), "no such file ".repeat(6))),
        ..record(Action::CrashFallback, Outcome::Succeeded, "control-plane", Duration::from_secs(5))
    };
    let text = history(&[short.clone(), long], Some(80));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let times = text.lines().filter(|line| line.starts_with("20") && line.get(19..22) == Some("Z  "));
    assert_eq!(times.count(), 2, "{text}");
    assert!(text.contains(&format!("\n{}cannot read", " ".repeat(22))), "{text}");
    assert!(text.replace([' ', '\n'], "").contains(&"x".repeat(120)), "nothing is lost: {text}");
    let brief = HistoryRecord { reason: Some("no key".to_owned()), ..short };
    assert_eq!(history(&[brief], Some(80)).lines().count(), 2, "one line where it fits");
}
