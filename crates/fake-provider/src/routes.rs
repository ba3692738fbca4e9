//! One request: record it, read its script, answer by it.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::header::HeaderName;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;

use crate::answer::{self, Answer};
use crate::dialect::Dialect;
use crate::received::Received;
use crate::script::Script;

/// What all connections share.
pub(crate) struct Provider {
    received: Received,
    required_key: Option<String>,
    drain: DrainWatcher,
    clock: Clock,
}

pub(crate) type Body = BoxBody<Bytes, BrokenOff>;

/// The connection is broken here because the script says so.
#[derive(Debug)]
pub(crate) struct BrokenOff;

const MAX_BODY: usize = 64 << 20;

// === impl Provider ===

impl Provider {
    pub(crate) fn new(received: Received, required_key: Option<String>, drain: DrainWatcher) -> Self {
        Self { received, required_key, drain, clock: Clock::system() }
    }

    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        if head.uri.path() == "/__received" {
            return match serde_json::to_value(self.received.all()) {
                Ok(all) => json(StatusCode::OK, &all),
                Err(error) => {
                    refuse(None, StatusCode::INTERNAL_SERVER_ERROR, "server_error", &error.to_string())
                }
            };
        }
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            let message = "the body broke off or is too long";
            return refuse(None, StatusCode::BAD_REQUEST, "invalid_request_error", message);
        };
        let body = body.to_bytes();
        self.received.record(&head, &body);
        let dialect = Dialect::of(head.uri.path());
        if !self.has_key(&head) {
            let message = "Incorrect API key provided";
            return refuse(dialect, StatusCode::UNAUTHORIZED, "invalid_api_key", message);
        }
        match (&head.method, head.uri.path(), dialect) {
            (&Method::GET, "/v1/models", _) => json(StatusCode::OK, &answer::models()),
            (&Method::POST, _, Some(dialect)) => self.complete(dialect, &head, &body).await,
            _ => refuse(dialect, StatusCode::NOT_FOUND, "not_found", "Unknown request URL"),
        }
    }

    async fn complete(&self, dialect: Dialect, head: &Parts, body: &Bytes) -> Response<Body> {
        let refuse = |status, code: &str, message: &str| refuse(Some(dialect), status, code, message);
        let bad = |message: &str| refuse(StatusCode::BAD_REQUEST, "invalid_request_error", message);
        let request: Value = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return bad(&format!("We could not parse the JSON body of your request: {error}")),
        };
        if request.get(dialect.required()).is_none_or(Value::is_null) {
            return bad(&format!("Missing required parameter: '{}'", dialect.required()));
        }
        let header = head.headers.get("x-fake").and_then(|value| value.to_str().ok());
        let script = match Script::of(&request, header) {
            Ok(script) => script,
            Err(message) => return bad(&message),
        };
        if script.hang {
            self.drain.signaled().await;
        }
        tokio::time::sleep(script.delay()).await;
        let is_over = script.times.is_some_and(|times| self.received.ask(&script.name) >= times);
        match StatusCode::from_u16(if is_over { 200 } else { script.status }) {
            Ok(StatusCode::OK) if !script.hang => {}
            Ok(StatusCode::OK) => {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "server_error", "the provider is ending");
            }
            Ok(status) => return refuse(status, "server_error", "a fault that the request asked for"),
            Err(_) => return bad("x_fake.status is no HTTP status"),
        }
        let created = self.clock.now().unix_timestamp();
        let answer = Answer::to(dialect, &request, &script, self.received.count(), created);
        if request.get("stream") == Some(&Value::Bool(true)) {
            respond(
                StatusCode::OK,
                "text/event-stream",
                paced(answer.events(dialect, script.chunks), &script),
            )
        } else {
            json(StatusCode::OK, &answer.whole(dialect))
        }
    }

    fn has_key(&self, head: &Parts) -> bool {
        let Some(key) = &self.required_key else { return true };
        let given = |name| head.headers.get(name).map(http::HeaderValue::as_bytes).unwrap_or_default();
        let bare = |name| given(HeaderName::from_static(name)) == key.as_bytes();
        given(AUTHORIZATION).strip_prefix(b"Bearer ") == Some(key.as_bytes())
            || bare("x-api-key")
            || bare("api-key")
    }
}

/// The events at the pace of the script, up to the break it asks for.
fn paced(events: Vec<String>, script: &Script) -> Body {
    let pause = script.chunk_delay();
    let break_after = script.break_after;
    let frames = stream::iter(events.into_iter().enumerate()).then(move |(at, event)| async move {
        if at > 0 {
            tokio::time::sleep(pause).await;
        }
        if break_after.is_some_and(|last| at >= last) {
            return Err(BrokenOff);
        }
        Ok(Frame::data(Bytes::from(event)))
    });
    BodyExt::boxed(StreamBody::new(frames))
}

fn refuse(dialect: Option<Dialect>, status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    json(status, &answer::error(dialect, kind, code, message))
}

fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    respond(status, "application/json", body)
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, http::HeaderValue::from_static("no-cache"));
    response
}

// === impl BrokenOff ===

impl std::fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off as asked")
    }
}

impl std::error::Error for BrokenOff {}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Provider")
    }
}
