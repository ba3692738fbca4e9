//! What a provider's response means to a client.
//!
//! A 2xx is the answer. A 4xx about the request itself goes to the client as the provider said it,
//! because SDKs act on it. What is about the gateway's own key, account or target is the gateway's
//! failure: 502, so that no client takes it for a fault of its own.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use memchr::memmem;
use policy_config::schema::Provider;
use policy_engine::{KeyState, Target};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::body::{BodyBudget, Gathering, NoRoom};
use super::headers;
use super::reply::Reply;
use super::upstream::{AnswerBody, UpstreamFailure};

/// Largest provider error that is passed on.
const ERROR_LIMIT: usize = 64 * 1024;
/// Why a response cannot be read.
pub(super) const ENCODED: &str = "it is compressed although it was asked not to be";
/// A key shorter than this is not looked for in headers and errors: it would match by chance.
const KEY_MIN: usize = 8;
/// Nor one shorter than this in answers: servers of one's own are given keys such as `not-needed`.
const KEY_MIN_IN_ANSWERS: usize = 16;

/// A provider's response, sorted.
pub(super) enum ProviderAnswer {
    Whole(Reply),
    Stream(Reply<AnswerBody>),
    /// The provider refused the request itself.
    Rejected(Reply),
}

/// How a response is to be read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    /// Some policy may change it or hold it back.
    pub(super) guarded: bool,
    /// Largest whole response, bytes.
    pub(super) limit: usize,
    /// When a whole response must be here.
    pub(super) deadline: Instant,
    /// What a large one takes its memory from, until the client has it.
    pub(super) budget: &'a BodyBudget,
}

#[derive(Deserialize)]
struct ProviderError {
    #[serde(rename = "error")]
    _error: IgnoredAny,
}

/// Sorts the response by its head; reads it unless it is a stream.
pub(super) async fn read(
    response: Response<AnswerBody>,
    target: &Target,
    reading: Reading<'_>,
) -> Result<ProviderAnswer, UpstreamFailure> {
    let (head, body) = response.into_parts();
    let name = || target.id.to_string();
    let encoded = is_encoded(&head.headers);
    let is_stream = is_event_stream(&head.headers);
    let headers = without_key(headers::for_client(head.headers), target);
    match head.status {
        status if status.is_success() => {
            if reading.guarded && encoded {
                return Err(UpstreamFailure::Uninspectable { target: name(), why: ENCODED });
            }
            if is_stream {
                return Ok(ProviderAnswer::Stream(Reply { status, headers, body }));
            }
            let body = hide_key(collect(body, target, reading).await?, target);
            Ok(ProviderAnswer::Whole(Reply { status, headers, body }))
        }
        status @ (StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::PROXY_AUTHENTICATION_REQUIRED) => Err(UpstreamFailure::Key { target: name(), status }),
        status if is_about_the_request(status) => {
            let reading = Reading { limit: ERROR_LIMIT, ..reading };
            let text = collect(body, target, reading).await.ok().filter(|_| !encoded);
            Ok(ProviderAnswer::Rejected(rejection(status, headers, text, target)))
        }
        status => {
            let retry_after = headers.get(RETRY_AFTER).cloned();
            Err(UpstreamFailure::Status { target: name(), status, retry_after })
        }
    }
}

/// 402 and 408 speak of our account and our connection, 409 would read as a policy block.
fn is_about_the_request(status: StatusCode) -> bool {
    status.is_client_error()
        && !matches!(
            status,
            StatusCode::PAYMENT_REQUIRED | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT
        )
}

/// The provider's own words where they are an error object and hold no key of ours.
fn rejection(status: StatusCode, headers: HeaderMap, text: Option<Bytes>, target: &Target) -> Reply {
    let fit =
        |text: &Bytes| serde_json::from_slice::<ProviderError>(text).is_ok() && !holds_key(text, target);
    match text.filter(fit) {
        Some(body) => Reply { status, headers, body },
        None => without_words(status, headers, target),
    }
}

