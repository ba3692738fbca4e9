//! The shapes that scripts rely on, field by field.

use policy_config::{Finding, LintReport, Severity};
use proto::v1;
use serde_json::json;

use super::*;

fn keys(value: &serde_json::Value) -> Vec<String> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
    keys.sort();
    keys
}

#[test]
fn an_invalid_pack() {
    let finding = Finding {
        code: "E001".into(),
        severity: Severity::Error,
        path: "policies.chain[0]".into(),
        location: policy_config::location::Location { line: 3, column: 7 },
        message: "unknown".into(),
        suggestion: "did you mean".into(),
    };
    let report = LintReport { findings: vec![finding] };
    assert_eq!(
        serde_json::to_value(LintView::of("p.yaml", None, &report)).expect("JSON"),
        json!({"valid": false, "file": "p.yaml", "warnings": [], "errors": [{
            "code": "E001", "severity": "error", "path": "policies.chain[0]", "line": 3, "column": 7,
            "message": "unknown", "suggestion": "did you mean"}]})
    );
}

#[test]
fn a_push_tells_counts_only_when_it_waited() {
    let rollout = v1::Rollout {
        id: "r".into(),
        state: v1::RolloutState::Reverting.into(),
        counts: Some(v1::Counts { superseded: 2, total: 2, ..Default::default() }),
        settled: Some(v1::Counts { active: 1, rejected: 1, total: 2, ..Default::default() }),
        ..Default::default()
    };
    let pushed = v1::PushConfigResponse { config: "c".into(), revision: 2, ..Default::default() };
    let alone = serde_json::to_value(PushView::of(&pushed, None, false)).expect("JSON");
    assert_eq!(keys(&alone), ["config", "created", "digest", "revision", "version", "warnings"]);
    let waited = serde_json::to_value(PushView::of(&pushed, Some(&rollout), true)).expect("JSON");
    assert_eq!(waited["rollout"], json!({"id": "r", "state": "reverting"}));
    assert_eq!(waited["counts"]["rejected"], 1, "the counts of the breach, not of the way back");
    assert_eq!(waited["counts"]["total"], 2);
    assert_eq!(waited["rejections"], json!([]));
}

#[test]
fn a_gateway_without_a_version_says_null() {
    let gateway =
        v1::Gateway { name: "edge-1".into(), liveness: v1::Liveness::Stale.into(), ..Default::default() };
    let value = serde_json::to_value(GatewayView::of(&gateway)).expect("JSON");
    assert_eq!(value["desired"], json!(null));
    assert_eq!(value["liveness"], "stale");
    for key in [
        "id",
        "fleet",
        "labels",
        "observed",
        "in_sync",
        "pinned",
        "last_outcome",
        "agent_version",
        "last_seen",
    ] {
        assert!(value.get(key).is_some(), "{key}");
    }
}

#[test]
fn an_event_has_every_field() {
    use prost_types::value::Kind;
    let number = |number| prost_types::Value { kind: Some(Kind::NumberValue(number)) };
    let detail = prost_types::Struct {
        fields: [("whole".to_owned(), number(3.0)), ("part".to_owned(), number(0.5))].into(),
    };
    let event =
        v1::HistoryEvent { cursor: 7, kind: "activation".into(), detail: Some(detail), ..Default::default() };
    let value = serde_json::to_value(EventView::of(&event)).expect("JSON");
    assert_eq!(
        keys(&value),
        [
            "actor",
            "at",
            "config",
            "cursor",
            "detail",
            "digest",
            "fleet",
            "gateway",
            "generation",
            "kind",
            "outcome",
            "reason",
            "revision",
            "version"
        ]
    );
    assert_eq!(value["detail"], json!({"whole": 3, "part": 0.5}));
    assert_eq!(value["revision"], json!(null));
}
