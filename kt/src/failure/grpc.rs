//! A `tonic::Status` as a failure: its code chooses the exit, its rich details fill the rest.

use prost::Message;
use prost_types::Any;
use proto::v1::FindingList;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Exit, Failure};
use crate::views::finding;

/// The type of [`FindingList`] among the details of a status.
const FINDING_LIST: &str = "kt.fleet.v1.FindingList";

// === impl Failure ===

impl Failure {
    /// What `status`, from the control plane at `url`, means for the person at the terminal.
    pub(crate) fn of_status(status: &Status, url: &str) -> Self {
        if let Some(failure) = of_transport(status, url) {
            return failure;
        }
        let details = status.get_error_details();
        let info = details.error_info();
        let (exit, default_code) = class(status.code());
        let code = info
            .filter(|info| !info.reason.is_empty())
            .map_or_else(|| default_code.to_owned(), |info| info.reason.to_ascii_lowercase());
        let message = if status.message().is_empty() {
            format!("the control plane at {url} answered {default_code}")
        } else {
            one_line(status.message()).trim_end_matches('.').to_owned()
        };
        let message = match code.as_str() {
            // The server speaks of a call; the person has a file.
            "token_wrong" => format!("the control plane at {url} does not accept this token"),
            _ => message,
        };
        let mut failure = Self::new(exit, &code, message);
        if let Some(violation) = details.bad_request().and_then(|request| request.field_violations.first()) {
            failure = failure.with_field(violation.field.clone());
        }
        let hint = info
            .and_then(|info| info.metadata.get("hint").cloned())
            .or_else(|| {
                details.help().and_then(|help| help.links.first()).map(|link| link.description.clone())
            })
            .filter(|hint| !hint.is_empty())
            .map(|hint| one_line(&hint));
        if let Some(hint) = hint.or_else(|| default_hint(status.code(), url)) {
            failure = failure.with_hint(hint);
        }
        failure.with_findings(findings_of(status))
    }
}

/// A peer speaks in one line: a second one could pass for words of this program.
fn one_line(text: &str) -> String {
    text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The exit and the fallback code of a gRPC code.
const fn class(code: Code) -> (Exit, &'static str) {
    match code {
        Code::Ok => (Exit::Done, "ok"),
        Code::InvalidArgument => (Exit::Usage, "invalid_argument"),
        Code::OutOfRange => (Exit::Usage, "out_of_range"),
        Code::NotFound => (Exit::NotFound, "not_found"),
        Code::Unauthenticated => (Exit::Forbidden, "unauthenticated"),
        Code::PermissionDenied => (Exit::Forbidden, "permission_denied"),
        Code::Unavailable => (Exit::Unreachable, "unavailable"),
        Code::DeadlineExceeded => (Exit::Unreachable, "deadline_exceeded"),
        Code::Cancelled => (Exit::Unreachable, "cancelled"),
        Code::ResourceExhausted => (Exit::Unreachable, "resource_exhausted"),
        Code::AlreadyExists => (Exit::Conflict, "already_exists"),
        Code::FailedPrecondition => (Exit::Conflict, "failed_precondition"),
        Code::Aborted => (Exit::Conflict, "aborted"),
        Code::Unimplemented => (Exit::Failed, "unimplemented"),
        Code::Unknown => (Exit::Failed, "unknown"),
        Code::Internal => (Exit::Failed, "internal"),
        Code::DataLoss => (Exit::Failed, "data_loss"),
    }
}

fn default_hint(code: Code, url: &str) -> Option<String> {
    match code {
        Code::Unauthenticated => {
            Some(format!("name the operator.token of the control plane at {url} with KT_TOKEN_FILE"))
        }
        Code::Unimplemented => Some("kt and the control plane are of different versions".to_owned()),
        Code::Internal | Code::Unknown => {
            Some(format!("check that {url} is the gRPC port of a kt-control-plane; its log tells more"))
        }
        Code::Unavailable | Code::DeadlineExceeded => {
            Some("try again; the control plane's log says what it waits for".to_owned())
        }
        _ => None,
    }
}

/// A status that no control plane sent: the call broke on the way.
fn of_transport(status: &Status, url: &str) -> Option<Failure> {
    let mut cause: &dyn std::error::Error = std::error::Error::source(status)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let failure = match status.code() {
        Code::Cancelled | Code::DeadlineExceeded => Failure::new(
            Exit::Unreachable,
            "timed_out",
            format!("no answer from the control plane at {url} in time"),
        )
        .with_hint("its log says what it waits for; another one is named with --control-plane"),
        _ => Failure::new(
            Exit::Unreachable,
            "unreachable",
            format!("the connection to {url} broke: {cause}"),
        )
        .with_hint(
            "check that the URL is the gRPC port of a kt-control-plane, and its log; another one is named \
                 with --control-plane",
        ),
    };
    Some(failure)
}

fn findings_of(status: &Status) -> Vec<policy_config::Finding> {
    let Ok(carried) = tonic_types::pb::Status::decode(status.details()) else { return Vec::new() };
    let lists = carried.details.iter().filter(|any| is_finding_list(any));
    lists
        .filter_map(|any| FindingList::decode(any.value.as_slice()).ok())
        .flat_map(|list| list.findings)
        .map(|wire| finding(&wire))
        .collect()
}

fn is_finding_list(any: &Any) -> bool {
    any.type_url.rsplit('/').next() == Some(FINDING_LIST)
}
