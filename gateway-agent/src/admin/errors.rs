//! Why the door does not do what it was asked: one document, one status and one text for each.

use bytes::Bytes;
use fleet_core::offer::{NackReason, Stage};
use http::StatusCode;
use instance::documents::{ErrorBody, ErrorCode, ErrorDocument, Finding};

use super::Answer;
use super::config_path::PathError;
use crate::activation::handle::OrderError;

/// Longest piece of a caller's text that an error repeats.
const ECHO: usize = 200;

/// A refusal on its way out.
#[derive(Debug)]
pub(super) struct Refusal {
    body: Box<ErrorBody>,
    /// Where it is not the one of the code.
    status: Option<StatusCode>,
    allow: Option<&'static str>,
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let body = ErrorBody { code, message: message.into(), stage: None, hint: None, findings: Vec::new() };
        Self { body: Box::new(body), status: None, allow: None }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    pub(super) fn no_such_path() -> Self {
        let mut refusal = Self::invalid("no such path; paths are compared byte for byte and take no query");
        refusal.status = Some(StatusCode::NOT_FOUND);
        refusal
    }

    pub(super) fn method(allow: &'static str) -> Self {
        let mut refusal = Self::invalid(format!("this path answers {allow} only"));
        refusal.status = Some(StatusCode::METHOD_NOT_ALLOWED);
        refusal.allow = Some(allow);
        refusal
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let mut refusal = Self::invalid(format!("the body is over the limit of {limit} bytes"));
        refusal.status = Some(StatusCode::PAYLOAD_TOO_LARGE);
        refusal
    }

    pub(super) fn too_slow() -> Self {
        let mut refusal = Self::invalid("the body did not arrive in time");
        refusal.status = Some(StatusCode::REQUEST_TIMEOUT);
        refusal
    }

    pub(super) fn managed() -> Self {
        let mut refusal = Self::new(
            ErrorCode::Managed,
            "the packs of this gateway come from a control plane, not from this host",
        );
        refusal.body.hint = Some(
            "to change it here all the same, ask with `break_glass: true` and a `reason`; it is then pinned until it \
             is unpinned"
                .to_owned(),
        );
        refusal
    }

    pub(super) fn stopping() -> Self {
        Self::new(ErrorCode::Stopping, "the gateway is stopping; nothing was changed")
    }

    /// With what was said of the history, if it does not tell of it.
    pub(super) fn told(mut self, told: Result<(), Finding>) -> Self {
        self.body.findings.extend(told.err());
        self
    }

    pub(super) fn handing_over() -> Self {
        Self::new(
            ErrorCode::HandingOver,
            "the gateway is handing over to a new process; nothing was changed; ask again",
        )
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.body.code == ErrorCode::Stopping
    }

    pub(super) fn message(&self) -> &str {
        &self.body.message
    }

    pub(super) fn into_answer(self) -> Answer {
        let status = self.status.or_else(|| StatusCode::from_u16(self.body.code.status()).ok());
        let document = ErrorDocument { error: *self.body };
        Answer {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            allow: self.allow,
            // Strings and numbers: there is nothing in it that serde_json refuses.
            body: Bytes::from(serde_json::to_vec(&document).unwrap_or_default()),
        }
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        let mut refusal = Self::new(error.code, error.message);
        refusal.body.hint = Some(error.hint);
        refusal
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Refused(NackReason { stage, reason, findings }) => {
                let code = match stage {
                    Stage::Verify | Stage::Lint => ErrorCode::InvalidPack,
                    Stage::Secrets
                    | Stage::Compile
                    | Stage::SelfTest
                    | Stage::Storage
                    | Stage::Generation => ErrorCode::ActivationFailed,
                };
                let mut refusal = Self::new(code, reason);
                refusal.body.stage = Some(stage.as_str().to_owned());
                refusal.body.findings = findings.iter().map(Finding::from).collect();
                refusal
            }
            OrderError::NothingToRevert => {
                let mut refusal = Self::new(
                    ErrorCode::NothingToRevert,
                    "there is no good pack to go back to: none below the one that runs has proved itself, or each was \
                     withdrawn",
                );
                refusal.body.hint = Some("load the pack that should run with a reload".to_owned());
                refusal
            }
            OrderError::Managed => Self::managed(),
            OrderError::Stopping => Self::stopping(),
            OrderError::Untold { error, warning } => Self::from(*error).told(Err(*warning)),
        }
    }
}

/// A caller's text as an error may repeat it: bounded, nothing in it that a terminal would act on.
pub(super) fn shown(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_debug);
    let mut shown: String = escaped.by_ref().take(ECHO).collect();
    if escaped.next().is_some() {
        shown.push('…');
    }
    shown
}
