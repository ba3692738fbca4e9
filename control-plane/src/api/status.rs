//! The only mapping of errors to `tonic::Status`: a code, a machine-readable reason, what to do, which field, and
//! findings as data. What is inside goes to the log, never to the caller.
//!
//! Details, in `google.rpc.Status`: `ErrorInfo{reason, domain "kt", metadata}` always; `BadRequest` names fields;
//! `RetryInfo` says when to try again; `Help` has what to do as its one description; `kt.fleet.v1.FindingList` has the findings.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

use bytes::Bytes;
use policy_config::Finding;
use prost::Message;
use proto::convert::findings::wire_findings;
use proto::convert::scalars::wire_duration;
use proto::{WireError, v1};
use tonic::{Code, Status};
use tonic_types::{StatusExt, pb};

use super::call_error::{CallError, Unanswered};
use crate::operations::OperationError;
use crate::store::StoreError;

/// An error as a caller may see it.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    reason: &'static str,
    message: String,
    hint: String,
    field: Option<&'static str>,
    again_after: Option<Duration>,
    metadata: HashMap<String, String>,
    findings: Vec<v1::Finding>,
}

const DOMAIN: &str = "kt";
const DATABASE_UNAVAILABLE: &str = "database_unavailable";
const FINDINGS: &str = "kt.fleet.v1.FindingList";
/// Details travel in a header, and peers refuse header lists over 16 KiB; base64 adds a third.
const MAX_DETAILS: usize = 8 * 1024;
const MAX_MESSAGE: usize = 1024;
const MAX_KNOWN: usize = 20;
/// When a limit has no time of its own.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
const SLOWLY: &str = "try again later, and more slowly";

/// The status of an error.
pub(crate) fn refuse(error: impl Into<Problem>) -> Status {
    error.into().into_status()
}

/// The status as a whole response, for what is refused before any handler.
pub(crate) fn respond(status: Status) -> http::Response<tonic::body::Body> {
    status.into_http()
}

/// What the transport says of a message that it could not read.
pub(crate) fn of_transport(status: &Status) -> CallError {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => CallError::TooLarge,
        // Of the methods that exist, the transport knows no other reason.
        Code::Unimplemented => CallError::Compressed,
        _ => CallError::Unreadable(status.message().chars().take(200).collect()),
    }
}

/// What the transport answered by itself, before any handler, because it could not read the message: it knows
/// neither our reasons nor that this is the caller's mistake. Ours always have details.
pub(crate) fn said_by_transport(headers: &http::HeaderMap) -> Option<CallError> {
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return None;
    }
    let status = Status::from_header_map(headers)?;
    let its_own = [Code::OutOfRange, Code::ResourceExhausted, Code::Unimplemented, Code::Internal];
    its_own.contains(&status.code()).then(|| of_transport(&status))
}

/// Whether a handler answered that the database failed it.
pub(crate) fn says_database_away(headers: &http::HeaderMap) -> bool {
    let Some(status) = Status::from_header_map(headers) else { return false };
    status.code() == Code::Unavailable
        && status.get_details_error_info().is_some_and(|info| info.reason == DATABASE_UNAVAILABLE)
}

// === impl Problem ===

