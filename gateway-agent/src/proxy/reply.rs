//! Every refusal a client can meet: its status, type, code and text, in one table.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use policy_engine::routing::NoTarget;
use policy_engine::{BlockClass, BlockReason, Endpoint};
use serde::Serialize;

use super::upstream::UpstreamFailure;

/// A response before it is stamped.
#[derive(Debug)]
pub(super) struct Reply<B = Bytes> {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: B,
}

/// Why a request is answered by the gateway itself and not by a provider.
#[derive(Debug)]
pub(super) enum Refusal {
    UnknownPath,
    Method {
        allow: &'static str,
    },
    HeadersTooLarge,
    Head {
        message: &'static str,
    },
    Expectation,
    Encoding,
    BodyTooLarge {
        limit: usize,
    },
    BodyTimeout,
    BodyBroken,
    Invalid {
        message: String,
    },
    UnknownModel {
        model: String,
    },
    /// The model is there, and its provider does not have the operation that was asked for.
    OtherEndpoint {
        model: String,
        instead: Endpoint,
    },
    Blocked(BlockReason),
    NoPolicy,
    PackDisabled,
    Overloaded,
    TargetDown {
        target: String,
    },
    /// Each target of the model has failed too often of late; seconds until one is tried again.
    TargetsUnavailable {
        retry_after: u64,
    },
    PolicyFailed,
    Upstream(UpstreamFailure),
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    /// `error`, where the client's API says so at the top.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    code: &'a str,
}

/// What clients read when they ask for something that is not there; the same for every spelling.
const UNKNOWN_PATH: &str = "no such path; this gateway answers POST /v1/chat/completions, /v1/completions, \
    /v1/embeddings, /v1/responses and /v1/messages, and GET /v1/models";

/// Longest piece of client text that an error repeats.
const ECHO: usize = 200;

// === impl Reply ===

impl Reply {
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // These bodies are structs of strings and numbers: there is nothing in them that serde_json refuses.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status, headers, body: Bytes::from(body) }
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn no_target(none: NoTarget, model: String) -> Self {
        match none {
            NoTarget::UnknownModel | NoTarget::NotAllowed => Self::UnknownModel { model },
            NoTarget::OtherEndpoint { instead } => Self::OtherEndpoint { model, instead },
        }
    }

