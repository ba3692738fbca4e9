//! Every error has a code that is not a client's puzzle, a reason, and details that fit into a header.

use std::time::Duration;

use policy_config::location::Location;
use policy_config::{LintReport, Severity};
use tonic_types::StatusExt;

use super::*;

fn findings_of(status: &Status) -> Vec<v1::Finding> {
    let details = pb::Status::decode(status.details()).unwrap();
    let url = format!("type.googleapis.com/{FINDINGS}");
    let list = details.details.iter().find(|detail| detail.type_url == url);
    list.map(|any| v1::FindingList::decode(any.value.as_slice()).unwrap().findings).unwrap_or_default()
}

#[test]
fn no_call_error_is_unknown_or_internal() {
    let second = Duration::from_secs(1);
    let errors = [
        CallError::NoCredential,
        CallError::WrongCredential,
        CallError::UnreadableCredential,
        CallError::NotAllowed { method: "m", caller: "c" },
        CallError::ForeignAuthority,
        CallError::UnknownMethod,
        CallError::TooSlow(second),
        CallError::TooLarge,
        CallError::Unreadable("x".into()),
        CallError::Field(WireError::missing("name")),
        CallError::Draining,
        CallError::NoHello(second),
        CallError::FirstNotHello,
        CallError::SecondHello,
        CallError::NewerSession,
        CallError::SlowReader(second),
        CallError::SilentPeer(second),
        CallError::TooManyStreams,
    ];
    for error in errors {
        let status = refuse(error);
        assert!(!matches!(status.code(), Code::Ok | Code::Unknown | Code::Internal), "{status:?}");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, DOMAIN);
        assert!(!info.reason.is_empty());
    }
}

#[test]
fn a_field_is_named() {
    let status = refuse(WireError::missing("offer.digest"));
    let violations = status.get_details_bad_request().unwrap().field_violations;
    assert_eq!(violations[0].field, "offer.digest");
}

#[test]
fn findings_travel_as_data_and_are_cut_to_fit() {
    let finding = |message: &str| Finding {
        code: "E001".into(),
        severity: Severity::Error,
        path: "policies.chain[0]".into(),
        location: Location { line: 14, column: 7 },
        message: message.into(),
        suggestion: String::new(),
    };
    let few = refuse(OperationError::Lint(LintReport { findings: vec![finding("no"); 3] }));
    assert_eq!(few.code(), Code::InvalidArgument);
    assert_eq!(findings_of(&few).len(), 3);
    assert_eq!(findings_of(&few)[0].line, 14);
    let many = refuse(OperationError::Lint(LintReport { findings: vec![finding(&"x".repeat(500)); 32] }));
    assert!(many.details().len() <= MAX_DETAILS, "{}", many.details().len());
    assert!(!findings_of(&many).is_empty());
}

#[test]
fn a_precondition_says_expected_found_and_what_to_do() {
    let precondition = crate::operations::Precondition {
        code: "stale_revision",
        message: "the config moved on".into(),
        hint: "look at it and push again".into(),
        expected: Some("3".into()),
        found: Some("4".into()),
        ..Default::default()
    };
    let status = refuse(OperationError::Precondition(Box::new(precondition)));
    assert_eq!(status.code(), Code::FailedPrecondition);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "stale_revision");
    assert_eq!((info.metadata["expected"].as_str(), info.metadata["found"].as_str()), ("3", "4"));
    assert_eq!(status.get_details_help().unwrap().links[0].description, "look at it and push again");
}

#[test]
fn what_is_inside_stays_inside() {
    let status = refuse(StoreError::Corrupt { column: "rollouts.state", source: None });
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{status:?}").contains("rollouts"), "{status:?}");
}