impl Problem {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            hint: String::new(),
            field: None,
            again_after: None,
            metadata: HashMap::new(),
            findings: Vec::new(),
        }
    }

    fn internal() -> Self {
        Self::new(Code::Internal, "internal", "the control plane failed at this request")
            .hint("its log says why")
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    fn again_after(mut self, wait: Duration) -> Self {
        self.again_after = Some(wait);
        self
    }

    fn told(mut self, key: &str, value: Option<String>) -> Self {
        if let Some(value) = value {
            self.metadata.insert(key.to_owned(), value);
        }
        self
    }

    fn findings<'a>(mut self, findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let findings: Vec<Finding> = findings.into_iter().cloned().collect();
        self.findings = wire_findings(&findings);
        self
    }

    fn into_status(self) -> Status {
        let message: String = self.message.chars().take(MAX_MESSAGE).collect();
        let details = self.details(&message);
        Status::with_details(self.code, message, details)
    }

    fn details(&self, message: &str) -> Bytes {
        let info = pb::ErrorInfo {
            reason: self.reason.to_owned(),
            domain: DOMAIN.to_owned(),
            metadata: self.metadata.clone(),
        };
        let mut details = vec![any("google.rpc.ErrorInfo", &info)];
        if let Some(field) = self.field {
            let violation = pb::bad_request::FieldViolation {
                field: field.to_owned(),
                description: message.to_owned(),
                ..Default::default()
            };
            details.push(any("google.rpc.BadRequest", &pb::BadRequest { field_violations: vec![violation] }));
        }
        if let Some(wait) = self.again_after {
            let retry_delay = Some(wire_duration(wait));
            details.push(any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay }));
        }
        if !self.hint.is_empty() {
            let link = pb::help::Link { description: self.hint.clone(), url: String::new() };
            details.push(any("google.rpc.Help", &pb::Help { links: vec![link] }));
        }
        let mut status = pb::Status { code: self.code as i32, message: message.to_owned(), details };
        let room = MAX_DETAILS.saturating_sub(status.encoded_len());
        if let Some(list) = fitting(&self.findings, room) {
            status.details.push(any(FINDINGS, &list));
        }
        status.encode_to_vec().into()
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        let plain = |code, reason| Self::new(code, reason, message.clone());
        match error {
            CallError::NoCredential => plain(Code::Unauthenticated, "token_missing")
                .hint("name the file of a token in KT_TOKEN_FILE; the operator's is operator.token in the data directory"),
            CallError::WrongCredential => plain(Code::Unauthenticated, "token_wrong")
                .hint("it may be of another control plane, or replaced by a newer enrolment"),
            CallError::UnreadableCredential => plain(Code::Unauthenticated, "token_unreadable")
                .hint("send one `authorization: Bearer TOKEN`"),
            CallError::NotAllowed { .. } => plain(Code::PermissionDenied, "not_allowed"),
            CallError::ForeignAuthority => plain(Code::PermissionDenied, "foreign_authority")
                .hint("call it as localhost, 127.0.0.1 or [::1]: plain text is for this machine only"),
            CallError::UnknownMethod => plain(Code::Unimplemented, "unknown_method")
                .hint("`kt` and the control plane may be of different versions"),
            CallError::TooSlow(_) => plain(Code::DeadlineExceeded, "too_slow"),
            CallError::TooLarge => plain(Code::ResourceExhausted, "message_too_large"),
            CallError::Compressed => plain(Code::Unimplemented, "compressed").hint("send it as it is"),
            CallError::Unreadable(_) => plain(Code::InvalidArgument, "unreadable_message"),
            CallError::Field(error) => error.into(),
            CallError::DatabaseAway { since, what } => plain(Code::Unavailable, DATABASE_UNAVAILABLE)
                .hint(match what {
                    Unanswered::NotBegun => "nothing was changed; try again when the database is back",
                    Unanswered::Begun => {
                        "it may have been carried out; look when the database is back, or repeat it with the same \
                         idempotency key"
                    }
                    Unanswered::NeverAsked => {
                        "this control plane has no earlier answer to this; try again when the database is back"
                    }
                    Unanswered::Credential => {
                        "this control plane has not seen this credential before; it stays valid, try again later"
                    }
                })
                .told("since", Some(since)),
            CallError::Draining => plain(Code::Unavailable, "draining").hint("connect again in a moment"),
            CallError::NoHello(_) => plain(Code::DeadlineExceeded, "no_hello"),
            CallError::FirstNotHello => plain(Code::InvalidArgument, "first_not_hello"),
            CallError::SecondHello => plain(Code::Aborted, "second_hello"),
            CallError::NewerSession => plain(Code::Aborted, "newer_session"),
            CallError::SlowReader(_) => plain(Code::DeadlineExceeded, "slow_reader"),
            CallError::SilentPeer(_) => plain(Code::DeadlineExceeded, "silent_peer"),
            CallError::TooManyStreams => {
                plain(Code::ResourceExhausted, "too_many_streams").again_after(LATER).hint(SLOWLY)
            }
            CallError::TooManyCalls(_) => {
                plain(Code::ResourceExhausted, "too_many_calls").again_after(SOON).hint("let some end first")
            }
            CallError::TooManyWatches(_) => plain(Code::ResourceExhausted, "too_many_watches")
                .again_after(LATER)
                .hint("end some that follow the history or wait for a rollout"),
            CallError::TooFast(wait) => {
                plain(Code::ResourceExhausted, "too_fast").again_after(wait).hint(SLOWLY)
            }
            CallError::TooManyFailures(wait) => plain(Code::ResourceExhausted, "too_many_failures")
                .again_after(wait)
                .hint("something at this address uses a credential that is not valid here; find it"),
            CallError::TooManyMessages => {
                plain(Code::ResourceExhausted, "too_many_messages").again_after(LATER).hint(SLOWLY)
            }
            CallError::Busy(_) => plain(Code::Unavailable, "busy").again_after(SOON).hint(SLOWLY),
            CallError::Aged => plain(Code::Unavailable, "aged").hint("connect again"),
        }
    }
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Self {
        Self::new(Code::InvalidArgument, "invalid_argument", error.to_string()).field(error.field)
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        let message = error.to_string();
        match error {
            OperationError::NotFound { what, known, .. } => {
                let known = known.into_iter().take(MAX_KNOWN).collect::<Vec<_>>().join(", ");
                let hint = if known.is_empty() { String::new() } else { format!("known: {known}") };
                Self::new(Code::NotFound, "not_found", message).hint(hint).told("what", Some(what.to_owned()))
            }
            OperationError::AlreadyExists { what, .. } => {
                Self::new(Code::AlreadyExists, "already_exists", message).told("what", Some(what.to_owned()))
            }
            OperationError::Invalid { field, .. } => {
                Self::new(Code::InvalidArgument, "invalid_argument", message).field(field)
            }
            OperationError::Lint(report) => {
                Self::new(Code::InvalidArgument, "lint", message).field("source").findings(&report.findings)
            }
            OperationError::Precondition(refused) => {
                Self::new(Code::FailedPrecondition, refused.code, refused.message)
                    .hint(refused.hint)
                    .told("expected", refused.expected)
                    .told("found", refused.found)
                    .findings(&refused.findings)
            }
            OperationError::Conflict(conflict) => {
                Self::new(Code::Aborted, conflict.code, conflict.message).hint(conflict.hint)
            }
            OperationError::NoRandomness(_) => {
                tracing::error!(cause = message, "a credential cannot be made");
                Self::internal()
            }
            OperationError::Defect => Self::internal(),
            OperationError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::new(Code::NotFound, "not_found", error.to_string()),
            StoreError::Conflict { expected, found, .. } => {
                Self::new(Code::Aborted, "conflict", error.to_string())
                    .hint("somebody else was faster; look again and repeat")
                    .told("expected", Some(expected.clone()))
                    .told("found", Some(found.clone()))
            }
            StoreError::Unavailable(_) => {
                tracing::debug!(cause = causes(&error), "the database is away");
                Self::new(Code::Unavailable, DATABASE_UNAVAILABLE, error.to_string())
                    .hint("try again in a moment")
            }
            StoreError::Corrupt { .. } | StoreError::Refused(_) => {
                tracing::error!(cause = causes(&error), "a request failed inside");
                Self::internal()
            }
        }
    }
}

/// The first findings that have room.
fn fitting(findings: &[v1::Finding], room: usize) -> Option<v1::FindingList> {
    // What the list and its wrapper add to each finding and to the whole.
    const FRAME: usize = 8;
    const WRAPPER: usize = 64;
    let mut room = room.saturating_sub(WRAPPER);
    let kept = findings.iter().take_while(|finding| {
        let size = finding.encoded_len() + FRAME;
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let list = v1::FindingList { findings: kept.cloned().collect() };
    (!list.findings.is_empty()).then_some(list)
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