/// A provider's refusal in our words.
pub(super) fn without_words(status: StatusCode, mut headers: HeaderMap, target: &Target) -> Reply {
    let (kind, code) = match status {
        StatusCode::TOO_MANY_REQUESTS => ("rate_limit", "upstream_rate_limit"),
        _ => ("upstream_error", "upstream_rejected"),
    };
    let message = format!("the target `{}` refused the request with status {status}", target.id);
    let error = serde_json::json!({"type": kind, "message": message, "code": code});
    let body = match target.provider {
        Provider::Anthropic => serde_json::json!({"type": "error", "error": error}),
        Provider::OpenAi | Provider::OpenAiCompatible | Provider::AzureOpenAi => {
            serde_json::json!({"error": error})
        }
    };
    headers.remove(CONTENT_ENCODING);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Reply { status, headers, body: Bytes::from(body.to_string()) }
}

/// Some endpoints repeat the credentials they refuse.
fn holds_key(text: &[u8], target: &Target) -> bool {
    key_of(target, KEY_MIN).is_some_and(|key| memmem::find(text, key).is_some())
}

/// What is secret of the key's header, if it has this length.
fn key_of(target: &Target, at_least: usize) -> Option<&[u8]> {
    let KeyState::Ready(secret) = target.api_key_value() else { return None };
    let key = secret.expose().split_ascii_whitespace().next_back().unwrap_or_default().as_bytes();
    (key.len() >= at_least).then_some(key)
}

/// Without the values that repeat the key; there may be others of their names.
fn without_key(headers: HeaderMap, target: &Target) -> HeaderMap {
    let Some(key) = key_of(target, KEY_MIN) else { return headers };
    // Most values are shorter than any key.
    let repeats =
        |value: &HeaderValue| value.len() >= key.len() && memmem::find(value.as_bytes(), key).is_some();
    if !headers.values().any(repeats) {
        return headers;
    }
    let mut kept = HeaderMap::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in headers {
        // Further values of one name come without it.
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|_| !repeats(&value)) {
            kept.append(name.clone(), value);
        }
    }
    kept
}

/// Stars where the provider repeats the key, as many as it has bytes.
fn hide_key(body: Bytes, target: &Target) -> Bytes {
    let Some(key) = key_of(target, KEY_MIN_IN_ANSWERS) else { return body };
    let mut places = memmem::find_iter(&body, key).peekable();
    if places.peek().is_none() {
        return body;
    }
    let mut hidden = body.to_vec();
    for at in places {
        if let Some(piece) = hidden.get_mut(at..at + key.len()) {
            piece.fill(b'*');
        }
    }
    Bytes::from(hidden)
}

async fn collect(
    mut body: AnswerBody,
    target: &Target,
    reading: Reading<'_>,
) -> Result<Bytes, UpstreamFailure> {
    let name = || target.id.to_string();
    let late = |what| UpstreamFailure::TimedOut { target: name(), what };
    let idle = target.timeouts.idle;
    // One timer for the whole, and one for each silence only where that could end first.
    let is_patient = Instant::now() + idle >= reading.deadline;
    let gathering = async {
        let mut gathering = Gathering::under(reading.budget);
        loop {
            let frame = if is_patient {
                body.frame().await
            } else {
                let within = tokio::time::timeout(idle, body.frame()).await;
                within.map_err(|_| late("go on with its response"))?
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| {
                tracing::debug!(target = %target.id, %error, "a provider response broke off");
                UpstreamFailure::Broken { target: name() }
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if gathering.len() + data.len() > reading.limit {
                let why = "it is larger than this gateway reads";
                return Err(UpstreamFailure::Uninspectable { target: name(), why });
            }
            gathering.push(data).map_err(|NoRoom| UpstreamFailure::NoRoom { target: name() })?;
        }
        Ok(gathering.whole())
    };
    tokio::time::timeout_at(reading.deadline, gathering).await.map_err(|_| late("finish its response"))?
}

pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    !headers.get_all(CONTENT_ENCODING).iter().all(identity)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let name = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}