    /// In the form that clients of this endpoint read; `None` for what is none.
    pub(super) fn into_reply(self, endpoint: Option<Endpoint>) -> Reply {
        let message = self.message();
        let policy = match &self {
            Self::Blocked(reason) => Some(reason.policy.as_str()),
            _ => None,
        };
        let error = ErrorDetail { kind: self.kind(), message: &message, policy, code: self.code() };
        let kind = (endpoint == Some(Endpoint::Messages)).then_some("error");
        let mut reply = Reply::json(self.status(), &ErrorBody { kind, error });
        match &self {
            Self::Method { allow } => {
                reply.headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::NoPolicy | Self::Overloaded => {
                reply.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::Blocked(BlockReason { class: BlockClass::RateLimit { retry_after }, .. }) => {
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                reply.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::TargetsUnavailable { retry_after } => {
                reply.headers.insert(RETRY_AFTER, HeaderValue::from(*retry_after));
            }
            Self::Upstream(failure) => {
                if let Some(after) = failure.retry_after() {
                    reply.headers.insert(RETRY_AFTER, after.clone());
                }
            }
            _ => {}
        }
        if !self.is_worth_a_retry() {
            // The official SDKs retry 408, 409 and every 5xx unless this says otherwise.
            reply.headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        reply
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownPath | Self::UnknownModel { .. } | Self::OtherEndpoint { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Head { .. } | Self::BodyBroken | Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Blocked(reason) => match reason.class {
                BlockClass::Violation => StatusCode::CONFLICT,
                BlockClass::RateLimit { .. } => StatusCode::TOO_MANY_REQUESTS,
                BlockClass::Fault => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::NoPolicy
            | Self::PackDisabled
            | Self::Overloaded
            | Self::TargetDown { .. }
            | Self::TargetsUnavailable { .. }
            | Self::PolicyFailed => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(failure) => failure.status(),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownPath
            | Self::Method { .. }
            | Self::HeadersTooLarge
            | Self::Head { .. }
            | Self::Expectation
            | Self::Encoding
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::BodyBroken
            | Self::Invalid { .. }
            | Self::UnknownModel { .. }
            | Self::OtherEndpoint { .. } => "validation_error",
            Self::Blocked(reason) => reason.class.error_type(),
            Self::NoPolicy
            | Self::PackDisabled
            | Self::Overloaded
            | Self::TargetDown { .. }
            | Self::TargetsUnavailable { .. }
            | Self::PolicyFailed => "unavailable",
            Self::Upstream(_) => "upstream_error",
        }
    }

    const fn code(&self) -> &'static str {
        match self {
            Self::UnknownPath => "not_found",
            Self::Method { .. } => "method_not_allowed",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Head { .. } => "invalid_head",
            Self::Expectation => "expectation_failed",
            Self::Encoding => "unsupported_encoding",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_incomplete",
            Self::Invalid { .. } => "invalid_request",
            Self::UnknownModel { .. } | Self::OtherEndpoint { .. } => "model_not_found",
            Self::Blocked(reason) => reason.code,
            Self::NoPolicy => "no_policy_loaded",
            Self::PackDisabled => "pack_disabled",
            Self::Overloaded => "overloaded",
            Self::TargetDown { .. } => "target_down",
            Self::TargetsUnavailable { .. } => "targets_unavailable",
            Self::PolicyFailed => "policy_failed",
            Self::Upstream(failure) => failure.code(),
        }
    }

    fn message(&self) -> String {
        match self {
            Self::UnknownPath => UNKNOWN_PATH.to_owned(),
            Self::Method { allow } => format!("this path answers {allow} only"),
            Self::HeadersTooLarge => {
                "the request head is over 32 KiB or has more than 100 headers".to_owned()
            }
            Self::Head { message } => (*message).to_owned(),
            Self::Expectation => "the only expectation this gateway meets is 100-continue".to_owned(),
            Self::Encoding => {
                "encoded bodies are not inspected and so not passed on; send the body without content-encoding"
                    .to_owned()
            }
            Self::BodyTooLarge { limit } => format!("the request body is over the limit of {limit} bytes"),
            Self::BodyTimeout => "the request body did not arrive in time".to_owned(),
            Self::BodyBroken => "the request body ended early or is not well-formed".to_owned(),
            Self::Invalid { message } => message.clone(),
            Self::UnknownModel { model } => {
                format!("no target of the active pack serves the model `{}`", shown(model))
            }
            Self::OtherEndpoint { model, instead } => format!(
                "the model `{}` is not served at this path; ask for it at POST {}",
                shown(model),
                instead.path()
            ),
            Self::Blocked(reason) => reason.message.clone(),
            Self::NoPolicy => "this gateway has no policy pack yet; it serves as soon as one is active".to_owned(),
            Self::PackDisabled => "the active policy pack is disabled (`pack.enabled: false`)".to_owned(),
            Self::Overloaded => "this gateway serves as many requests as it may; try again".to_owned(),
            Self::TargetDown { target } => {
                format!("the target `{target}` is down: its key or its certificates are not available on this gateway's host")
            }
            Self::TargetsUnavailable { retry_after } => format!(
                "every target of this model has failed too often of late; one is tried again in {retry_after} s"
            ),
            Self::PolicyFailed => {
                "a policy failed on this request, so the request was not passed on".to_owned()
            }
            Self::Upstream(failure) => failure.to_string(),
        }
    }

    /// False where the same request would meet the same answer.
    const fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Blocked(reason) => matches!(reason.class, BlockClass::RateLimit { .. }),
            Self::PackDisabled | Self::TargetDown { .. } | Self::PolicyFailed => false,
            Self::Upstream(failure) => failure.is_worth_a_retry(),
            _ => true,
        }
    }
}

impl From<UpstreamFailure> for Refusal {
    fn from(failure: UpstreamFailure) -> Self {
        match failure {
            UpstreamFailure::NoRoom { .. } => Self::Overloaded,
            failure => Self::Upstream(failure),
        }
    }
}

/// A server-sent event that tells a client of a stream that has begun what went wrong, in the way of its endpoint.
/// The blank line in front ends an event that was cut. `number` is that of the stream's next event.
pub(super) fn error_event(endpoint: Endpoint, refusal: &Refusal, number: u64) -> Bytes {
    let policy = match refusal {
        Refusal::Blocked(reason) => Some(reason.policy.as_str()),
        _ => None,
    };
    let mut event = b"\n\n".to_vec();
    let (kind, code) = (refusal.kind(), refusal.code());
    event.extend(policy_engine::error_event(endpoint, kind, code, &refusal.message(), policy, number));
    Bytes::from(event)
}

/// Client text as an error may repeat it: bounded, control characters escaped.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(ECHO).flat_map(escaped).collect();
    if text.chars().nth(ECHO).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}
